"""A pair without agents on a bad day: its old master is stopped or isolated, that is read back, and only then the name
moves. Virtual seconds."""

from collections.abc import Callable, Iterator

import pytest

from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import Epoch, SiteName
from shared.state.failovers import SwitchOrder
from tests.simulation.failover_world import ADDRESS, INSTANCE
from tests.simulation.links import STORE, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.unattended import ISOLATE, SHUT, UnattendedWorld
from tests.simulation.world import Faults, World

Open = Callable[..., UnattendedWorld]
LOSS = 20.0


@pytest.fixture
def opened() -> Iterator[Open]:
    worlds: list[World] = []

    def build(*, seed: int = 1, watches: tuple[str, ...] = (H, I), **more: object) -> UnattendedWorld:
        world = World(seed, Faults.none())
        worlds.append(world)
        pair = UnattendedWorld(world, **more)  # type: ignore[arg-type]  # fields by name
        return pair.open(watches=watches)  # type: ignore[arg-type]  # sites

    yield build
    for world in worlds:
        world.end()


def state_of(pair: UnattendedWorld, site: str) -> str:
    pair.follow()
    return pair.cloud.ecs.instances[INSTANCE[site]].state  # type: ignore[index]  # sites


def order(pair: UnattendedWorld, kind: Kind, *force: Rule, to: SiteName = I, epoch: int | None = None) -> None:
    made = SwitchOrder(
        pair=PAIR,
        to_site=to,
        at=pair.now(),
        because="test",
        kind=kind,
        by="ada",
        force=force,
        epoch=None if epoch is None else Epoch(epoch),
        id=f"o-{kind}",
    )
    pair.orders().give(made)


