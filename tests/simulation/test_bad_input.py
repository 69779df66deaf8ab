"""Bad input, one table: what stands in the way, what the pair then is in, which runbook is named, and what must be as
it was. Nothing is made worse: no record more or other than before, no epoch that nobody needed, never two active."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import DataRule, Fence, Hook, Mode, Pair, Short, Silence, Surge, UnknownLag
from shared.ports.hooks import HookAnswer, Said
from shared.ports.store import Anything, Row
from shared.state.controls import Pause
from shared.state.failovers import ORDER, ORDERS, Failovers, SwitchOrder
from shared.state.leases import TABLE
from tests.simulation.failover_world import ADDRESS, FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.test_failover_mends import write_name
from tests.simulation.test_failover_stories import Open, opened
from tests.simulation.unattended import ISOLATE, STOP, UnattendedWorld
from tests.simulation.world import Faults, World

__all__ = ["opened"]

LOSS, LONG = 10.0, 75.0
FOREIGN = "10.9.9.9"
Deed = Callable[[FailoverWorld], object]
Agreed = Callable[[Pair], Pair]
Found = list[tuple[str, str, bool]]  # of each record under the name: type, value, enabled


def as_usual(pair: Pair) -> Pair:
    return pair


def but(**rules: Any) -> Agreed:
    """The policy of the pair, otherwise."""
    return lambda pair: replace(pair, **rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`spoiled` just before `LOSS` seconds; then `lost`, unless nothing is."""

    name: str
    spoiled: Deed
    lost: Deed | None = None
    ends: State = State.NEEDS_OPERATOR
    runbook: str = ""
    says: str = ""  # in the decision that tells of it
    active: SiteName | None = None
    epoch: int = 1  # of the lease in the end
    calls: int = 2  # for an operator, at most: each watch may be the first
    agreed: Agreed = as_usual
    records: Found | None = None  # in the end; None: as they were spoiled


def zone(pair: FailoverWorld) -> str:
    return next(one.id for one in pair.cloud.pvtz.zones.values() if one.name == "corp.example")


def add(pair: FailoverWorld, **more: Any) -> None:
    fields: dict[str, Any] = {"rr": "master", "type": "A", "value": FOREIGN, "ttl": 5, **more}
    pair.cloud.pvtz.add_record(zone(pair), **fields)


def drop(pair: FailoverWorld) -> None:
    pair.cloud.pvtz.delete_record(int(pair.record().record_id))


def disable(pair: FailoverWorld) -> None:
    pair.cloud.pvtz.set_status(int(pair.record().record_id), "DISABLE")


def to_cname(pair: FailoverWorld) -> None:
    drop(pair)
    add(pair, type="CNAME", value="elsewhere.example")


def by_hand(pair: FailoverWorld) -> None:
    write_name(pair, FOREIGN)


def by_somebody_who_insists(pair: FailoverWorld) -> None:
    write_name(pair, FOREIGN)
    if pair.world.now < 60:
        pair.at(pair.world.now + 4, lambda: by_somebody_who_insists(pair))


def paused_and_by_hand(pair: FailoverWorld) -> None:
    pair.controls().pause(Pause(scope=f"failover/{PAIR}", since=pair.now(), because="test"))
    pair.world.run(6)  # watches read pauses every few rounds
    by_hand(pair)


def without_zone(pair: FailoverWorld) -> None:
    pair.cloud.pvtz.delete_zone(zone(pair))


def anothers_zone(pair: FailoverWorld) -> None:
    without_zone(pair)
    pair.cloud.realm("9876543210987654", "cn-hangzhou").owner.pvtz.add_zone("corp.example", id="z-theirs")


def twice_the_zone(pair: FailoverWorld) -> None:
    pair.cloud.pvtz.add_zone("corp.example", id="z-second")


def remarked(pair: FailoverWorld) -> None:
    pair.cloud.pvtz.set_remark(int(pair.record().record_id), "epoch=9")


def h_lost(pair: FailoverWorld) -> None:
    pair.go_dark(H)


def both_lost(pair: FailoverWorld) -> None:
    pair.go_dark(H)
    pair.dead.add(I)


def nothing(_pair: FailoverWorld) -> None: ...


