"""Masters with agents whose policy has the old machine stopped besides: its lease is over first, then it is stopped and
read back, and only then the other side is promoted. Virtual seconds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from emulator import deeds
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import InstanceId, SiteName
from shared.domain.pair import Fence, FenceBy
from shared.state.failovers import SwitchOrder
from shared.state.leases import TABLE as LEASES
from shared.usecases.failover.aside import Run
from shared.usecases.failover.watch import Ports
from tests.simulation.failover_world import ADDRESS, INSTANCE, FailoverWorld
from tests.simulation.links import ECS, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.sites import CloudWay
from tests.simulation.unattended import ZONE, FollowedInventory
from tests.simulation.world import EPOCH, Faults, Process, World
from understudy.simulation.instances import InProcessInstances

LOSS = 20.0


@dataclass
class StoppedWorld(FailoverWorld):
    """A machine that stops takes its agent with it."""

    stops: list[tuple[float, SiteName]] = field(default_factory=list)
    taken: list[tuple[float, str]] = field(default_factory=list)  # when the row named whom, and what his machine was
    wrong: list[str] = field(default_factory=list)
    forced: bool = False

    def open(self, *, watches: Sequence[SiteName] = (H, I)) -> "StoppedWorld":
        super().open(watches=watches)
        self.at(0.0, self._look)
        return self

    def follow(self) -> None:
        behind = EPOCH + timedelta(seconds=self.world.now) - self.cloud.clock.now()
        if behind > timedelta(0):
            self.cloud.clock.advance(behind)

    def state_of(self, site: SiteName) -> str:
        self.follow()
        return str(self.cloud.ecs.instances[INSTANCE[site]].state)

    def _look(self) -> None:
        for site in (H, I):
            if self.state_of(site) == "Stopped":
                self.dead.add(site)
        row = self.rows.table(LEASES).get((PAIR,))
        if row is not None and str(row["owner"]) == I and not self.taken:
            self.taken.append((self.world.now, self.state_of(H)))
            if self.state_of(H) != "Stopped" and not self.forced:
                self.wrong.append(f"{I} took over while the machine of {H} was {self.state_of(H)}")
        self.world.later(0.05, self._look)

    def go_dark(self, site: SiteName) -> None:
        super().go_dark(site)
        self.cloud.do(deeds.set_dark, zone=ZONE[site], dark=True)

    def ports(self, process: Process, site: SiteName, *, aside: Run = lambda look: look()) -> Ports:
        place = watch_at(site)
        return replace(
            super().ports(process, site, aside=aside),
            inventory=FollowedInventory(self, process, place),  # type: ignore[arg-type]  # it follows as that one does
            instances=Stops(self, process, place),  # type: ignore[arg-type]  # what a watch calls of it
        )


class Stops:
    def __init__(self, pair: StoppedWorld, process: Process, place: str) -> None:
        self._pair, self._way = pair, CloudWay(pair, process, place, ECS)

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        pair = self._pair
        if pair.failover().fence.get("instance") != instance:
            pair.wrong.append(f"{instance} was stopped before its failover's row said so")
        self._way.way(writes=True)
        pair.follow()
        InProcessInstances(pair.cloud).stop(instance, force=force)
        pair.stops.append((pair.world.now, next(site for site, one in INSTANCE.items() if one == instance)))


Open = Callable[..., StoppedWorld]


@pytest.fixture
def opened() -> Iterator[Open]:
    worlds: list[World] = []

    def build(*, seed: int = 1) -> StoppedWorld:
        world = World(seed, Faults.none())
        worlds.append(world)
        stopped = StoppedWorld(world, restarts=0.0, agreed=lambda pair: replace(pair, fence=Fence(by=FenceBy.STOP)))
        return stopped.open()

    yield build
    for world in worlds:
        world.end()


def order(pair: StoppedWorld, kind: Kind, *force: Rule) -> None:
    pair.orders().give(
        SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="test", kind=kind, by="ada", force=force, id="o-1")
    )


def sound(pair: StoppedWorld) -> None:
    assert pair.overlap() == ""
    assert pair.wrong == []


@pytest.mark.parametrize("seed", range(5))
def test_the_machine_is_stopped_after_its_lease_and_before_the_other_side_is_promoted(opened: Open, seed: int) -> None:
    pair = opened(seed=seed)
    pair.at(LOSS, lambda: pair.dead.add(H))
    pair.world.run(LOSS + 90)

    sound(pair)
    assert pair.record().value == ADDRESS[I]
    [(at, was)] = pair.taken
    assert was == "Stopped"
    assert max(pair.accepted_by(H)) + 1.0 < pair.stops[0][0] < at, "the lease is over before anything is stopped"
    assert {site for _, site in pair.stops} == {H}


def test_a_dark_zone_cannot_be_shown_to_be_off_and_only_an_order_goes_on(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(LOSS + 120)
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "old-side-cannot-be-fenced" in " ".join(" ".join(one.because) for one in pair.decisions())
    assert pair.rebinds == []
    sound(pair)

    pair.forced = True
    order(pair, Kind.FAILOVER, Rule.FENCE)
    pair.world.run(30)

    sound(pair)
    assert pair.record().value == ADDRESS[I]


def test_a_planned_move_whose_old_machine_cannot_be_stopped_gives_the_old_side_its_lease_back(opened: Open) -> None:
    """Never both off: it gave its lease back for the move, and stands ready."""
    pair = opened()
    pair.world.run(LOSS)
    for site in (H, I):
        pair.links.cut([(watch_at(site), ECS)], How.SILENT)
    order(pair, Kind.SWITCHOVER)
    pair.world.run(LOSS + 120)

    sound(pair)
    assert pair.record().value == ADDRESS[H]
    assert max(pair.accepted_by(H)) > pair.world.now - 2, "somebody serves"


def test_a_switchover_stops_the_old_machine_too(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    order(pair, Kind.SWITCHOVER)
    pair.world.run(90)

    sound(pair)
    assert pair.record().value == ADDRESS[I]
    assert pair.state_of(H) == "Stopped"


def test_what_could_not_be_fenced_once_is_tried_again_at_the_next_loss(opened: Open) -> None:
    """Meanwhile it was well; and at the next loss something else first called an operator."""
    pair = opened()
    pair.world.run(LOSS)
    cuts = [pair.links.cut([(watch_at(site), ECS)], How.SILENT) for site in (H, I)]
    pair.dead.add(H)
    pair.world.run(100)
    assert pair.failover().state is State.NEEDS_OPERATOR
    pair.dead.discard(H)
    pair.world.run(20)
    assert pair.failover().state is State.WATCHING
    for cut in cuts:
        pair.links.heal(cut)

    pair.unready.add(I)
    pair.dead.add(H)
    pair.world.run(30)
    assert pair.failover().state is State.NEEDS_OPERATOR
    pair.unready.discard(I)
    pair.world.run(90)

    sound(pair)
    assert pair.record().value == ADDRESS[I]


def test_a_lease_that_goes_back_to_its_old_holder_blocks_no_failover(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    cuts = [pair.links.cut([(watch_at(site), ECS)], How.SILENT) for site in (H, I)]
    order(pair, Kind.SWITCHOVER)
    pair.world.run(120)
    assert max(pair.accepted_by(H)) > pair.world.now - 2
    for cut in cuts:
        pair.links.heal(cut)

    pair.dead.add(H)
    pair.world.run(90)

    sound(pair)
    assert pair.record().value == ADDRESS[I]
