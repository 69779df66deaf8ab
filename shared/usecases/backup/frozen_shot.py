"""One call, or a few, while guests stand still: freeze, send, thaw whatever came of it, and say what that proves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import InstanceId
from shared.domain.policy import Freeze
from shared.observability import log
from shared.ports.compute import Guests
from shared.usecases.backup.freezing import Freezer
from shared.usecases.operations import ClaimLost, Work

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot(Generic[T]):
    sent: T | None = None
    trouble: DrError | None = None  # what sending raised
    refused: Mapping[InstanceId, str] = field(default_factory=dict)  # a freeze was required: nothing was sent
    moved: Mapping[InstanceId, str] = field(default_factory=dict)  # not frozen all the time, and why


def shoot(
    freezer: Freezer, work: Work, guests: Guests, instances: Sequence[InstanceId], how: Freeze, send: Callable[[], T]
) -> Shot[T]:
    """Raises Retryable when nothing could be frozen now (nothing was sent), ClaimLost and CredentialsRejected; then
    the guests' own timers thaw, or a later run."""
    frozen = freezer.freeze(work, guests, instances, how)
    refused = {one: frozen.refused.get(one, "freeze: no answer") for one in instances if one not in frozen.held}
    sent: T | None = None
    trouble: DrError | None = None
    if not (refused and how.required):
        try:
            sent = send()
        except (ClaimLost, CredentialsRejected):
            raise
        except DrError as error:
            trouble = error
    thawed = freezer.thaw(work, guests, frozen, how)
    for one, end in thawed.items():
        if end.stuck:
            log.event("guest.stuck", subject=one, because=[f"{end.because}: the guest may still be frozen"])
    if refused and how.required:
        return Shot(refused=refused)
    moved = dict(refused)
    moved.update({one: thawed[one].because for one in frozen.held if not thawed[one].held})
    return Shot(sent=sent, trouble=trouble, moved=moved)