def without_row(pair: FailoverWorld) -> None:
    pair.rows.table(TABLE).pop((PAIR,))


def row_says(**columns: Any) -> Deed:
    return lambda pair: pair.rows.table(TABLE)[(PAIR,)].update(columns)


def ordered(**fields: Any) -> Deed:
    def order(pair: FailoverWorld) -> None:
        age = timedelta(seconds=fields.pop("age", 0))
        known: dict[str, Any] = {"pair": PAIR, "to_site": I, "because": "test", "kind": Kind.SWITCHOVER, **fields}
        pair.orders().give(SwitchOrder(at=pair.now() - age, id="planted", **known))

    return order


def ordered_in_no_language(pair: FailoverWorld) -> None:
    row = Row(key=(f"{ORDER}{PAIR}",), columns={"body": '{"pair": 7}'})
    TruthStore(pair.rows).put(ORDERS, row, condition=Anything())


def paused_in_no_language(pair: FailoverWorld) -> None:
    TruthStore(pair.rows).put(
        ORDERS, Row(key=("pause/failover",), columns={"body": '{"scope": 7}'}), condition=Anything()
    )


def lags(**seconds: float) -> Deed:
    """How far each site's agent says that its data is behind; `None` from then on for the others."""
    measured = {SiteName(f"hz-{site}"): timedelta(seconds=behind) for site, behind in seconds.items()}

    def measure(pair: FailoverWorld) -> None:
        pair.lags.update(measured)
        pair.world.run(6)  # the standby is looked at every few rounds

    return measure


def short_of_room(pair: FailoverWorld) -> None:
    stands = replace(pair.failover(), short={I: "group asg-i may have 4 at most, and 8 are wanted"})
    Failovers(TruthStore(pair.rows)).save(stands)


def hook_says_no(pair: FailoverWorld) -> None:
    pair.hooks_say = HookAnswer(said=Said.VETO, why="the nightly batch runs")


def hook_is_silent(pair: FailoverWorld) -> None:
    pair.hooks_say = HookAnswer(said=Said.SILENT)


def once_lost_and_behind(pair: FailoverWorld) -> None:
    """hz-i took over from hz-h, which is back without the data of since."""
    pair.go_dark(H)
    pair.world.run(30)
    pair.lighten(H)
    pair.lags[H] = timedelta(seconds=900)
    pair.world.run(10)


def i_lost(pair: FailoverWorld) -> None:
    pair.go_dark(I)


def several(*deeds: Deed) -> Deed:
    def all_of(pair: FailoverWorld) -> None:
        for deed in deeds:
            deed(pair)

    return all_of


NAME, LEASE, STANDBY = "name-cannot-be-rebound", "lease-row-missing", "standby-is-not-ready"
BEHIND, ROOM, HOOK = "data-is-behind", "capacity-is-short", "hook-vetoed"
ALONE, YOURS = "pair-is-unprotected", "failover-is-yours-to-order"
CLOSE = but(data=DataRule(max_lag=timedelta(seconds=10), unknown=UnknownLag.REFUSE))
ASKED = (Hook(name="batch", function="may-move", silence=Silence.VETO),)
AT_H, AT_I = [("A", ADDRESS[H], True)], [("A", ADDRESS[I], True)]

