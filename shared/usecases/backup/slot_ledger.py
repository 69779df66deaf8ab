"""Writing down what was decided about due slots that are not taken: rows, the decision, one log line.

A decision stands in its cursor's row before any of this is written, so repeating it, by whoever finds it undone, writes
the same rows again. One row tells of a whole protection, and one may tell of many slots: nobody looked which instances
were selected while nothing ran.
"""

from shared.domain.catch_up import Stretch
from shared.domain.decision import Decision
from shared.observability import log
from shared.state import codec
from shared.state.controls import Decided
from shared.state.decisions import Decisions
from shared.state.slots import Slot, Slots, SlotState


class SlotLedger:
    def __init__(self, *, slots: Slots, decisions: Decisions) -> None:
        self._slots = slots
        self._decisions = decisions

    def write_down(self, decided: Decided) -> None:
        """Two calls, or none when a slot is simply taken."""
        self._slots.put(_slot(decided, stretch) for stretch in decided.skipped)
        if decided.skipped or decided.late:
            made = _decision(decided)
            log.decision(made)
            self._decisions.record(decided.protection, made)


def _slot(decided: Decided, stretch: Stretch) -> Slot:
    return Slot(
        subject=decided.protection,
        due=stretch.until,
        since=stretch.since if stretch.count > 1 else None,
        count=stretch.count,
        protection=decided.protection,
        schedule=decided.schedule,
        state=SlotState.SKIPPED,
        at=decided.at,
        because=stretch.because,
    )


def _decision(decided: Decided) -> Decision:
    skipped = sum(stretch.count for stretch in decided.skipped)
    because = [f"{skipped} slots of schedule {decided.schedule} went by and are skipped"] if skipped else []
    if decided.run is not None:
        what = "stands in for them" if skipped else "is taken"
        because.append(f"the slot of {codec.second(decided.run)} {what}" + (", late" if decided.late else ""))
    elif decided.skipped:
        because.append(decided.skipped[-1].because)
    return Decision(
        event="slots.skipped" if decided.run is None else "slots.caught_up",
        at=decided.at,
        subject=decided.protection,
        because=tuple(because),
        inputs={"schedule": decided.schedule},
        policy=decided.policy,
        run=decided.tick,
    )
