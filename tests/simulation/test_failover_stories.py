"""A pair on a bad day, each loss by its name, with the real watches, agents and state table. Virtual seconds."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from shared.domain.failover_fsm import AT_REST, State
from shared.domain.ids import SiteName
from shared.domain.pair import NameRule, Pair
from shared.state.controls import Pause
from shared.state.failovers import SwitchOrder
from tests.simulation.failover_world import ADDRESS, FailoverWorld
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import Faults, World

Open = Callable[..., FailoverWorld]
LOSS = 10.0


@pytest.fixture
def opened() -> Iterator[Open]:
    worlds: list[World] = []

    def build(
        *,
        seed: int = 1,
        watches: tuple[SiteName, ...] = (H, I),
        block: float = 3600.0,
        more_names: tuple[NameRule, ...] = (),
        agreed: Callable[[Pair], Pair] = lambda pair: pair,
    ) -> FailoverWorld:
        world = World(seed, Faults.none())
        worlds.append(world)
        made = FailoverWorld(world, restarts=0.0, block=timedelta(seconds=block), more_names=more_names, agreed=agreed)
        return made.open(watches=watches)

    yield build
    for world in worlds:
        world.end()


def served_again(pair: FailoverWorld, site: SiteName) -> float:
    """Seconds from the loss to the first command that `site` accepted with the name pointing to it."""
    bound = next(at for at, value in pair.rebinds if value == ADDRESS[site])
    return min(at for at in pair.accepted_by(site) if at >= bound) - LOSS


def test_nothing_is_promoted_while_the_store_cannot_be_read(opened: Open) -> None:
    pair = opened()

    def cut_off() -> None:
        for process in pair.world._processes:
            process.unreachable_until = 40.0

    pair.at(LOSS, cut_off)
    pair.world.run(39)

    assert pair.rebinds == []
    assert {one.epoch for one in pair.accepted} == {1}
    assert not pair.accepted_by(H, after=LOSS + 5), "without the store it stops at its deadline"
    pair.world.run(30)
    assert pair.active() == {H} or pair.active() == {I}


def test_a_dark_site_is_failed_over_in_order_and_in_time(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)

    assert pair.active() == {I}
    assert pair.record().value == ADDRESS[I]
    assert pair.record().remark == "epoch=2"
    assert pair.overlap() == ""
    wanted = ["failover.suspecting", "failover.decided", "failover.promoting", "failover.rebinding",
              "failover.confirming", "failover.watching", "failover.completed", "pair.unprotected"]  # fmt: skip
    assert pair.events() == wanted
    assert served_again(pair, I) < 7.5


def test_the_phases_of_a_failover_add_up_to_its_total(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)

    failover, done = pair.failover(), next(one for one in pair.decisions() if one.event == "failover.completed")
    assert list(json.loads(done.inputs["seconds"])) == ["detect", "decide", "fence", "promote", "rebind", "serve"]
    assert set(failover.ended) == set(failover.seconds)
    assert float(done.inputs["total"]) == pytest.approx(sum(failover.seconds.values()), abs=0.01)
    assert 4 < failover.seconds["detect"] < 7


def test_a_killed_agent_is_failed_over_though_its_site_is_well(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.dead.add(H))
    pair.world.run(30)

    assert pair.record().value == ADDRESS[I]
    assert max(pair.accepted_by(H)) < LOSS + 5
    assert served_again(pair, I) < 8
    assert pair.overlap() == ""
    assert pair.events().count("failover.completed") == 1, "both watches worked, one recorded the end"


def test_a_master_that_is_not_well_gives_its_lease_back_and_nobody_waits_for_it(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.unready.add(H))
    pair.world.run(30)

    assert served_again(pair, I) < 4
    assert pair.overlap() == ""


def test_a_witness_that_sees_nobody_does_nothing_while_the_lease_is_renewed(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.at(LOSS, lambda: pair.blind.add(I))
    pair.world.run(40)

    assert pair.rebinds == []
    assert pair.active() == {H}
    withheld = [one for one in pair.decisions() if one.event == "failover.withheld"]
    assert len(withheld) == 1
    assert not withheld[0].acted
    assert "the witness is cut off" in " ".join(withheld[0].because)


def test_with_an_unfit_standby_an_operator_is_called_and_a_fit_one_goes_on(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.dead.add(I)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "hz-i" in pair.failover().because
    assert pair.rebinds == []

    pair.dead.discard(I)
    pair.world.run(20)

    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in AT_REST


def test_a_pause_keeps_everything_where_it_is_until_it_ends(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.controls().pause(Pause(scope="failover", since=pair.now(), because="maintenance"))
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)
    assert pair.failover().state is State.PAUSED
    assert pair.rebinds == []

    pair.controls().resume("failover", pair.now())
    pair.world.run(20)

    assert pair.record().value == ADDRESS[I]


def test_a_second_failover_soon_after_the_first_waits_for_an_acknowledgement(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(30)
    assert pair.record().value == ADDRESS[I]
    pair.lighten(H)
    pair.world.run(10)

    pair.go_dark(I)
    pair.world.run(30)
    assert pair.failover().state is State.BLOCKED
    assert pair.record().value == ADDRESS[I]
    blocked = next(one for one in pair.decisions() if one.event == "failover.blocked")
    assert "understudy acknowledge control" in " ".join(blocked.because)

    pair.controls().acknowledge(PAIR, pair.now())
    pair.world.run(20)
    assert pair.record().value == ADDRESS[H]
    assert pair.record().remark == "epoch=3"
    assert pair.overlap() == ""


def test_a_name_changed_by_hand_is_bound_again_to_the_newest_holder(opened: Open) -> None:
    pair = opened(watches=(H,))
    pair.world.run(10)
    pair.cloud.pvtz.update_record(
        int(pair.record().record_id), rr="master", type="A", value="10.9.9.9", ttl=5, priority=None
    )
    pair.world.run(15)

    assert pair.record().value == ADDRESS[H]
    assert "name.reasserted" in pair.events()


def test_a_second_record_beside_the_first_is_never_touched(opened: Open) -> None:
    pair = opened(watches=(I,))
    zone = next(iter(pair.cloud.pvtz.zones.values()))
    pair.cloud.pvtz.add_record(zone.id, rr="master", type="A", value="10.9.9.9", ttl=5)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(40)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "2 records" in pair.failover().because
    assert pair.rebinds == []
    assert pair.active() == {I}, "it serves; only its name does not move"


def test_when_the_name_service_comes_back_the_rebind_is_finished(opened: Open) -> None:
    pair = opened(watches=(I,))
    pair.names_down = True
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.at(70.0, lambda: setattr(pair, "names_down", False))
    pair.world.run(60)
    assert pair.failover().state is State.NEEDS_OPERATOR
    pair.world.run(60)

    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in AT_REST


def test_a_switchover_stops_the_old_side_first_and_waits_for_no_lease(opened: Open) -> None:
    pair = opened(watches=(H,))
    pair.world.run(LOSS)
    pair.orders().give(SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="maintenance of hz-h"))
    pair.world.run(20)

    assert pair.record().value == ADDRESS[I]
    assert pair.active() == {I}
    assert pair.overlap() == ""
    assert pair.orders().pending(PAIR) is None
    assert pair.failover().planned
    assert pair.failover().automatic_at is None, "a planned move starts no anti-flapping block"
    assert "switchover.completed" in pair.events()
    assert min(pair.accepted_by(I)) - max(pair.accepted_by(H)) < 4


def test_a_calm_minute_writes_no_decision_at_all(opened: Open) -> None:
    pair = opened()
    pair.world.run(75)

    assert pair.events() in ([], ["failover.withheld"])
    assert pair.rebinds == []
    assert pair.record().remark == "epoch=1"


@pytest.mark.parametrize("call", range(1, 120, 3))
def test_wherever_a_watch_dies_in_a_failover_the_end_is_the_same(opened: Open, call: int) -> None:
    pair = opened(watches=(I,))
    pair.world.run(LOSS)
    pair.go_dark(H)
    pair.world.run(4.0)
    pair.crash["watch-i"] = pair.calls["watch-i"] + call
    pair.world.run(60)

    assert pair.record().value == ADDRESS[I]
    assert pair.record().remark == "epoch=2"
    assert pair.failover().state in AT_REST
    assert pair.active() == {I}
    assert pair.overlap() == ""
