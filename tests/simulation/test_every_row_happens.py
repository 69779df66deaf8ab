"""No row of the failover's table is dead: for each there is a day on which the real watch meets it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.failover_fsm import FAILOVER, IN_HAND, On, Row, State, step
from shared.domain.failover_safety import Kind, Rule
from shared.domain.ids import Epoch
from shared.domain.pair import Hook, Mode, Pair
from shared.ports.hooks import HookAnswer, Said
from shared.state.controls import Pause
from shared.state.failovers import Failover, Failovers, SwitchOrder
from shared.state.leases import TABLE
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.old_side import OVERDUE
from tests.simulation.failover_world import ADDRESS, MORE_NAMES, FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.test_failover_mends import write_name
from tests.simulation.test_failover_stories import Open, opened

__all__ = ["opened"]

START, STEP, LONGEST = 8.0, 0.5, 45.0
Happens = Callable[[FailoverWorld], object]


def pause(pair: FailoverWorld) -> None:
    pair.controls().pause(Pause(scope="failover", since=pair.now(), because="test"))


def second_record(pair: FailoverWorld) -> None:
    (zone,) = pair.cloud.pvtz.zones.values()
    pair.cloud.pvtz.add_record(zone.id, rr="master", type="A", value="10.9.9.9", ttl=5)


def nothing(_pair: FailoverWorld) -> None:
    pass


def blind(pair: FailoverWorld) -> None:
    pair.blind.add(I)


def dark(pair: FailoverWorld) -> None:
    pair.dark.add(H)


def names_down(pair: FailoverWorld) -> None:
    pair.names_down = True


def blind_and_dark(pair: FailoverWorld) -> None:
    blind(pair)
    dark(pair)


def blind_and_nameless(pair: FailoverWorld) -> None:
    blind(pair)
    names_down(pair)


def standby_dead(pair: FailoverWorld) -> None:
    pair.dead.add(I)
    dark(pair)


def behind(pair: FailoverWorld) -> None:
    pair.lags[I] = timedelta(hours=1)
    dark(pair)


def vetoed(pair: FailoverWorld) -> None:
    pair.hooks_say = HookAnswer(said=Said.VETO, why="test")
    dark(pair)


def ordered(kind: Kind, *force: Rule) -> Happens:
    return lambda pair: pair.orders().give(
        SwitchOrder(pair=PAIR, to_site=I, at=pair.now(), because="test", kind=kind, force=force)
    )


def ordered_once_lost(pair: FailoverWorld) -> None:
    dark(pair)
    pair.at(pair.world.now + 7, lambda: ordered(Kind.FAILOVER, Rule.BLOCK)(pair))


def manual(pair: Pair) -> Pair:
    return replace(pair, mode=Mode.MANUAL)


def hooked(pair: Pair) -> Pair:
    return replace(pair, hooks=(Hook(name="test", url="http://10.0.0.9/"),))


def of_four(pair: Pair) -> Pair:
    return replace(pair, quorum=4)


AGREED = {On.UNDECIDED: of_four, On.FORBIDDEN: manual, On.FORCED: manual, On.VETOED: hooked}
"""What the policy of that day says otherwise."""

MEETS: dict[On, Happens] = {
    On.HEALTHY: nothing,
    On.SUSPECT: lambda pair: pair.dead.add(H),
    On.UNDECIDED: lambda pair: pair.dead.add(H),
    On.LOST: dark,
    On.BLIND: blind,
    On.UNKNOWN: nothing,  # it never ran
    On.LEASE_DAMAGED: lambda pair: pair.rows.table(TABLE)[(PAIR,)].update({"epoch": "three"}),
    On.UNPROTECTED: lambda pair: pair.dead.add(I),
    On.REPROTECTED: nothing,
    On.STANDBY_UNFIT: standby_dead,
    On.NOT_READY: behind,
    On.VETOED: vetoed,
    On.FORBIDDEN: dark,
    On.UNFENCED: dark,
    On.BLOCK: dark,
    On.UNBLOCKED: nothing,
    On.PAUSE: pause,
    On.RESUME: nothing,
    On.SWITCH: ordered(Kind.SWITCHOVER),
    On.FAILBACK: ordered(Kind.FAILBACK),
    On.FORCED: ordered_once_lost,
    On.PREPARED: nothing,
    On.PREPARE_WAITS: blind,
    On.RESOLVED: lambda pair: pair.controls().acknowledge(PAIR, pair.now() + timedelta(hours=1)),
    On.FENCED: dark,
    On.FENCE_WAITS: blind_and_dark,
    On.FENCE_LOST: nothing,
    On.PROMOTED: nothing,
    On.PROMOTE_WAITS: blind,
    On.ONE_REBOUND: nothing,  # the pair has several names
    On.REBOUND: nothing,
    On.REBIND_WAITS: names_down,
    On.REBIND_REFUSED: second_record,
    On.CONFIRMED: nothing,
    On.CONFIRM_WAITS: blind,
    On.ASTRAY: lambda pair: write_name(pair, ADDRESS[I]),
    On.SUPERSEDED: nothing,
    On.OVERDUE: blind_and_nameless,
}


def stands(row: Row, pair: FailoverWorld) -> Failover:
    """The pair's row as somebody has left it there."""
    base = replace(pair.failover(), state=row.state, since=pair.now(), because="test", to_site=H, epoch=Epoch(1))
    if row.state is State.FENCING:
        version = pair.rows.table(TABLE)[(PAIR,)]["version"]
        seen = int(version) if row.on in (On.FENCED, On.FENCE_WAITS) else 0
        planned = row.on in (On.PAUSE, On.STANDBY_UNFIT, On.NOT_READY, On.OVERDUE)
        base = replace(base, to_site=I, seen_version=seen, planned=planned)
    if row.state is State.PREPARING:
        base = replace(base, to_site=I, planned=True)
    if row.on is On.UNPROTECTED:
        base = replace(base, unprotected=I)
    if row.on is On.SUPERSEDED:
        base = replace(base, epoch=Epoch(0))
    if row.on is On.UNFENCED:
        base = replace(base, fence={"site": H, OVERDUE: "2026-03-02T00:00:00Z"})
    blocked = row.on is On.BLOCK or (row.state is State.BLOCKED and row.on not in (On.LOST, On.UNBLOCKED))
    return replace(base, automatic_at=pair.now() if blocked else None)