def test_in_a_dark_zone_nothing_can_be_shown_to_be_off_so_an_operator_is_called(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(LOSS + 120)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "runbook: old-side-cannot-be-fenced" in " ".join(pair.decisions()[-1].because) + pair.failover().because
    assert pair.record().value == ADDRESS[H]
    assert pair.failover().fence["instance"] == INSTANCE[H]
    begun = pair.events().count("failover.decided")
    pair.world.run(200)
    assert pair.events().count("failover.decided") == begun, "what cannot be fenced is not tried again and again"


def test_an_order_that_names_the_risk_goes_on_without_the_proof(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(LOSS + 120)
    pair.forced = True

    order(pair, Kind.FAILOVER, Rule.FENCE)
    pair.world.run(30)

    assert pair.record().value == ADDRESS[I]
    told = " ".join(" ".join(one.because) for one in pair.decisions())
    assert "overridden by ada" in told
    [decided] = [one for one in pair.decisions() if one.inputs.get("overrode")]
    assert decided.inputs["overrode"] == "fence"


def test_no_order_overrides_the_fence_of_a_master_that_answers(opened: Open) -> None:
    pair = opened(fence=ISOLATE, survive=True)
    pair.world.run(LOSS)
    order(pair, Kind.FAILOVER, Rule.FENCE)
    pair.world.run(40)

    assert pair.changes, "it was tried"
    assert pair.record().value == ADDRESS[H]


def test_a_watch_that_alone_cannot_see_the_master_stops_nothing(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.links.cut([(watch_at(I), H)], How.SILENT))
    pair.world.run(LOSS + 60)

    assert pair.stops == []
    assert pair.failover().state in (State.WATCHING, State.SUSPECTING)
    assert state_of(pair, H) == "Running"


def test_one_witness_is_not_enough(opened: Open) -> None:
    """The other watch never ran, and the platform says Running: there is one voice."""
    pair = opened(watches=(I,))
    pair.at(LOSS, lambda: pair.links.cut([(watch_at(I), H)], How.SILENT))
    pair.world.run(LOSS + 60)

    assert pair.stops == []
    assert pair.failover().state is State.NEEDS_OPERATOR
    told = [" ".join(one.because) for one in pair.decisions() if one.event == "failover.needs_operator"]
    assert len(told) == 1
    assert "too few witnesses agree (1 of 2 needed: the network from hz-i)" in told[0]
    assert "runbook: loss-is-not-certain" in told[0]
    assert "failover.decided" not in pair.events()


def test_a_watch_that_died_before_is_no_voice_for_a_loss(opened: Open) -> None:
    """It fell silent, and the master was seen well for half a minute after: one has nothing to do with the other."""
    pair = opened()
    pair.at(LOSS, lambda: pair.links.cut([(watch_at(H), STORE)], How.SILENT))
    pair.at(LOSS + 30, lambda: pair.links.cut([(watch_at(I), H)], How.SILENT))
    pair.world.run(LOSS + 30 + 60)

    assert pair.stops == []
    assert "failover.decided" not in pair.events()
    told = [" ".join(one.because) for one in pair.decisions() if one.event == "failover.needs_operator"]
    assert len(told) == 1
    assert "1 of 2 needed" in told[0]


def test_a_watch_that_died_before_is_no_voice_to_one_that_comes_later(opened: Open) -> None:
    """A new function instance knows neither when the other watch fell silent nor that the master was well meanwhile."""
    pair = opened()
    pair.at(LOSS, lambda: pair.links.cut([(watch_at(H), STORE)], How.SILENT))

    def begins_anew() -> None:
        pair.links.cut([(watch_at(I), H)], How.SILENT)
        pair.crash["watch-i"] = pair.calls["watch-i"] + 1

    pair.at(LOSS + 30, begins_anew)
    pair.world.run(LOSS + 30 + 90)

    assert pair.stops == []
    told = [" ".join(one.because) for one in pair.decisions() if one.event == "failover.needs_operator"]
    assert len(told) == 1
    assert "1 of 2 needed" in told[0]


def test_a_watch_that_hears_neither_service_is_cut_off_itself(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.links.cut([(watch_at(I), H), (watch_at(I), I)], How.SILENT))
    pair.world.run(LOSS + 60)

    assert pair.stops == []


def test_a_master_whose_process_dies_is_stopped_before_the_name_moves(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.dead.add(H))
    pair.world.run(LOSS + 100)

    assert state_of(pair, H) == "Stopped"
    assert pair.record().value == ADDRESS[I]
    assert pair.failover().state in (State.WATCHING, State.REPROTECTING)
    assert pair.events().count("failover.completed") == 1
    asked, _, _ = pair.stops[0]
    assert asked < pair.rebinds[0][0]
    assert asked - LOSS < 12
    assert pair.rebinds[0][0] - asked < 45, "what the platform takes for a stop, and little more"
    assert pair.wrong == []


def test_a_host_that_fails_is_stopped_so_that_the_platform_does_not_bring_it_back(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.host_fails(H))
    pair.world.run(LOSS + 400)

    assert state_of(pair, H) == "Stopped"
    assert pair.record().value == ADDRESS[I]
    assert pair.wrong == []


def test_a_master_that_answers_again_in_time_is_left_alone(opened: Open) -> None:
    pair = opened()
    pair.at(LOSS, lambda: pair.dead.add(H))
    pair.at(LOSS + 4, lambda: pair.dead.discard(H))
    pair.world.run(LOSS + 40)

    assert pair.stops == []
    assert pair.failover().state is State.WATCHING


def test_a_switchover_stops_the_old_master_first(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    order(pair, Kind.SWITCHOVER)
    pair.world.run(80)

    assert state_of(pair, H) == "Stopped"
    assert pair.record().value == ADDRESS[I]
    assert pair.wrong == []


def test_an_isolated_master_counts_as_off_once_its_connections_are_dead_for_a_while(opened: Open) -> None:
    pair = opened(fence=ISOLATE)
    pair.at(LOSS, lambda: pair.unready.add(H))
    pair.world.run(LOSS + 60)

    assert pair.record().value == ADDRESS[I]
    moved, _ = pair.changes[0]
    assert pair.rebinds[0][0] - moved >= ISOLATE.proof.total_seconds()
    assert pair.failover().fence["groups"] == "sg-t", "what it belonged to is remembered"
    assert pair.failover().fence["into"] == SHUT
    assert pair.wrong == []


def test_connections_that_outlive_the_isolation_keep_the_name_where_it_is(opened: Open) -> None:
    pair = opened(fence=ISOLATE, survive=True)
    pair.at(LOSS, lambda: pair.unready.add(H))
    pair.world.run(LOSS + 120)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert pair.record().value == ADDRESS[H]
    assert pair.wrong == []


def test_silence_that_was_there_before_an_isolation_proves_nothing(opened: Open) -> None:
    pair = opened(fence=ISOLATE)
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(LOSS + 120)

    assert pair.changes == [], "what cannot be proven is not begun"
    assert pair.record().value == ADDRESS[H]
    assert pair.failover().state is State.NEEDS_OPERATOR


def test_the_first_lease_is_the_preferred_sites_and_a_lost_row_calls_an_operator(opened: Open) -> None:
    pair = opened()
    pair.world.run(LOSS)
    row = pair.rows.table("leases")[(PAIR,)]
    assert (row["owner"], row["epoch"], row["holder"]) == (H, 1, "no agent")

    pair.rows.table("leases").clear()
    pair.world.run(70)

    assert pair.rows.table("leases") == {}
    assert pair.failover().state is State.NEEDS_OPERATOR


def lease_lost(pair: UnattendedWorld) -> None:
    pair.world.run(LOSS)
    pair.rows.table("leases").clear()
    pair.world.run(20)


def test_a_lease_restored_for_the_other_site_has_the_master_at_work_stopped_first(opened: Open) -> None:
    """Nobody asks such a master whether it is active: it serves until it is fenced, whatever the row says."""
    pair = opened()
    lease_lost(pair)
    order(pair, Kind.RESTORE, to=I, epoch=9)
    pair.world.run(80)

    assert pair.record().value == ADDRESS[I]
    assert state_of(pair, H) == "Stopped"
    assert pair.stops[0][0] < pair.rebinds[0][0]
    assert pair.rows.table("leases")[(PAIR,)]["epoch"] == 9


def test_a_lease_restored_for_the_site_that_serves_stops_nobody(opened: Open) -> None:
    pair = opened()
    lease_lost(pair)
    order(pair, Kind.RESTORE, to=H, epoch=9)
    pair.world.run(80)

    assert pair.stops == []
    row = pair.rows.table("leases")[(PAIR,)]
    assert (row["owner"], row["epoch"]) == (H, 9)
    assert pair.failover().state is State.WATCHING
    assert pair.record().value == ADDRESS[H]
