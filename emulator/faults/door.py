"""What a fault looks like on the wire: answers held back, connections reset, pages of HTML.

No other call waits for one that is held back, and the end of the server ends all of them.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from emulator.faults.blow import Blow
from emulator.faults.codes import Refusal
from emulator.faults.fault import Fault
from emulator.faults.kinds import Stage
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud

LONGEST_SILENCE_SECONDS: Final = 120.0
"""Real: a client without a time-out of its own gets a reset then."""
LONGEST_SLOWNESS_SECONDS: Final = 60.0
LOOK_EVERY_SECONDS: Final = 0.05

GATEWAY_PAGE: Final = (
    "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<h1>{0} {1}</h1>\r\n</body>\r\n</html>\r\n"
)

Run = Callable[[], Awaitable[web.StreamResponse]]
Refuse = Callable[[Refusal], web.StreamResponse]


async def through(cloud: "Cloud", blow: Blow, request: web.Request, *, run: Run, refuse: Refuse) -> web.StreamResponse:
    """The answer to a call that `blow` strikes. `run` does the call, `refuse` is this service's form of an error."""
    await _wait(cloud, blow, request, "before")
    if fault := blow.ends(Stage.BEFORE):
        return await _end(cloud, blow, fault, request, refuse)
    response = await run()
    if cloud.journal is not None:
        cloud.journal.commit()  # others see the effect already, however long the answer is held back
    await _wait(cloud, blow, request, "after")
    if fault := blow.ends(Stage.AFTER):
        if fault.kind == "bad_signature":
            response.headers["Authorization"] = _spoilt(response.headers.get("Authorization", ""))
            return response
        return await _end(cloud, blow, fault, request, refuse)
    return response


async def _end(cloud: "Cloud", blow: Blow, fault: Fault, request: web.Request, refuse: Refuse) -> web.StreamResponse:
    refusal = blow.refusal()
    if refusal is not None:
        return refuse(refusal)
    if fault.kind.startswith("html"):
        status = fault.status or 502
        text = GATEWAY_PAGE.format(status, {502: "Bad Gateway", 504: "Gateway Time-out"}.get(status, "Error"))
        return web.Response(status=status, text=text, content_type="text/html")
    if fault.kind.startswith("empty_body"):
        return web.Response(status=fault.status or 200, body=b"", content_type="application/json")
    if fault.kind.startswith("timeout"):
        await hold(cloud, request, LONGEST_SILENCE_SECONDS)
    return reset(request)


def reset(request: web.Request) -> web.StreamResponse:
    """A TCP reset instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere


async def hold(cloud: "Cloud", request: web.Request, seconds: float) -> None:
    """Wait real seconds, or until the client has gone, or the server ends."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not cloud.faults.closing.is_set() and _there(request) and (left := deadline - loop.time()) > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cloud.faults.closing.wait(), min(left, LOOK_EVERY_SECONDS))


async def _wait(cloud: "Cloud", blow: Blow, request: web.Request, moment: str) -> None:
    for fault in blow.faults:
        seconds = fault.seconds or 0.0
        if fault.kind == "slow" and moment == "before":
            await _slowly(cloud, request, seconds, real=bool(fault.real))
        if fault.kind == "freeze_caller" and fault.moment == moment:
            await _freeze(cloud, blow, fault)


async def _slowly(cloud: "Cloud", request: web.Request, seconds: float, *, real: bool) -> None:
    clock = cloud.clock
    if real or clock.rate > 0:
        await hold(cloud, request, min(LONGEST_SLOWNESS_SECONDS, seconds if real else seconds / clock.rate))
        return
    # Time stands, so that nobody else would move it: it passes here, also while a function at work holds it.
    until = clock.now() + timedelta(seconds=seconds)
    while clock.run_due(until):
        await asyncio.sleep(0)
    clock.advance(max(timedelta(0), until - clock.now()))


async def _freeze(cloud: "Cloud", blow: Blow, fault: Fault) -> None:
    """Suspend whoever asks. Before the effect, the call stands still with its caller."""
    seconds = timedelta(seconds=fault.seconds or 0)
    # On the calendar before the caller's own thaw, or the caller would hold the time that must pass to answer it.
    over = _Moment(cloud, seconds)
    suspended = False
    if fault.instance is not None:
        suspended = _freeze_guest(cloud, fault.instance, seconds)
    elif cloud.fc is not None:
        suspended = cloud.fc.freeze_caller(blow.asked.access_key, seconds)
    if not suspended or fault.moment == "before":
        await over.reached()  # after the effect, the answer of a suspended caller waits in its socket
    over.cancel()


def _freeze_guest(cloud: "Cloud", instance: str, seconds: timedelta) -> bool:
    hypervisor = cloud.hypervisor
    if hypervisor is None:
        return False
    try:
        hypervisor.signal(instance, signal.SIGSTOP)
    except ApiError:
        return False  # no guest runs there

    def thaw() -> None:
        with contextlib.suppress(ApiError):  # it may have been stopped meanwhile
            hypervisor.signal(instance, signal.SIGCONT)

    cloud.clock.call_later(seconds, thaw, f"the guest of {instance} goes on")
    return True


class _Moment:
    """An emulated moment to wait for: somebody else moves the clock, or it flows. The caller may leave meanwhile; its
    request is on its way all the same."""

    def __init__(self, cloud: "Cloud", after: timedelta) -> None:
        self._cloud = cloud
        self._reached = asyncio.Event()
        self._due = cloud.clock.call_later(after, self._reached.set, "a frozen call goes on")

    async def reached(self) -> None:
        while not self._reached.is_set() and not self._cloud.faults.closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reached.wait(), LOOK_EVERY_SECONDS)

    def cancel(self) -> None:
        self._due.cancel()


def _there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _spoilt(signature: str) -> str:
    head, separator, tail = signature.partition(":")
    return f"{head}{separator}{tail[::-1]}" if tail != tail[::-1] else f"{head}:x{tail}"
