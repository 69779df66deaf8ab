"""What a site must carry alone is raised beside the failover, and put back with the failback."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.failover_fsm import AT_REST, State
from shared.domain.failover_safety import Kind
from shared.domain.ids import InstanceId
from shared.domain.pair import Hook, Pair, Short
from shared.ports.hooks import HookAnswer, Said
from shared.ports.scaling import ScalingGroup
from shared.state.controls import Pause
from shared.state.failovers import SwitchOrder
from tests.simulation.executors import Timers
from tests.simulation.failover_world import ADDRESS, FailoverWorld
from tests.simulation.links import ECS, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.sites import CloudWay
from tests.simulation.surge_ports import APP_H, APP_I, BEFORE, ESS, RAISED, SLB, SimScaling, Standing, surging
from tests.simulation.test_failover_stories import LOSS, served_again
from tests.simulation.world import Faults, Process, World

Open = Callable[..., FailoverWorld]


@pytest.fixture
def opened() -> Iterator[Open]:
    """With timers and executors: what is done aside runs beside the rounds, as it does in the cloud."""
    worlds: list[World] = []

    def build(*, agreed: Callable[[Pair], Pair] = surging, most: int = 10, seed: int = 1) -> FailoverWorld:
        world = World(seed, Faults.none())
        worlds.append(world)
        standing = Standing(weights=dict(BEFORE[0]), sizes=dict(BEFORE[1]), most=most)
        pair = FailoverWorld(world, restarts=0.0, block=timedelta(0), agreed=agreed, standing=standing)
        timers = Timers(pair.open(watches=()))
        for site in (H, I):
            timers.begin(site, first=30)
        return pair

    yield build
    for world in worlds:
        world.end()


def stands(pair: FailoverWorld) -> tuple[dict[InstanceId, int], dict[str, int]]:
    return pair.standing.weights, pair.standing.sizes


def fails_back(pair: FailoverWorld) -> None:
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=H, at=pair.now(), because="test", kind=Kind.FAILBACK))


def test_no_api_beside_store_agents_and_names_can_stop_or_slow_a_failover(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    cut = pair.links.cut([(watch_at(site), api) for site in (H, I) for api in (SLB, ESS, ECS)], How.SILENT)
    pair.go_dark(H)
    pair.world.run(30)

    assert served_again(pair, I) < 7.5
    assert stands(pair) == BEFORE

    pair.links.heal(cut)
    pair.world.run(60)
    assert stands(pair) == RAISED


@pytest.mark.parametrize(("down", "raised"), [(SLB, (BEFORE[0], RAISED[1])), (ESS, (RAISED[0], BEFORE[1]))])
def test_a_balancer_that_does_not_answer_keeps_no_group_from_growing_nor_the_other_way_round(
    opened: Open, down: str, raised: tuple[dict[InstanceId, int], dict[str, int]]
) -> None:
    pair = opened()
    pair.world.run(LOSS)
    cut = pair.links.cut([(watch_at(site), down) for site in (H, I)], How.SILENT)
    pair.go_dark(H)
    pair.world.run(60)
    assert stands(pair) == raised

    pair.links.heal(cut)
    pair.world.run(30)
    assert stands(pair) == RAISED
    assert (pair.failover().weights, pair.failover().sizes) == ({APP_I: 50}, {"asg-i": 2})


@pytest.mark.parametrize("slow", [SLB, ESS])
def test_a_service_that_takes_its_time_for_each_answer_does_not_keep_the_site_from_being_raised(
    opened: Open, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = CloudWay.way

    def slowly(self: CloudWay, *, writes: bool) -> bool:
        if self.service == slow:
            self.world.wait(self.process, 16)
        return way(self, writes=writes)

    monkeypatch.setattr(CloudWay, "way", slowly)
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(120)
    assert stands(pair) == RAISED


def test_the_surviving_site_is_raised_by_the_time_it_serves_and_what_stood_is_on_record_first(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)

    assert stands(pair) == RAISED
    assert max(at for at, _ in pair.standing.calls) - LOSS < 8
    decided = next(one for one in pair.decisions() if one.event == "failover.decided")
    raised = next(one for one in pair.decisions() if one.event == "surge.raised")
    assert decided.at <= raised.at
    assert pair.failover().surged == I
    assert (pair.failover().weights, pair.failover().sizes) == ({APP_I: 50}, {"asg-i": 2})


def test_the_failback_puts_back_what_stood_before_and_not_before_the_preferred_site_serves(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)
    pair.lighten(H)
    pair.world.run(20)
    fails_back(pair)
    pair.world.run(180)

    assert pair.record().value == ADDRESS[H]
    assert stands(pair) == BEFORE
    assert (pair.failover().surged, pair.failover().weights, pair.failover().sizes) == ("", {}, {})
    home = max(at for at, value in pair.rebinds if value == ADDRESS[H])
    assert all(at > home for at, what in pair.standing.calls if what in (f"{APP_I}=50", "asg-i=2"))
    assert pair.overlap() == ""


@pytest.mark.parametrize("kind", [Kind.SWITCHOVER, Kind.FAILOVER])
def test_whatever_a_planned_way_home_is_called_it_puts_back_what_stood_before(opened: Open, kind: Kind) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)
    pair.lighten(H)
    pair.world.run(20)
    assert stands(pair) == RAISED
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=H, at=pair.now(), because="test", kind=kind))
    pair.world.run(180)

    assert pair.record().value == ADDRESS[H]
    assert stands(pair) == BEFORE
    assert (pair.failover().surged, pair.failover().weights, pair.failover().sizes) == ("", {}, {})
    assert not any(what.startswith((APP_H, "asg-h")) for _, what in pair.standing.calls), "home carries its share only"


def test_a_pair_that_a_second_loss_brought_home_is_lowered_once_the_other_side_is_protected_again(opened: Open) -> None:
    """No failback ever comes: the preferred site serves already."""
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)
    pair.lighten(H)
    pair.world.run(30)
    pair.go_dark(I)
    pair.world.run(60)
    assert pair.record().value == ADDRESS[H]
    assert stands(pair) == ({APP_H: 100, APP_I: 100}, {"asg-h": 4, "asg-i": 4})
    assert pair.failover().surged == H

    pair.lighten(I)
    pair.world.run(180)
    assert pair.failover().unprotected == ""
    assert stands(pair) == BEFORE
    assert (pair.failover().surged, pair.failover().weights, pair.failover().sizes) == ("", {}, {})


def test_a_planned_move_that_is_called_off_leaves_nothing_raised(opened: Open) -> None:
    pair = opened(agreed=lambda pair: replace(surging(pair), hooks=(Hook(name="ledger", url="http://10.0.0.9/"),)))
    pair.hooks_say = HookAnswer(said=Said.VETO, why="the books are open")
    pair.world.run(LOSS)
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="test", kind=Kind.SWITCHOVER))
    pair.world.run(60)

    assert "switchover.called_off" in pair.events()
    assert pair.record().value == ADDRESS[H]
    assert stands(pair) == BEFORE
    assert pair.failover().surged == ""


def test_an_executor_that_thaws_late_reads_the_row_again_before_it_raises_anything(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read that hz-i carries all, and stood still until that was long over and forgotten."""
    pair = opened()
    frozen: list[Process] = []
    groups = SimScaling.groups

    def stands_still(scaling: SimScaling, ids: Sequence[str]) -> Mapping[str, ScalingGroup]:
        found, process = groups(scaling, ids), scaling.process
        if not frozen and pair.failover().surged == I and pair.standing.sizes["asg-i"] == BEFORE[1]["asg-i"]:
            frozen.append(process)
            pair.world.freeze(process.machine)
            pair.world.wait(process, 0.001)
        return found

    monkeypatch.setattr(SimScaling, "groups", stands_still)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.at(LOSS + 30, lambda: pair.lighten(H))
    pair.at(LOSS + 50, lambda: fails_back(pair))
    pair.world.run(250)
    assert stands(pair) == BEFORE
    assert pair.failover().sizes == {}
    raised = len(pair.standing.calls)
    pair.world.thaw(frozen[0].machine)
    pair.world.run(100)

    assert len(pair.standing.calls) == raised
    assert stands(pair) == BEFORE


