"""Writing what became of slots: points, slots and decisions in one call. Writing any of them again is harmless."""

from collections.abc import Sequence

from shared.domain.decision import Decision
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.store import Store
from shared.state import decisions, points, slots
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.backup import slot_ends
from shared.usecases.backup.slot_ends import Origin


class SlotRows:
    def __init__(self, store: Store, *, run: str = "") -> None:
        self._store = store
        self._run = run

    def write(self, origin: Origin, ends: Sequence[Slot], made: Sequence[RestorePoint] = ()) -> None:
        # Only what the cloud said itself may take an end back; what we conclude gives way to what stands there.
        sure = [end for end in ends if end.state is not SlotState.SKIPPED or end.because == slot_ends.FAILED_IN_CLOUD]
        sure += [end for end in ends if end not in sure and Slots(self._store).skip(end)]
        told = [slot_ends.decision(origin, end, self._run) for end in sure]
        for decision in told:
            log.decision(decision)
        kept = [decision for decision in told if not decision.acted]
        writes = [*points.writes(made), *slots.writes(sure), *decisions.rows(origin.subject, kept)]
        if writes:
            self._store.put_many(writes)

    def keep(self, subject: str, decision: Decision) -> None:
        self._store.put_many(decisions.rows(subject, [decision]))
