"""Drawn bad days of pairs without agents: nobody takes over from a master that is at work, nothing is touched before
the row says so, and all comes to rest. Each guard broken on purpose is noticed; wherever a watch dies, the end is the
same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from shared.domain import detection
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import SiteName
from shared.domain.pair import Fence
from shared.state.failovers import SwitchOrder
from shared.usecases.failover.fencing import Fencing
from shared.usecases.failover.isolation import Isolate
from shared.usecases.failover.old_side import Stop
from tests.guards import Caught
from tests.simulation.broken import Broken
from tests.simulation.failover_world import ADDRESS
from tests.simulation.links import How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.unattended import ISOLATE, STOP, UnattendedWorld
from tests.simulation.unattended_days import lived
from tests.simulation.unattended_wide import WIDE, Wide
from tests.simulation.world import Faults, World

LOSS = 20.0
SEEDS = 400


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_bad_days_end_well(first: int) -> None:
    for seed in range(first, first + 20):
        day = lived(seed)
        assert day.failures == [], day.story


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_days_with_orders_and_meddling_end_well_and_fence_no_healthy_master(first: int) -> None:
    for seed in range(first, first + 20):
        day = lived(seed, kind=Wide, menu=WIDE)
        assert (day.failures, day.needless) == ([], []), day.story


@pytest.mark.parametrize("seed", [182, 1183, 2522])
def test_a_watch_that_stood_still_for_a_while_takes_over_from_no_master_that_serves(seed: int) -> None:
    """On these days nobody drove the fence on for a while, or a watch stood still between two probes."""
    day = lived(seed, kind=Wide, menu=WIDE)
    assert (day.failures, day.needless) == ([], []), day.story


# Guards, broken on purpose --------------------------------------------------------------------------------------------


def bad_days() -> Sequence[str]:
    return next((day.failures for day in map(lived, range(SEEDS)) if day.failures), [])


def story(
    happens: Callable[[UnattendedWorld], object],
    *,
    watches: tuple[SiteName, ...] = (H, I),
    seconds: float = 120.0,
    **more: object,
) -> UnattendedWorld:
    world = World(1, Faults.none())
    pair = UnattendedWorld(world, **more).open(watches=watches)  # type: ignore[arg-type]  # fields by name
    try:
        pair.at(LOSS, lambda: happens(pair))
        world.run(LOSS + seconds)
    finally:
        world.end()
    return pair


def healthy_ones_stopped(pair: UnattendedWorld) -> Sequence[str]:
    return [f"{site} was stopped at {at:.1f}" for at, site, at_work in pair.stops if at_work]


def unseen_by_one() -> Sequence[str]:
    """One watch runs, and cannot reach a master that is well."""
    cut = [(watch_at(I), H)]
    return healthy_ones_stopped(story(lambda pair: pair.links.cut(cut, How.SILENT), watches=(I,)))


def unseen_from_its_own_side() -> Sequence[str]:
    """The same beside the master, for a quorum of one."""
    cut = [(watch_at(H), H)]
    return healthy_ones_stopped(story(lambda pair: pair.links.cut(cut, How.SILENT), watches=(H,), quorum=1))


def dark_and_isolated() -> Sequence[str]:
    return story(lambda pair: pair.go_dark(H), fence=ISOLATE).wrong


def leaking() -> Sequence[str]:
    """Connections outlive the isolation, and each third question of ours is answered."""
    return story(lambda pair: pair.unready.add(H), fence=ISOLATE, survive=True, heard_each=3).wrong


def leaking_then_dark() -> Sequence[str]:
    def happens(pair: UnattendedWorld) -> None:
        pair.unready.add(H)
        pair.at(LOSS + 25, lambda: pair.go_dark(H))

    return story(happens, watches=(I,), quorum=1, fence=ISOLATE, survive=True).wrong


def forced_while_it_answers() -> Sequence[str]:
    def happens(pair: UnattendedWorld) -> None:
        order = SwitchOrder(
            pair=PAIR, to_site=I, at=pair.now(), because="test", kind=Kind.FAILOVER, force=(Rule.FENCE,), id="o-1"
        )
        pair.orders().give(order)

    return story(happens, fence=ISOLATE, survive=True).wrong


@dataclass(frozen=True)
class Planted:
    what: str
    broken: Broken
    noticed_by: Callable[[], Sequence[str]] = bad_days


PLANTED = [
    Planted(
        "one witness is enough", Broken(detection, "_agreed", ("if len(voices) < quorum:", "if False:")), unseen_by_one
    ),
    Planted(
        "nobody looks from the standby's side",
        Broken(detection, "_agreed", ("if not any(o.witness", "if False and not any(o.witness")),
        unseen_from_its_own_side,
    ),
    Planted(
        "a stop is not read back",
        Broken(Stop, "step", ("if found.state is InstanceState.STOPPED:", "if self._asked > 0:")),
    ),
    Planted(
        "a machine that is stopping counts as stopped",
        Broken(Stop, "step", ("is InstanceState.STOPPED", "in (InstanceState.STOPPED, InstanceState.STOPPING)")),
    ),
    Planted("a stop is asked before the row says so", Broken(Stop, "step", ("if not row:", "if False:"))),
    Planted(
        "an isolation counts at once",
        Broken(Isolate, "_after", ("if silent < proof or self._silent_looks < LEAST_LOOKS:", "if False:")),
        leaking,
    ),
    Planted(
        "the connection that stood before is not asked",
        Broken(Isolate, "_voice", ("if self._line is not None:", "if False:")),
        leaking,
    ),
    Planted(
        "the silence of before counts",
        Broken(Isolate, "_before", ("if not heard:", "if False:")),
        dark_and_isolated,
    ),
    Planted(
        "a later silence is taken for the isolation's",
        Broken(Isolate, "_after", ("leaks = now", "leaks = False and now")),
        leaking_then_dark,
    ),
    Planted(
        "an order overrides the fence of a master that answers",
        Broken(Fencing, "_overridden", ("or step.alive:", "or False:")),
        forced_while_it_answers,
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
def test_a_broken_guard_is_noticed(planted: Planted, monkeypatch: pytest.MonkeyPatch, caught: Caught) -> None:
    planted.broken.plant(monkeypatch)

    assert planted.noticed_by()
    caught(planted.what)


@pytest.mark.parametrize(
    "noticed_by", {one.noticed_by for one in PLANTED} - {bad_days}, ids=lambda one: str(getattr(one, "__name__", one))
)
def test_with_every_guard_the_same_story_ends_well(noticed_by: Callable[[], Sequence[str]]) -> None:
    assert noticed_by() == []


# Interruptions --------------------------------------------------------------------------------------------------------


def interrupted(fence: Fence, struck: str, wait: int) -> str:
    """What is wrong at the end, when a watch dies at its n-th wait after the loss; empty when nothing is."""
    world = World(3, Faults.none())
    pair = UnattendedWorld(world, fence=fence).open()
    process = next(one for one in world.processes() if one.name == struck)

    def happens() -> None:
        (pair.dead if fence is STOP else pair.unready).add(H)
        process.dies_in = wait

    try:
        pair.at(LOSS, happens)
        world.run(LOSS + 60)
        while pair.record().value != ADDRESS[I] and world.now < LOSS + 240:
            world.run(10.0)
        found = [*pair.wrong, *([] if pair.active() == {I} else [f"active: {sorted(pair.active())}"])]
    finally:
        world.end()
    return "; ".join(found)


@pytest.mark.parametrize("fence", [STOP, ISOLATE], ids=lambda fence: str(fence.by))
@pytest.mark.parametrize("struck", ["watch-i", "watch-h"])
def test_wherever_a_watch_dies_the_old_master_is_fenced_and_the_name_moves(fence: Fence, struck: str) -> None:
    wrong = {wait: said for wait in range(1, 90, 2) if (said := interrupted(fence, struck, wait))}

    assert wrong == {}
