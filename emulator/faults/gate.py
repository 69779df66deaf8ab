"""The in-process door's side of the menu: the same faults, as exceptions, around a call straight onto a model.

Refusals come out as the errors that the service's model raises; silence, resets and answers that cannot be read come
out as `Silence`. A slow call lets emulated time pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.faults.blow import Blow, Silence
from emulator.faults.codes import Refusal
from emulator.faults.fault import Asked
from emulator.faults.kinds import Stage
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud


@contextmanager
def through(cloud: "Cloud", asked: Asked) -> Iterator[Blow | None]:
    """Raises ApiError (OtsError for Tablestore, Refused for Function Compute) or Silence, before or after the block."""
    blow = cloud.faults.blow(asked) if cloud.faults.on_calls else None
    if blow is None:
        yield None
        return
    _wait(cloud, blow, "before")
    if blow.ends(Stage.BEFORE):
        _end(blow, applied=False)
    try:
        yield blow
    except Exception:
        _after(cloud, blow)  # a refusal is an answer as well, and gets lost as easily
        raise
    _after(cloud, blow)


def _after(cloud: "Cloud", blow: Blow) -> None:
    _wait(cloud, blow, "after")
    if blow.ends(Stage.AFTER):
        _end(blow, applied=True)


def _wait(cloud: "Cloud", blow: Blow, moment: str) -> None:
    """In process nobody can be suspended apart from the world: the caller simply goes on later."""
    seconds = sum(f.seconds or 0 for f in blow.all("freeze_caller") if f.moment == moment)
    if moment == "before":
        seconds += sum(f.seconds or 0 for f in blow.all("slow"))
    if seconds:
        cloud.clock.advance(timedelta(seconds=seconds))


def _end(blow: Blow, *, applied: bool) -> None:
    assert blow.ending is not None
    refusal = blow.refusal()
    if refusal is None:
        raise Silence(f"{blow.asked.service} {blow.asked.action}: {blow.ending.about.says}", applied=applied)
    raise as_error(blow.asked.service, refusal)


def as_error(service: str, refusal: Refusal) -> Exception:
    """The error that this service's model would raise."""
    if service == "ots":
        from emulator.tablestore.errors import OtsError

        return OtsError(refusal.status, refusal.code, refusal.message)
    if service == "fc":
        from emulator.fc.queue import Refused

        return Refused(refusal.status, refusal.code, refusal.message)
    return ApiError(refusal.code, refusal.message, refusal.status, retry_after_ms=refusal.retry_after_ms)
