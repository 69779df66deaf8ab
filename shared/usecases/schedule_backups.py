"""Timer tick -> due slots -> one durable operation each, handed to `backup`.

Crash order: operation, then cursor, then invocation. Before the operation stands, the slot is still due at the next
tick; before the cursor moves, the next tick opens the same operation again, which changes nothing; and an invocation
that never went out is found by `backup`'s own timer. A tick with nothing due is one range read.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.catch_up import CatchUp, catch_up
from shared.domain.decision import Decision
from shared.domain.errors import DrError
from shared.domain.ids import OperationId, PolicyVersion
from shared.domain.policy import Protection, Schedule
from shared.domain.schedule import due_slots
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls, Pause, Standing
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.requests import BackUpRequest

PUNCTUAL: Final = timedelta(minutes=15)
"""A point taken within this of its due time is on time: three ticks of the five-minute timer."""
LONGEST_MEMORY: Final = timedelta(days=400)
"""After a longer absence, slots older than this are not listed one by one any more."""
SCOPE: Final = "backups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    opened: tuple[OperationId, ...] = ()
    skipped: int = 0
    paused: str = ""


class ScheduleBackups:
    def __init__(
        self,
        *,
        policies: Policies,
        controls: Controls,
        journal: Journal,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._controls = controls
        self._journal = journal
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def run(self, *, run: str) -> Ticked:
        """Open what is due now. Safe to call any number of times and in parallel. Raises BadInput without a policy."""
        now = self._clock.now()
        standing = self._controls.read()
        if standing.policy is None:
            self._policies.active()  # raises, with the remedy
            raise AssertionError("a policy became active between two reads")
        pause = standing.paused(SCOPE)
        if pause is not None:
            # The cursors stand still: what fell due meanwhile is accounted for, with this reason, after the resume.
            return Ticked(paused=f"paused since {codec.second(pause.since)}: {pause.because}")
        policy = self._policies.at(standing.policy)
        opened: list[OperationId] = []
        skipped = 0
        for protection in policy.protections:
            for schedule in protection.schedules:
                plan = _due(protection, schedule, standing, now)
                if plan.run is None:
                    continue
                opened.append(self._open(protection, schedule, plan.run, plan, standing, run))
                skipped += len(plan.skipped)
        for operation in opened:
            self._hand_over(operation)
        return Ticked(opened=tuple(opened), skipped=skipped)

    def _open(
        self,
        protection: Protection,
        schedule: Schedule,
        due: datetime,
        plan: CatchUp,
        standing: Standing,
        run: str,
    ) -> OperationId:
        assert standing.policy is not None
        request = BackUpRequest(
            protection=protection.name,
            schedule=schedule.name,
            due=due,
            skipped=_reasons(plan, standing.past_pauses),
        )
        because = f"slot of {codec.second(due)} is due by schedule {schedule.name} of {protection.name}"
        now = self._clock.now()
        self._journal.open(request.operation(policy=standing.policy, now=now, because=because))
        if plan.skipped or plan.late:
            self._tell(protection, request, plan, now, standing.policy, run)
        cursor = _cursor(protection, schedule)
        # False: another tick was as far already. It opened the same operation, or ours stands beside it harmlessly.
        self._controls.advance(cursor, seen=standing.cursors.get(cursor), to=due)
        return request.id

    def _tell(
        self,
        protection: Protection,
        request: BackUpRequest,
        plan: CatchUp,
        now: datetime,
        policy: PolicyVersion,
        run: str,
    ) -> None:
        made = Decision(
            event="slots.caught_up",
            at=now,
            subject=protection.name,
            because=(
                f"{len(plan.skipped)} slots of schedule {request.schedule} went by and are skipped",
                f"the slot of {codec.second(request.due)} stands in for them" + (", late" if plan.late else ""),
            ),
            inputs={"operation": request.id},
            policy=policy,
            run=run,
        )
        log.decision(made)
        self._decisions.record(protection.name, made)

    def _hand_over(self, operation: OperationId) -> None:
        payload = json.dumps({"operation": operation}).encode()
        try:
            self._functions.invoke_async("backup", payload)
        except DrError as error:
            # The queue is an accelerator: the operation is durable and `backup`'s own timer finds it.
            log.event("invocation.failed", subject=operation, because=[str(error)])


def _cursor(protection: Protection, schedule: Schedule) -> str:
    return f"{protection.name}/{schedule.name}"


def _due(protection: Protection, schedule: Schedule, standing: Standing, now: datetime) -> CatchUp:
    seen = standing.cursors.get(_cursor(protection, schedule))
    if seen is None:
        # A policy that was appended without `apply` (its last call was lost): count from just before this tick.
        seen = now - PUNCTUAL
    slots = due_slots(schedule, after=max(seen, now - LONGEST_MEMORY), until=now)
    return catch_up(slots, now=now, punctual=PUNCTUAL, each_within=timedelta.max)


def _reasons(plan: CatchUp, past_pauses: tuple[Pause, ...]) -> dict[str, tuple[datetime, ...]]:
    """The skipped slots by reason: there may be thousands, and few reasons."""
    by_reason: dict[str, list[datetime]] = {}
    for slot, missed in ((one.until, one.because) for one in plan.skipped):
        pause = next((pause for pause in past_pauses if _covers(pause, slot)), None)
        because = missed if pause is None else f"paused from {codec.second(pause.since)}: {pause.because}"
        by_reason.setdefault(because, []).append(slot)
    return {because: tuple(slots) for because, slots in by_reason.items()}


def _covers(pause: Pause, slot: datetime) -> bool:
    return pause.scope in (SCOPE, "all") and pause.since <= slot and (pause.until is None or slot <= pause.until)