TABLE_OF_CASES = [
    # the name: the new site serves, and the name waits for somebody
    Case(name="record deleted", spoiled=drop, lost=h_lost, runbook=NAME, says="has no record", active=I, epoch=2),
    Case(name="record disabled", spoiled=disable, lost=h_lost, runbook=NAME, says="is disabled", active=I, epoch=2),
    Case(name="record of another type", spoiled=to_cname, lost=h_lost, runbook=NAME, says="CNAME", active=I, epoch=2),
    Case(name="two records", spoiled=add, lost=h_lost, runbook=NAME, says="2 records", active=I, epoch=2),
    Case(name="a remark from the future", spoiled=remarked, lost=h_lost, runbook=NAME, says="epoch 9", active=I,
         epoch=2),
    Case(name="zone gone", spoiled=without_zone, lost=h_lost, runbook=NAME, says="corp.example", active=I, epoch=2),
    Case(name="zone of another account", spoiled=anothers_zone, lost=h_lost, runbook=NAME, says="corp.example",
         active=I, epoch=2),
    Case(name="two zones of one name", spoiled=twice_the_zone, lost=h_lost, runbook=NAME, says="2 private zones",
         active=I, epoch=2),
    Case(name="record deleted in calm", spoiled=drop, runbook=NAME, says="has no record", active=H),
    Case(name="two records in calm", spoiled=add, runbook=NAME, says="2 records", active=H),
    Case(name="zone gone in calm", spoiled=without_zone, runbook=NAME, says="corp.example", active=H),
    # edited by hand, or bound to neither side: put right, as long as nobody insists
    Case(name="record edited by hand", spoiled=by_hand, ends=State.WATCHING, active=H, records=AT_H),
    Case(name="record edited while paused", spoiled=paused_and_by_hand, ends=State.PAUSED, active=H),
    Case(name="record edited again and again", spoiled=by_somebody_who_insists, runbook=NAME,
         says="somebody else writes it too", active=H, records=[("A", FOREIGN, True)], calls=8),
    Case(name="name bound to neither at the loss", spoiled=by_hand, lost=h_lost, ends=State.REPROTECTING, active=I,
         epoch=2, records=AT_I),
    # nobody to move to
    Case(name="standby's master not well", spoiled=lambda pair: pair.unready.add(I), lost=h_lost, runbook=STANDBY,
         says="the agent of hz-i"),
    Case(name="standby's agent gone", spoiled=lambda pair: pair.dead.add(I), lost=h_lost, runbook=STANDBY,
         says="the agent of hz-i"),
    Case(name="both sites down", spoiled=nothing, lost=both_lost, runbook=STANDBY, says="the agent of hz-i"),
    # what an operator alone may accept: nobody is active, and nothing has moved
    Case(name="standby lagging", spoiled=lags(h=0, i=40), lost=h_lost, agreed=CLOSE, runbook=BEHIND,
         says="of data would be lost by a move to hz-i"),
    Case(name="lag unknown", spoiled=nothing, lost=h_lost, agreed=CLOSE, runbook=BEHIND,
         says="nobody knows how far the data of hz-i is behind"),
    Case(name="lag no longer known", spoiled=several(lags(i=1), lambda pair: pair.lags.clear(),
         lambda pair: pair.world.run(6)), lost=h_lost, agreed=CLOSE, runbook=BEHIND, says="nobody knows"),
    Case(name="capacity short", spoiled=short_of_room, lost=h_lost, runbook=ROOM, says="cannot carry it alone",
         agreed=but(surge={I: Surge(short=Short.REFUSE)})),
    Case(name="capacity short, and only a warning", spoiled=short_of_room, lost=h_lost, ends=State.REPROTECTING,
         active=I, epoch=2, records=AT_I, agreed=but(surge={I: Surge(short=Short.WARN)})),
    Case(name="a hook says no", spoiled=hook_says_no, lost=h_lost, agreed=but(hooks=ASKED), runbook=HOOK,
         says="the nightly batch runs"),
    Case(name="a hook is silent", spoiled=hook_is_silent, lost=h_lost, agreed=but(hooks=ASKED), runbook=HOOK,
         says="said nothing"),
    Case(name="a pair that is moved by hand", spoiled=nothing, lost=h_lost, agreed=but(mode=Mode.MANUAL),
         runbook=YOURS, says="the mode of control is manual"),
    Case(name="the unprotected side", spoiled=once_lost_and_behind, lost=i_lost, agreed=but(block=timedelta(0)),
         runbook=ALONE, says="was lost and is unprotected", epoch=2),
    # the lease row: nobody is active, and nobody becomes so; a holder that lives writes over what it does not decide by
    Case(name="lease row deleted", spoiled=without_row, runbook=LEASE, says="the lease row is gone", epoch=0),
    Case(name="lease row without an epoch", spoiled=row_says(epoch="three"), runbook=LEASE, says="damaged", epoch=0),
    Case(name="lease row without a state", spoiled=row_says(state="maybe"), ends=State.WATCHING, active=H),
    Case(name="lease row of nobody's site at the loss", spoiled=several(row_says(lease_ms="long"), h_lost),
         runbook=LEASE, says="damaged", epoch=0),
    # orders: refused, on record
    Case(name="order too old", spoiled=ordered(age=660), ends=State.WATCHING, says="give it again", active=H),
    Case(name="order to the holder", spoiled=ordered(to_site=H), ends=State.WATCHING, says="hz-h", active=H),
    Case(name="order to a foreign site", spoiled=ordered(to_site=SiteName("bj-a")), ends=State.WATCHING, says="bj-a",
         active=H),
    Case(name="order for an older epoch", spoiled=ordered(epoch=Epoch(0)), ends=State.WATCHING, says="epoch",
         active=H),
    Case(name="order in no language at the loss", spoiled=ordered_in_no_language, lost=h_lost, ends=State.REPROTECTING,
         active=I, epoch=2, records=AT_I),
    # nobody knows whether it is paused, so nothing moves, and that is told
    Case(name="pause in no language at the loss", spoiled=paused_in_no_language, lost=h_lost, ends=State.SUSPECTING,
         says="stored Pause cannot be read"),
    Case(name="order in no language", spoiled=ordered_in_no_language, ends=State.WATCHING, active=H),
]  # fmt: skip