@pytest.mark.parametrize("row", FAILOVER, ids=lambda row: f"{row.state} on {row.on}")
def test_each_row_is_met(row: Row, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[tuple[State, On]] = set()

    def stepped(state: State, on: On) -> Row:
        met.add((state, on))
        return step(state, on)

    performed = FailOver._perform

    def perform(self: FailOver, failover: Failover) -> object:
        answer = performed(self, failover)
        met.add((failover.state, answer[0]))
        return answer

    monkeypatch.setattr("shared.domain.failover_decision.step", stepped)
    monkeypatch.setattr("shared.usecases.failover.fail_over.step", stepped)
    monkeypatch.setattr(FailOver, "_perform", perform)
    names = MORE_NAMES if row.on is On.ONE_REBOUND else ()
    pair = opened(watches=(I,), more_names=names, agreed=AGREED.get(row.on, lambda pair: pair))
    never_ran = row.on is On.UNKNOWN
    if never_ran:
        pair.dead.update({H, I})
    else:
        pair.world.run(START)
        MEETS[row.on](pair)
    if row.state is State.FENCING and row.on in (On.STANDBY_UNFIT, On.NOT_READY):
        pair.dark.discard(H)  # planned: the old side is well
    failovers = Failovers(TruthStore(pair.rows))
    if row.on is On.UNPROTECTED:
        failovers.save(stands(row, pair))
    while (row.state, row.on) not in met and pair.world.now < START + LONGEST:
        if pair.failover().state is not row.state:
            failovers.save(stands(row, pair))
        if row.on is On.ASTRAY:
            MEETS[row.on](pair)  # again: the rounds before mend it
        pair.world.run(STEP)

    assert (row.state, row.on) in met, f"only {sorted(met)}, {pair.failover()}"


def test_each_event_of_the_table_is_told_here() -> None:
    assert set(MEETS) == set(On) == {row.on for row in FAILOVER}
    assert {row.state for row in FAILOVER} >= IN_HAND
