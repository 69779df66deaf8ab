"""What an attempt at a step of a failover saw, kept with what it came to, so that it can be asked again whether the one
follows from the other: was the old lease certainly over, did the new side say that it is active, was it too long.

Those who act judge by themselves, between their calls. This is written apart from them on purpose, as an accountant's
look at the same figures; `shared.usecases.failover.replay` asks it of every recorded step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.detection import Sight
from shared.domain.failover_fsm import On
from shared.domain.failover_situation import LeaseFacts
from shared.domain.ids import Epoch, SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    # of a fence
    lease: LeaseFacts | None = None  # as it was read before it was taken
    length: timedelta | None = None  # for so long a holder may rely on it: the longer of its own terms and the policy's
    agents: bool = True  # the master stops by its lease
    off: str = ""  # what else showed that the old side is off, or who overrode it
    taken: Epoch | None = None  # what the row then said
    # of a promotion
    sight: Sight | None = None
    active: bool | None = None
    says: Epoch | None = None  # under which epoch it is active
    # of any
    target: SiteName | None = None
    epoch: Epoch | None = None  # the failover's, as this step found it
    tried: timedelta | None = None  # on the driver's own clock
    stood: timedelta | None = None  # in this state, by wall clocks
    patience: timedelta | None = None


def unsupported(on: On, attempt: Attempt) -> Iterator[str]:
    """Why what was seen does not bear out what it came to; nothing when it does."""
    match on:
        case On.FENCED:
            yield from _fenced(attempt)
        case On.PROMOTED:
            if attempt.sight is not Sight.ANSWERED or not attempt.active or attempt.says != attempt.epoch:
                yield f"the new side did not say that it is active under epoch {attempt.epoch}"
        case On.OVERDUE:
            if attempt.tried is None or attempt.stood is None or attempt.patience is None:
                yield "how long it took is not recorded"
            elif min(attempt.tried, attempt.stood) <= attempt.patience:
                yield f"it was not tried for longer than {attempt.patience.total_seconds():.0f} s"
        case _:
            pass


def _fenced(attempt: Attempt) -> Iterator[str]:
    lease = attempt.lease
    if lease is None or attempt.taken is None:
        yield "the lease that was taken is not recorded"
        return
    if attempt.taken == lease.epoch:  # another watch took it before
        if lease.owner != attempt.target or attempt.epoch is None or lease.epoch <= attempt.epoch:
            yield f"epoch {lease.epoch} of {lease.owner} is no take-over for {attempt.target}"
        return
    if attempt.taken != lease.epoch + 1:
        yield f"epoch {attempt.taken} does not follow {lease.epoch}"
    if not attempt.agents:
        if not attempt.off:
            yield "nothing showed that the old side was off"
    elif not lease.free and (attempt.length is None or lease.unchanged < attempt.length):
        yield f"the lease had been seen unchanged for {lease.unchanged.total_seconds():g} s only"
