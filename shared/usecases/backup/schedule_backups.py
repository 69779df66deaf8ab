"""Timer tick -> due slots -> one durable operation each, handed to `backup`.

Crash order: cursor, then rows and operation, then invocation. The cursor moves by compare-and-set, and what becomes of
the slots that it passes stands in the same row until it is carried out. So each slot is decided once, however many
ticks run at a time; a tick that dies leaves a decision which the next one carries out, and all of that may be repeated;
an invocation that never went out is found by `backup`'s own timer. A tick with nothing due is one range read.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.blackout import Window, covering, windows
from shared.domain.catch_up import CatchUp, catch_up
from shared.domain.errors import DrError
from shared.domain.ids import OperationId, PolicyVersion
from shared.domain.policy import Schedule
from shared.domain.schedule import slots
from shared.domain.slot_owner import SlotOwner, image_rule, owners
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls, Decided, Pause, Standing
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.backup.slot_ledger import SlotLedger
from shared.usecases.requests import BackUpRequest, ImageRequest

PUNCTUAL: Final = timedelta(minutes=15)
"""A point taken within this of its due time is on time: three ticks of the five-minute timer."""
AT_ONCE: Final = timedelta(days=400)
"""What one tick accounts for at most; after a longer absence the following ticks go on from there."""
EACH_WITHIN: Final = timedelta(days=3)
"""Slots that went by within this have a row each, older ones a row per stretch."""
CLOCKS_DIFFER: Final = timedelta(minutes=15)
"""A cursor further ahead than this was moved by a clock that was wrong."""
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
        slots: Slots,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._controls = controls
        self._journal = journal
        self._ledger = SlotLedger(slots=slots, decisions=decisions)
        self._functions = functions
        self._clock = clock

    def run(self, *, run: str) -> Ticked:
        """Open what is due now. Safe to call any number of times and in parallel. Raises BadInput without a policy."""
        now = self._clock.now()
        standing = self._controls.read()
        if standing.policy is None:
            self._policies.active()  # raises, with the remedy
            raise AssertionError("a policy became active between two reads")
        # What a tick before us decided and did not live to do: also under a pause, which `backup` knows of.
        done: list[Decided] = []
        for cursor, decided in standing.undone.items():
            self._carry_out(cursor, standing.cursors[cursor], decided)
            done += decided
        pause = standing.paused(SCOPE)
        if pause is None:
            done += self._decide(standing, standing.policy, now, run)
        opened = tuple(self._request(one, one.run).id for one in done if one.run is not None)
        for operation in opened:
            self._hand_over(operation)
        return Ticked(
            opened=opened,
            skipped=sum(stretch.count for one in done for stretch in one.skipped),
            # The cursors stand still: what falls due meanwhile is accounted for, with this reason, after the resume.
            paused="" if pause is None else f"paused since {codec.second(pause.since)}: {pause.because}",
        )

    def _decide(self, standing: Standing, version: PolicyVersion, now: datetime, run: str) -> list[Decided]:
        done: list[Decided] = []
        for owner in owners(self._policies.at(version)):
            for schedule in owner.schedules:
                plan = _plan(owner, schedule, standing, now)
                if plan.seen is None:
                    continue
                decided = Decided(
                    protection=owner.name,
                    schedule=schedule.name,
                    policy=version,
                    at=now,
                    run=plan.run,
                    late=plan.late,
                    skipped=plan.skipped,
                    tick=run,
                )
                seen = standing.cursors.get(decided.cursor)
                # False: another tick, or a change of the policy, was first. What it decided holds.
                if self._controls.advance(decided.cursor, seen=seen, to=plan.seen, decided=(decided,)):
                    self._carry_out(decided.cursor, plan.seen, (decided,))
                    done.append(decided)
        return done

    def _carry_out(self, cursor: str, at: datetime, decided: Sequence[Decided]) -> None:
        for one in decided:
            self._ledger.write_down(one)
            if one.run is not None:
                because = f"slot of {codec.second(one.run)} is due by schedule {one.schedule} of {one.protection}"
                request = self._request(one, one.run)
                self._journal.open(request.operation(policy=one.policy, now=self._clock.now(), because=because))
        self._controls.carried_out(cursor, at=at, decided=decided)

    def _request(self, decided: Decided, due: datetime) -> BackUpRequest | ImageRequest:
        named = image_rule(decided.protection)
        if not named:
            return BackUpRequest(protection=decided.protection, schedule=decided.schedule, due=due)
        rule = self._policies.at(decided.policy).image(named)
        assert rule is not None, "it was decided by the policy that it names"
        return ImageRequest.of_rule(rule, asked=due, schedule=decided.schedule)

    def _hand_over(self, operation: OperationId) -> None:
        payload = json.dumps({"operation": operation}).encode()
        try:
            self._functions.invoke_async("backup", payload)
        except DrError as error:
            # The queue is an accelerator: the operation is durable and `backup`'s own timer finds it.
            log.event("invocation.failed", subject=operation, because=[str(error)])


def _plan(owner: SlotOwner, schedule: Schedule, standing: Standing, now: datetime) -> CatchUp:
    cursor = f"{owner.name}/{schedule.name}"
    seen = standing.cursors.get(cursor)
    if seen is None:
        # A policy that was appended without `apply` (its last call was lost): count from just before this tick.
        seen = now - PUNCTUAL
    if seen > now + CLOCKS_DIFFER:
        log.event(
            "cursor.ahead", subject=cursor, because=[f"nothing is due before {codec.second(seen)}: a clock was wrong"]
        )
    until = min(now, seen + AT_ONCE)
    if until <= seen:
        return CatchUp()
    due = tuple(slots(schedule, after=seen, until=until))
    if not due:
        return CatchUp()
    closed = windows(owner.blackouts, after=seen, until=now)
    return catch_up(
        due,
        now=now,
        punctual=PUNCTUAL,
        excuse=_excuse(standing.past_pauses, closed, too_old=until < now),
        closed=covering(closed, now) is not None,
        each_within=EACH_WITHIN,
    )


def _excuse(past: Sequence[Pause], closed: Sequence[Window], *, too_old: bool) -> Callable[[datetime], str | None]:
    """Why a slot is not taken: it fell due in a pause or a blackout, or a pause came before it could be caught up (a
    resume runs nothing before the next due time), or it is so old that this tick does not even reach the present."""
    pauses = sorted((one for one in past if one.scope in (SCOPE, "all")), key=lambda one: one.since)

    def excuse(slot: datetime) -> str | None:
        later = [one for one in pauses if one.until is not None and slot <= one.until]
        paused = next((one for one in later if one.since <= slot), None)
        if paused is not None:
            return f"paused from {codec.second(paused.since)}: {paused.because}"
        window = covering(closed, slot)
        if window is not None:
            return window.because
        if later:
            pause = later[0]
            return f"missed, then paused from {codec.second(pause.since)}: {pause.because}"
        return "missed: nothing ran when it was due" if too_old else None

    return excuse
