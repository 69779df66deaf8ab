"""A failover or switchover in a quiet world, with one process ended or stopped at one of its waits: before or after any
of its calls to the store, the name service, an agent or the inventory.

    python -m tests.simulation.interruptions      every wait of every process of every scenario, counted
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.failover_fsm import AT_REST
from shared.domain.failover_safety import Kind
from shared.domain.ids import InstanceId
from shared.domain.pair import Pair
from shared.state.failovers import Failovers, SwitchOrder
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.seeds import untimely
from tests.simulation.surge_ports import APP_H, APP_I, BEFORE, RAISED, surging
from tests.simulation.world import Faults, Process, World

BEGIN = 10.0
UNDER_WAY = 12.0  # seconds in which a process is struck
LIVES = 150.0  # what stood before a surge is remembered for a minute, counted anew when the row changes
AT_LEAST = 25.0  # then it may end as soon as all is well
STOPPED_FOR = 12.0  # longer than a lease and a failover
SEED = 3

Strike = Callable[[Process, int], None]


@dataclass(frozen=True)
class Scenario:
    name: str
    happens: Callable[[FailoverWorld], object]
    struck: tuple[str, ...]  # processes
    old_side_is_well: bool = False
    agreed: Callable[[Pair], Pair] = lambda pair: pair
    before: Callable[[FailoverWorld], object] = lambda pair: None
    ends_otherwise: Callable[[FailoverWorld], str] = lambda pair: ""


def _moved_here_by_a_loss(pair: FailoverWorld) -> None:
    """The site that serves carries more than its share since then; the one that is preferred is the other."""
    pair.standing.weights, pair.standing.sizes = {APP_H: 100, APP_I: 50}, {"asg-h": 4, "asg-i": 2}
    row = replace(pair.failover(), surged=H, weights={APP_H: 50}, sizes={"asg-h": 2})
    Failovers(TruthStore(pair.rows)).save(row)


def _stands(weights: Mapping[InstanceId, int], sizes: Mapping[str, int]) -> Callable[[FailoverWorld], str]:
    def compared(pair: FailoverWorld) -> str:
        found = (pair.standing.weights, pair.standing.sizes)
        return "" if found == (weights, sizes) else f"weights and sizes are {found}"

    return compared


def _put_back(pair: FailoverWorld) -> str:
    row = pair.failover()
    kept = f"{row.surged} {dict(row.weights)} {dict(row.sizes)}" if row.surged or row.weights or row.sizes else ""
    return _stands(*BEFORE)(pair) or kept


def _raised(pair: FailoverWorld) -> str:
    row = pair.failover()
    kept = (row.surged, dict(row.weights), dict(row.sizes))
    return _stands(*RAISED)(pair) or ("" if kept == (I, {APP_I: 50}, {"asg-i": 2}) else f"the row says {kept}")


def _ordered(kind: Kind) -> Callable[[FailoverWorld], object]:
    return lambda pair: pair.orders().give(SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="test", kind=kind))


SCENARIOS = (
    Scenario("loss of a site", lambda pair: pair.go_dark(H), ("watch-i", "watch-h", "agent-i")),
    Scenario("loss of an agent", lambda pair: pair.dead.add(H), ("watch-i", "watch-h", "agent-i")),
    Scenario(
        "switchover",
        _ordered(Kind.SWITCHOVER),
        ("watch-i", "watch-h", "agent-i", "agent-h"),
        old_side_is_well=True,
    ),
    Scenario(
        "loss of a site, and the other one is raised",
        lambda pair: pair.go_dark(H),
        ("watch-i", "watch-h"),
        agreed=surging,
        before=lambda pair: pair.standing.__dict__.update(weights=dict(BEFORE[0]), sizes=dict(BEFORE[1])),
        ends_otherwise=_raised,
    ),
    Scenario(
        "failback, and what was raised is put back",
        _ordered(Kind.FAILBACK),
        ("watch-i", "watch-h"),
        old_side_is_well=True,
        agreed=surging,
        before=_moved_here_by_a_loss,
        ends_otherwise=_put_back,
    ),
)


def dies(process: Process, wait: int) -> None:
    process.dies_in = wait


def is_stopped(process: Process, wait: int) -> None:
    process.stalls_in, process.stalls_for = wait, STOPPED_FOR


STRIKES: tuple[Strike, ...] = (dies, is_stopped)


def _opened(world: World, scenario: Scenario) -> FailoverWorld:
    pair = FailoverWorld(
        world, restarts=0.0, block=timedelta(0), pledges=True, master_threads=False, agreed=scenario.agreed
    )
    scenario.before(pair.open())
    return pair


def lived(scenario: Scenario, struck: str = "", strike: Strike = dies, wait: int = 0) -> str:
    """What is wrong at the end; empty when it is the undisturbed one."""
    world = World(SEED, Faults.none())
    pair = _opened(world, scenario)
    process = next((one for one in world.processes() if one.name == struck), None)
    try:
        world.run(BEGIN)
        scenario.happens(pair)
        if process is not None:
            strike(process, wait)
        may_go_back = struck == "agent-i" and scenario.old_side_is_well
        world.run(AT_LEAST)
        while wrong := "; ".join(filter(None, _wrong(pair, scenario, may_go_back=may_go_back))):
            if world.now > BEGIN + LIVES:
                return wrong
            world.run(5.0)
    finally:
        world.end()
    return ""


def waits(scenario: Scenario, struck: str) -> int:
    """How often that process waits while the undisturbed scenario is under way."""
    world = World(SEED, Faults.none())
    pair = _opened(world, scenario)
    process = next(one for one in world.processes() if one.name == struck)
    try:
        world.run(BEGIN)
        scenario.happens(pair)
        before = process.waits
        world.run(UNDER_WAY)
        return process.waits - before
    finally:
        world.end()


def _wrong(pair: FailoverWorld, scenario: Scenario, *, may_go_back: bool) -> Iterator[str]:
    """`may_go_back`: the new side's own agent was struck, and the old side is well: it may serve again."""
    active = pair.active()
    ends = {I, H} if may_go_back else {I}
    if len(active) != 1 or not active <= ends:
        yield f"active: {sorted(active)}"
    elif pair.record().value != ADDRESS[min(active)]:
        yield f"{min(active)} is active, and the name is bound to {pair.record().value}"
    if not may_go_back and pair.record().remark != "epoch=2":
        yield f"the record says {pair.record().remark}"
    if pair.failover().state not in AT_REST:
        yield f"the pair is {pair.failover().state}: {pair.failover().because}"
    if pair.orders().pending(PAIR) is not None:
        yield "the order is still pending"
    if pair.overlap():
        yield pair.overlap()
    yield scenario.ends_otherwise(pair)
    yield from filter(None, (untimely(pair, number, BEGIN) for number in range(len(pair.bindings))))


def swept(scenario: Scenario, struck: str, strike: Strike) -> tuple[int, list[str]]:
    """How many interruptions were tried, and which did not end as undisturbed."""
    count = waits(scenario, struck)
    ends = ((wait, lived(scenario, struck, strike, wait)) for wait in range(1, count + 1))
    return count, [f"{struck} {strike.__name__} at wait {wait}: {wrong}" for wait, wrong in ends if wrong]


def main() -> int:
    logging.getLogger("understudy").setLevel(logging.CRITICAL)
    tried, failed = 0, 0
    for scenario in SCENARIOS:
        for struck in scenario.struck:
            for strike in STRIKES:
                count, wrong = swept(scenario, struck, strike)
                tried, failed = tried + count, failed + len(wrong)
                sys.stdout.write(
                    f"{scenario.name}: {struck} {strike.__name__}: {count} waits, {len(wrong)} ended otherwise\n"
                )
                sys.stdout.writelines(f"  {one}\n" for one in wrong[:5])
                sys.stdout.flush()
    sys.stdout.write(f"{tried} interruptions, {failed} of them ended otherwise than undisturbed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
