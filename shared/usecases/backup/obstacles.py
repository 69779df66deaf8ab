"""Why a snapshot is not started: something that holds for all of a slot, or what the cloud said of one."""

from shared.domain.blackout import covering, windows
from shared.domain.errors import DrError, NotFound, QuotaReached
from shared.domain.operation import Operation
from shared.domain.policy import Protection
from shared.ports.clock import Clock
from shared.ports.store import Store
from shared.state import codec
from shared.state.controls import Controls
from shared.state.journal import Journal
from shared.usecases.backup.overlapping import overtaken_by
from shared.usecases.backup.schedule_backups import SCOPE
from shared.usecases.backup.slot_ends import CREATE_WITHIN, Reason
from shared.usecases.requests import ON_DEMAND, BackUpRequest


def obstacle(
    operation: Operation, request: BackUpRequest, protection: Protection, *, store: Store, clock: Clock
) -> tuple[Reason, str] | None:
    """Why nothing of it may begin any more. A back-up by hand is begun in a blackout too: somebody knows why."""
    now = clock.now()
    standing = Controls(store).read()
    pause = standing.paused(SCOPE)
    if pause is None:
        # One that came and went while it waited: a resume runs nothing that was due before.
        gone_by = (one for one in standing.past_pauses if one.scope in (SCOPE, "all"))
        pause = next((one for one in gone_by if one.until is not None and one.until > operation.created), None)
    if pause is not None:
        return Reason.PAUSED, f"paused from {codec.second(pause.since)}: {pause.because}"
    if now - operation.created > CREATE_WITHIN:
        return Reason.NOT_STARTED, f"could not be started within {CREATE_WITHIN}"
    if request.schedule == ON_DEMAND:
        return None
    closed = covering(windows(protection.blackouts, after=now, until=now), now)
    if closed is not None:
        return Reason.BLACKOUT, f"not started before {closed.because}"
    overtaker = overtaken_by(Journal(store, clock), protection, request, now)
    if overtaker is not None:
        return Reason.OVERTAKEN, f"overtaken by the slot of {codec.second(overtaker)}"
    return None


def refused(refusal: DrError, protection: Protection) -> tuple[Reason, str]:
    """What a slot says whose snapshot the cloud refused for good."""
    match refusal:
        case NotFound():
            return Reason.GONE, f"a disk is gone since it was listed, the next slot goes without it: {refusal}"
        case QuotaReached():
            return Reason.QUOTA, (
                f"quota reached: {refusal}. What helps: a shorter keep or fewer schedules in protection "
                f"{protection.name}, deleting snapshots of these disks that are not Understudy's, or a higher quota "
                "(Quota Center; ECS allows 256 manual ones per disk)"
            )
        case _:
            return Reason.REFUSED, str(refusal)