def watching(case: Case) -> tuple[SiteName, ...]:
    """Of a lost site not the own one, so that one of the two calls, and as often as it says."""
    return (H, I) if case.lost in (None, i_lost) else (I,)


def found(pair: FailoverWorld) -> Found:
    zones = [one for one in pair.cloud.pvtz.zones.values() if one.name == "corp.example"]
    records = [record for one in zones for record in one.records.values() if record.rr == "master"]
    return sorted((one.type, one.value, one.status == "ENABLE") for one in records)


def epoch_of(pair: FailoverWorld) -> int:
    row = pair.rows.table(TABLE).get((PAIR,))
    try:
        return 0 if row is None or row["state"] == "maybe" or row["lease_ms"] == "long" else int(row["epoch"])
    except ValueError:
        return 0


@pytest.mark.parametrize("case", TABLE_OF_CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_with_its_runbook_and_makes_nothing_worse(case: Case, opened: Open) -> None:
    pair = opened(watches=watching(case), agreed=case.agreed)
    pair.world.run(LOSS)
    case.spoiled(pair)
    spoiled = found(pair)
    before = len(pair.decisions())
    if case.lost is not None:
        case.lost(pair)
    pair.world.run(LONG)

    said = [one for one in pair.decisions()[before:] if case.says in " ".join(one.because)]
    assert pair.failover().state is case.ends, pair.events()
    assert found(pair) == (spoiled if case.records is None else case.records)
    assert pair.active() == ({case.active} if case.active else set())
    assert epoch_of(pair) == case.epoch
    assert pair.overlap() == ""
    if case.says:
        assert said, [one.because for one in pair.decisions()]
        assert case.runbook in " ".join(text for one in said for text in one.because)


@pytest.mark.parametrize("case", [one for one in TABLE_OF_CASES if one.runbook], ids=lambda case: case.name)
def test_an_operator_is_called_when_something_changes_and_not_every_second(case: Case, opened: Open) -> None:
    pair = opened(watches=watching(case), agreed=case.agreed)
    pair.world.run(LOSS)
    case.spoiled(pair)
    if case.lost is not None:
        case.lost(pair)
    pair.world.run(LONG)
    calls = [one for one in pair.decisions() if one.event == "failover.needs_operator"]

    assert 1 <= len(calls) <= case.calls, [one.because for one in calls]


@pytest.mark.parametrize("fence", [STOP, ISOLATE], ids=["to be stopped", "to be isolated"])
def test_a_pair_without_agents_in_a_dark_zone_waits_for_an_operator(fence: Fence) -> None:
    world = World(1, Faults.none())
    pair = UnattendedWorld(world, fence=fence).open()
    world.run(2 * LOSS)
    pair.go_dark(H)
    world.run(2 * LONG)
    world.end()

    assert pair.failover().state is State.NEEDS_OPERATOR
    calls = [one for one in pair.decisions() if one.event == "failover.needs_operator"]
    assert "runbook: old-side-cannot-be-fenced" in " ".join(calls[-1].because)
    assert found(pair) == AT_H
    assert pair.wrong == [], "the name never leaves an old master that may be at work"
