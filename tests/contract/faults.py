"""What may go wrong with one call, and what every adapter must make of it: the same for every port and both doors.

`Write` and `Read` describe a port's calls; `hold_writes` and `hold_reads` try every one of them under one fault.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from shared.adapters.sdk import READ_TIMEOUT_MS, Clients
from shared.domain.errors import DrError, OutcomeUnknown, Retryable

Run = Callable[[Callable[[], Any]], Any]
"""Runs something on the thread that owns the cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """`write` is what a change raises under it, `read` what a read does; `applied`: whether the change was made."""

    kind: str
    write: type[DrError] = OutcomeUnknown
    read: type[DrError] = Retryable
    applied: bool = False
    how: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return "-".join([self.kind, *(str(value) for _, value in self.how)])

    def fault(self, service: str, action: str) -> Fault:
        return Fault(kind=self.kind, service=service, action=action, calls=None, **dict(self.how))


LOST: tuple[Mishap, ...] = (
    Mishap(kind="timeout_before"),
    Mishap(kind="timeout_after", applied=True),
    Mishap(kind="reset_before"),
    Mishap(kind="reset_after", applied=True),
    Mishap(kind="html"),
    Mishap(kind="html_after", applied=True),
    Mishap(kind="empty_body"),
    Mishap(kind="empty_body_after", applied=True),
)
"""No answer, or none that can be read."""

RPC: tuple[Mishap, ...] = (
    *LOST,
    Mishap(kind="throttle", write=Retryable),
    Mishap(kind="throttle", write=Retryable, how=(("code", "Throttling.Api"), ("retry_after_ms", 500))),
    Mishap(kind="error", write=Retryable),  # ServiceUnavailable: refused before any effect
    Mishap(kind="error", how=(("code", "InternalError"),)),
    Mishap(kind="error_after", applied=True),
    Mishap(kind="ok_with_code"),
)
FUNCTIONS: tuple[Mishap, ...] = (
    # Without the empty bodies: to a caller they are functions that answered nothing.
    *(mishap for mishap in LOST if not mishap.kind.startswith("empty_body")),
    Mishap(kind="throttle", write=Retryable),
    Mishap(kind="error"),
    Mishap(kind="error", how=(("code", "ResourceThrottled"),)),
    Mishap(kind="error_after", applied=True),
)
TABLESTORE: tuple[Mishap, ...] = (
    *LOST,
    Mishap(kind="bad_signature", applied=True),
    Mishap(kind="throttle", write=Retryable),
    Mishap(kind="error"),
    Mishap(kind="error", how=(("code", "OTSTimeout"),)),
    Mishap(kind="error", how=(("code", "OTSInternalServerError"),)),
    Mishap(kind="error", write=Retryable, how=(("code", "OTSRowOperationConflict"),)),
    Mishap(kind="error", write=Retryable, how=(("code", "OTSPartitionUnavailable"),)),
    Mishap(kind="error_after", applied=True),
    Mishap(kind="error_after", applied=True, how=(("code", "OTSInternalServerError"),)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """`done` reads back through the port, as its contract says, whether the change was made."""

    action: str
    send: Callable[[], object]
    done: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    action: str
    ask: Callable[[], object]


BRIEFLY_MS = 300


@contextmanager
def impatient() -> Iterator[None]:
    """Within the block the clients of the official RPC SDKs wait only briefly: for answers that never come."""
    current, hurried = Clients.current, []

    def hurry(self: "Clients[Any]") -> Any:
        client = current(self)
        client._read_timeout = BRIEFLY_MS
        hurried.append(client)
        return client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clients, "current", hurry)
        yield
    for client in hurried:
        client._read_timeout = READ_TIMEOUT_MS


Impatient = Callable[[], AbstractContextManager[None]]


@contextmanager
def with_faults(cloud: Cloud, run: Run, *faults: Fault, briefly: Impatient = impatient) -> Iterator[None]:
    """Within the block these faults are set; and where no answer comes, nobody waits for long."""
    silent = any(fault.kind.startswith(("timeout", "region")) for fault in faults)
    ids: Sequence[str] = run(lambda: cloud.faults.add_all(faults))
    try:
        with briefly() if silent else nullcontext():
            yield
    finally:
        run(lambda: [cloud.faults.remove(one) for one in ids])


def hold_write(
    cloud: Cloud, run: Run, service: str, write: Write, mishap: Mishap, *, briefly: Impatient = impatient
) -> None:
    """It fails as it should; reading back finds the truth; and sent again without the fault it is done, once."""
    what = f"{write.action} under {mishap}"
    assert not write.done(), f"{what}: done before it was sent"
    with (
        with_faults(cloud, run, mishap.fault(service, write.action), briefly=briefly),
        pytest.raises(DrError) as told,
    ):
        write.send()
    assert type(told.value) is mishap.write or (mishap.write is Retryable and isinstance(told.value, Retryable)), (
        f"{what}: {told.value!r}"
    )
    assert write.done() == mishap.applied, f"{what}: reading back says otherwise"
    write.send()
    assert write.done(), f"{what}: sent again without the fault, it is not done"


def hold_read(
    cloud: Cloud, run: Run, service: str, read: Read, mishap: Mishap, *, briefly: Impatient = impatient
) -> None:
    """It says that it could not find out, which is no answer; asked again without the fault, it answers."""
    what = f"{read.action} under {mishap}"
    wanted = read.ask()
    with (
        with_faults(cloud, run, mishap.fault(service, read.action), briefly=briefly),
        pytest.raises(DrError) as told,
    ):
        read.ask()
    assert isinstance(told.value, mishap.read), f"{what}: {told.value!r}"
    assert read.ask() == wanted