def test_a_weight_lowered_by_hand_is_raised_again_unless_the_pair_is_paused(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(60)
    pair.controls().pause(Pause(scope=f"failover/{PAIR}", since=pair.now(), because="one server is ill"))
    pair.world.run(10)
    pair.standing.weights[APP_I] = 10
    pair.world.run(400)
    assert pair.standing.weights[APP_I] == 10

    pair.controls().resume(f"failover/{PAIR}", pair.now())
    pair.world.run(20)
    assert pair.standing.weights[APP_I] == 100


def test_what_somebody_raised_further_meanwhile_is_left_to_him(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)
    pair.standing.sizes["asg-i"] = 6
    pair.lighten(H)
    pair.world.run(20)
    fails_back(pair)
    pair.world.run(60)

    assert pair.record().value == ADDRESS[H]
    assert stands(pair) == (BEFORE[0], {"asg-h": 2, "asg-i": 6})


def test_a_group_that_may_not_grow_so_far_is_told_before_any_loss(opened: Open) -> None:
    pair = opened(most=3)
    pair.world.run(60)

    told = [one for one in pair.decisions() if one.event == "capacity.short"]
    assert len(told) == 1, "once, whichever of the watches found it"
    assert "may have 3 at most, and 4 are needed" in " ".join(told[0].because)
    assert "runbook: capacity-is-short" in told[0].because
    assert stands(pair) == BEFORE


def test_a_short_site_takes_over_where_the_policy_only_warns_and_grows_as_far_as_it_may(opened: Open) -> None:
    pair = opened(most=3)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(60)

    assert pair.record().value == ADDRESS[I]
    assert pair.standing.sizes == {"asg-h": 2, "asg-i": 3}


def test_a_short_site_waits_for_an_operator_where_the_policy_refuses_and_goes_on_once_there_is_room(
    opened: Open,
) -> None:
    pair = opened(agreed=lambda pair: surging(pair, Short.REFUSE), most=3)
    pair.at(LOSS + 5, lambda: pair.go_dark(H))
    pair.world.run(60)
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "asg-i may have 3 at most" in " ".join(pair.decisions()[-1].because)
    assert pair.rebinds == []

    pair.standing.most = 10
    pair.world.run(400)
    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in AT_REST
    assert pair.standing.sizes["asg-i"] == 4
