"""Make a checked policy the active one, under the next number, and start its schedules' clocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.catch_up import catch_up
from shared.domain.decision import Decision
from shared.domain.errors import Conflict
from shared.domain.ids import PolicyVersion
from shared.domain.policy import Policy, Schedule
from shared.domain.schedule import slots
from shared.domain.slot_owner import owners
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.controls import Controls, Decided
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.backup.schedule_backups import AT_ONCE, EACH_WITHIN, PUNCTUAL
from shared.usecases.backup.slot_ledger import SlotLedger

_GONE: Final = "the schedule was removed, or its times changed, before a tick took it"
TRIES: Final = 5
"""A tick may move a cursor between our look and our write; it comes every five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    version: PolicyVersion
    changed: bool  # False: this very policy was active already


class ApplyPolicy:
    def __init__(
        self, *, policies: Policies, controls: Controls, slots: Slots, decisions: Decisions, clock: Clock
    ) -> None:
        self._policies = policies
        self._controls = controls
        self._ledger = SlotLedger(slots=slots, decisions=decisions)
        self._decisions = decisions
        self._clock = clock

    def run(self, policy: Policy, *, by: str, run: str = "") -> Applied:
        """Safe to repeat: an unchanged policy keeps its number. Raises Conflict when another apply ran meanwhile.

        A schedule that the active policy does not have, or has at other times, counts from now: it owes nothing for the
        time in which it was not in force. What the old times still owed is recorded as skipped. A protection under a
        new name is a new one: its schedules count from now, and the points of the old name stay where they are.

        Crash order: cursors, each with the slots that are skipped, then these rows, then the version. A cursor without
        its schedule does nothing, and repeating moves it on; a schedule that became active without its cursor would
        lose the slots up to its first tick. Rows that were not written are written by the next tick.
        """
        now = self._clock.now()
        standing = self._controls.read()
        before = standing.policy
        in_force = {} if before is None else dict(_schedules(self._policies.at(before)))
        wanted = dict(_schedules(policy))
        for name in {**in_force, **wanted}:
            if in_force.get(name) != wanted.get(name) or "/".join(name) not in standing.cursors:
                self._start(name, in_force.get(name), before, now)
        version = self._policies.append(policy)
        applied = Applied(version=version, changed=version != before)
        made = Decision(
            event="policy.applied" if applied.changed else "policy.unchanged",
            at=now,
            subject="policy",
            because=(f"applied by {by}",),
            inputs={"before": "" if before is None else str(before)},
            policy=version,
            acted=applied.changed,
            run=run,
        )
        log.decision(made)
        self._decisions.record("policy", made)
        return applied

    def _start(self, name: tuple[str, str], old: Schedule | None, before: PolicyVersion | None, now: datetime) -> None:
        """Raises Conflict when ticks keep moving the cursor under our hands."""
        cursor = "/".join(name)
        for _ in range(TRIES):
            standing = self._controls.read()
            seen = standing.cursors.get(cursor)
            if seen is not None and seen >= now:
                return
            # What a tick decided and did not carry out yet stays beside it: the next tick does.
            undone = standing.undone.get(cursor, ())
            owed = () if old is None or seen is None or before is None else _owed(name, old, before, seen, now)
            if self._controls.advance(cursor, seen=seen, to=now, decided=(*undone, *owed)):
                for one in owed:
                    self._ledger.write_down(one)
                if owed and not undone:
                    self._controls.carried_out(cursor, at=now, decided=owed)
                return
        raise Conflict(f"the cursor of schedule {cursor} moves all the time: run `understudy apply` again")


def _owed(
    name: tuple[str, str], old: Schedule, version: PolicyVersion, seen: datetime, now: datetime
) -> tuple[Decided, ...]:
    due = tuple(slots(old, after=max(seen, now - AT_ONCE), until=now))
    left_out = catch_up(due, now=now, punctual=PUNCTUAL, excuse=lambda _: _GONE, each_within=EACH_WITHIN).skipped
    if not left_out:
        return ()
    return (Decided(protection=name[0], schedule=name[1], policy=version, at=now, skipped=left_out),)


def _schedules(policy: Policy) -> Iterator[tuple[tuple[str, str], Schedule]]:
    for owner in owners(policy):
        for schedule in owner.schedules:
            yield (owner.name, schedule.name), schedule
