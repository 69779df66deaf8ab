"""The books of a test world: which schedules were in force when, and whether each due slot has its one end."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.accounting import Accounts, End, InForce, Owed, balance
from shared.domain.blackout import covering, windows
from shared.domain.operation import OperationKind
from shared.domain.policy import Policy, Schedule
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.apply_policy import Applied, ApplyPolicy
from shared.usecases.requests import ON_DEMAND, BackUpRequest
from tests.usecases.backup_world import START, World


def apply(world: World, policy: Policy) -> Applied:
    return ApplyPolicy(
        policies=Policies(world.store),
        controls=Controls(world.store),
        slots=Slots(world.store),
        decisions=Decisions(world.store),
        clock=world.clock,
    ).run(policy, by="test")


def end_of(slot: Slot) -> End:
    return End(
        subject=slot.subject,
        protection=slot.protection,
        schedule=slot.schedule,
        due=slot.due,
        since=slot.since,
        count=slot.count,
        taken=slot.state is not SlotState.SKIPPED,
    )


@dataclass
class Books:
    world: World
    policy: Policy
    closed: list[InForce] = field(default_factory=list)  # schedules that are not in force any more
    running: dict[tuple[str, Schedule], datetime] = field(default_factory=dict)
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    paused: datetime | None = None

    def __post_init__(self) -> None:
        self.running = {(one.name, schedule): START for one in self.policy.protections for schedule in one.schedules}

    def apply(self, policy: Policy) -> None:
        now = self.world.clock.now()
        apply(self.world, policy)
        wanted = {(one.name, schedule) for one in policy.protections for schedule in one.schedules}
        for key in self.running.keys() - wanted:
            since = self.running.pop(key)
            self.closed.append(InForce(protection=key[0], schedule=key[1], since=since, until=now))
        for key in wanted - self.running.keys():
            self.running[key] = now
        self.policy = policy

    def pause(self) -> None:
        self.world.command(command="pause", scope="backups", because="a test")
        self.paused = self.paused or self.world.clock.now()

    def resume(self) -> None:
        self.world.command(command="resume", scope="backups")
        if self.paused is not None:
            self.pauses.append((self.paused, self.world.clock.now()))
        self.paused = None

    def balance(self) -> Accounts:
        now = self.world.clock.now()
        running = [
            InForce(protection=name, schedule=schedule, since=since, until=now)
            for (name, schedule), since in self.running.items()
        ]
        ends = [end_of(slot) for slot in self.world.slots() if slot.schedule != ON_DEMAND]
        return balance([*self.closed, *running], ends, under_way=self._under_way(), excused=self._excused)

    def _under_way(self) -> set[Owed]:
        requests = (BackUpRequest.of(one) for one in self.world.journal.open_of(OperationKind.BACK_UP))
        return {(one.protection, one.schedule, one.due) for one in requests}

    def _excused(self, protection: str, due: datetime) -> bool:
        """Within a pause (at its very beginning, a snapshot may be on its way), or in a blackout."""
        if any(since < due <= until for since, until in self.pauses):
            return True
        found = self.policy.protection(protection)
        return found is not None and covering(windows(found.blackouts, after=due, until=due), due) is not None
