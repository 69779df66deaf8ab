"""Several names of one pair: a private address, a public address, a private alias. They move in this order, each by
itself, and whatever happens between two of them, in the end all of them lead to the active master."""

import json
from datetime import timedelta
from typing import Any

import pytest

from emulator.alidns.editions import FREE
from emulator.faults.fault import Fault
from shared.domain.failover_fsm import AT_REST, On, State
from shared.domain.ids import SiteName
from shared.ports.names import NameRecord
from shared.ports.resolvers import Resolved
from shared.state.name_orders import NameOrder, NameOrders
from shared.usecases.failover.client_view import SILENT_FOR
from tests.simulation.failover_world import ADDRESS, MORE_NAMES, FailoverWorld, TruthStore
from tests.simulation.over_http import Wire, wire
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.seeds import lived
from tests.simulation.sites import SimNames
from tests.simulation.test_failover_mends import lose, once_in
from tests.simulation.test_failover_stories import LOSS, Open, opened, served_again
from tests.simulation.test_surge import opened as with_timers
from tests.simulation.world import Faults, World
from understudy.simulation.names import InProcessNames
from understudy.simulation.public_names import InProcessPublicNames

__all__ = ["opened", "with_timers"]

NAMES = ["master.corp.example", "master.public.example", "queue.corp.example"]
WANTED = {
    H: [ADDRESS[H], "203.0.113.1", "hz-h.corp.example"],
    I: [ADDRESS[I], "203.0.113.2", "hz-i.corp.example"],
}


def stand(pair: FailoverWorld) -> list[str]:
    private, public = InProcessNames(pair.cloud), InProcessPublicNames(pair.cloud)
    found = []
    for service, zone, host in ((private, "corp.example", "master"), (public, "public.example", "master"),
                                (private, "corp.example", "queue")):  # fmt: skip
        records = service.records(zone=zone, host=host)
        assert len(records) == 1, f"{host}.{zone}: {records}"
        found.append(records[0].value)
    return found


def remarks(pair: FailoverWorld) -> set[str]:
    private, public = InProcessNames(pair.cloud), InProcessPublicNames(pair.cloud)
    return {
        record.remark
        for service, zone in ((private, "corp.example"), (public, "public.example"))
        for record in service.records(zone=zone, host="master")
    }


def write_public(pair: FailoverWorld, value: str) -> None:
    """As somebody with the console does."""
    [record] = InProcessPublicNames(pair.cloud).records(zone="public.example", host="master")
    if record.value != value:
        pair.cloud.alidns.update_record(record.record_id, rr="master", type="A", value=value, ttl=5)


def write(pair: FailoverWorld, value: str) -> None:
    """The private name, in the same way."""
    names = InProcessNames(pair.cloud)
    [record] = names.records(zone="corp.example", host="master")
    names.rebind(record, value=value)


def spoil(pair: FailoverWorld) -> None:
    """The public name has a second record."""
    pair.cloud.alidns.add_record("public.example", rr="master", type="A", value="198.51.100.9", ttl=5)


def mend(pair: FailoverWorld) -> None:
    [extra] = [
        one.record_id
        for one in InProcessPublicNames(pair.cloud).records(zone="public.example", host="master")
        if one.value == "198.51.100.9"
    ]
    pair.cloud.alidns.delete_record(extra)


def whys(pair: FailoverWorld, event: str) -> list[str]:
    return ["; ".join(one.because) for one in pair.decisions() if one.event == event]


# In a failover ------------------------------------------------------------------------------------------------------


def test_a_name_that_must_not_be_touched_keeps_no_other_where_it_is_and_calls_an_operator(opened: Open) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    pair.at(LOSS, lambda: spoil(pair))
    lose(pair)
    pair.world.run(30)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "master.public.example (public) has 2 records" in pair.failover().because
    assert pair.active() == {I}
    assert [name for _, name, _ in pair.moved] == [NAMES[0], NAMES[2]]
    assert dict(pair.failover().names) == {NAMES[0]: WANTED[I][0], NAMES[2]: WANTED[I][2]}, "by the failover itself"

    mend(pair)
    pair.world.run(15)

    assert stand(pair) == WANTED[I]
    assert pair.failover().state in AT_REST


def test_a_service_that_answers_later_is_waited_for_and_keeps_no_name_of_another_where_it_is(opened: Open) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    [fault] = pair.cloud.faults.add_all(
        [Fault(kind="throttle", service="alidns", action="UpdateDomainRecord", calls=None)]
    )
    lose(pair)
    pair.at(LOSS + 15, lambda: pair.cloud.faults.remove(fault))
    pair.world.run(LOSS + 12)
    assert pair.failover().state is State.REBINDING
    assert dict(pair.failover().names) == {NAMES[0]: WANTED[I][0], NAMES[2]: WANTED[I][2]}
    pair.world.run(20)

    assert stand(pair) == WANTED[I]
    assert [name for _, name, _ in pair.moved] == [NAMES[0], NAMES[2], NAMES[1]]
    assert pair.failover().state in AT_REST
    assert remarks(pair) == {"epoch=2"}


def test_the_first_name_does_not_wait_for_the_others(opened: Open) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    lose(pair)
    pair.world.run(30)

    assert served_again(pair, I) < 7.5
    assert [name for _, name, _ in pair.moved] == NAMES
    assert pair.events().count("failover.rebinding") == 3, "each name is on record before the next"
    [rebound] = [one for one in pair.decisions() if one.event == "failover.confirming"]
    assert all(value in rebound.inputs["names"] for value in WANTED[I])
    assert pair.failover().seconds.keys() == {"detect", "decide", "fence", "promote", "rebind", "serve"}


def test_wherever_the_watch_dies_between_two_names_its_successor_goes_on(opened: Open) -> None:
    """At every call to the outside between the promotion and the end."""
    whole = opened(watches=(I,), more_names=MORE_NAMES)
    begun = once_in(whole, State.REBINDING, lambda: None, patch := pytest.MonkeyPatch())
    lose(whole)
    whole.world.run(LOSS)
    calls = whole.calls["watch-i"]
    whole.world.run(20)
    patch.undo()
    assert begun
    ends = whole.calls["watch-i"]
    died = 0
    for number in range(calls + 1, min(ends, calls + 90)):
        pair = opened(watches=(I,), more_names=MORE_NAMES)
        pair.crash["watch-i"] = number
        lose(pair)
        pair.world.run(45)
        died += any("crashed" in line for line in pair.world.trace)
        assert stand(pair) == WANTED[I], f"died at call {number}"
        assert pair.failover().state in AT_REST, f"died at call {number}"
        assert pair.overlap() == ""
    assert died > 60


def test_a_name_that_is_written_back_while_it_is_confirmed_is_bound_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    astray = once_in(pair, State.CONFIRMING, lambda: write_public(pair, "203.0.113.1"), monkeypatch)
    lose(pair)
    pair.world.run(25)

    assert astray
    assert stand(pair) == WANTED[I]
    assert [name for _, name, _ in pair.moved] == [*NAMES, NAMES[1]]


def test_the_official_sdks_and_real_datagrams_tell_the_same_story() -> None:
    def story(wired: Wire | None) -> tuple[list[str], list[tuple[float, str, str]], list[str]]:
        world = World(3, Faults.none())
        try:
            pair = FailoverWorld(world, restarts=0.0, more_names=MORE_NAMES, wire=wired).open(watches=(I,))
            lose(pair)
            pair.world.run(30)
            return world.trace, pair.moved, ["; ".join((one.event, *one.because)) for one in pair.decisions()]
        finally:
            world.end()

    in_process = story(None)
    with wire() as wired:
        over_the_wire = story(wired)

    assert [name for _, name, _ in in_process[1]] == NAMES
    assert over_the_wire == in_process


def test_an_update_is_believed_when_it_reads_back(opened: Open) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    update, swallowed = pair.cloud.alidns.update_record, list[str]()

    def swallow(id_: str, **fields: Any) -> object:
        if len(swallowed) < 3:
            swallowed.append(fields["value"])
            return pair.cloud.alidns.record(id_)
        return update(id_, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.cloud.alidns, "update_record", swallow)
        lose(pair)
        pair.world.run(30)

    assert swallowed == ["203.0.113.2"] * 3
    assert stand(pair) == WANTED[I]
    assert [one for one in pair.decisions() if one.inputs.get("on") == On.ASTRAY] == [], "it was never taken for done"


def test_a_second_record_beside_a_name_that_was_just_moved_is_no_end(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    assert once_in(pair, State.CONFIRMING, lambda: spoil(pair), monkeypatch) == []
    lose(pair)
    pair.world.run(30)

    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "failover.completed" not in pair.events()


# What clients are told ----------------------------------------------------------------------------------------------


def held(name: str, left: int, address: str) -> Resolved:
    return Resolved(server="vpc", name=name, addresses=(address,), ttl_seconds=left)


def ended(pair: FailoverWorld) -> float:
    """Seconds from the loss."""
    [at] = [one.at for one in pair.decisions() if one.event == "failover.completed"]
    return (at - pair.now()).total_seconds() + pair.world.now - LOSS


@pytest.fixture
def calm_end(opened: Open) -> float:
    """Of a failover in which every resolver answers as the records stand."""
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    lose(pair)
    pair.world.run(30)
    return ended(pair)


def test_an_old_answer_that_ends_soon_is_waited_for_and_is_not_astray(opened: Open, calm_end: float) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    pair.held[NAMES[0]] = held(NAMES[0], 4, ADDRESS[H])
    pair.at(LOSS + calm_end + 4, lambda: pair.held.clear())
    lose(pair)
    pair.world.run(40)

    assert pair.failover().state in AT_REST
    assert calm_end + 3 < ended(pair) < calm_end + 6
    assert [name for _, name, _ in pair.moved] == NAMES


def test_an_old_answer_that_may_be_kept_for_long_is_told_with_its_time_and_not_waited_for(
    opened: Open, calm_end: float
) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    pair.held[NAMES[1]] = held(NAMES[1], 598, "203.0.113.1")
    lose(pair)
    pair.world.run(30)

    [why] = whys(pair, "failover.watching")
    assert "still gives master.public.example as 203.0.113.1, for up to 598 s" in why
    assert ended(pair) < calm_end + 1


def test_a_resolver_that_does_not_answer_is_told_and_waited_for_a_moment(opened: Open, calm_end: float) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    pair.held[NAMES[2]] = Resolved(server="vpc", name=NAMES[2], why="no answer within 0.5 s")
    lose(pair)
    pair.world.run(30)

    [why] = whys(pair, "failover.watching")
    assert "does not tell queue.corp.example: no answer within 0.5 s" in why
    assert ended(pair) < calm_end + 2


def test_patience_with_a_resolver_begins_anew_in_each_failover(opened: Open) -> None:
    pair = opened(more_names=MORE_NAMES, block=0.0)
    pair.held[NAMES[2]] = Resolved(server="vpc", name=NAMES[2], why="no answer within 0.5 s")
    lose(pair)
    pair.at(30.0, lambda: pair.lighten(H))
    pair.at(60.0, lambda: pair.go_dark(I))
    pair.world.run(90)

    assert pair.active() == {H}
    ends = [one for one in pair.decisions() if one.event == "failover.completed"]
    assert len(ends) == 2
    assert all(json.loads(one.inputs["seconds"])["serve"] >= SILENT_FOR for one in ends)


# In calm ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [30.0, 90.0])
def test_each_name_is_asserted_and_soonest_after_a_change(opened: Open, moment: float) -> None:
    pair = opened(more_names=MORE_NAMES)
    pair.world.run(moment)
    write_public(pair, "203.0.113.2")
    pair.world.run(2.5 if moment < 60 else 7.5)

    assert stand(pair) == WANTED[H]
    assert whys(pair, "name.reasserted")


def test_a_name_service_that_hangs_over_an_update_blinds_no_watch(
    with_timers: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both watches are about to bind the name anew when its holder falls silent. Their updates arrive 13 s late."""
    pair, hung = with_timers(agreed=lambda agreed: agreed), list[float]()
    rebind = SimNames.rebind

    def late(self: SimNames, record: NameRecord, *, value: str) -> None:
        if value == ADDRESS[H] and pair.world.now < LOSS + 2:
            hung.append(pair.world.now)
            pair.world.wait(self._process, 13.0)
        rebind(self, record, value=value)

    monkeypatch.setattr(SimNames, "rebind", late)
    pair.at(LOSS - 2, lambda: write(pair, "198.51.100.7"))
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(60)

    assert hung
    assert max(hung) < LOSS
    assert served_again(pair, I) < 7.5
    assert [value for _, value in pair.rebinds][:2] == [ADDRESS[I], ADDRESS[H]]
    assert pair.record().value == ADDRESS[I], "and what they wrote late is mended"
    assert pair.overlap() == ""


def test_who_is_overtaken_while_he_looks_once_more_binds_nothing(
    with_timers: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both watches found the name astray, and list it once more before they bind it: that takes 13 s, in which the
    holder is lost, and the name moves."""
    pair, found = with_timers(agreed=lambda agreed: agreed), list[str]()
    records = SimNames.records

    def slow(self: SimNames, **where: Any) -> tuple[NameRecord, ...]:
        listed = records(self, **where)
        who = pair.world.current
        assert who is not None
        if listed[0].value == "198.51.100.7" and who.name.endswith("aside"):
            if found.count(who.name) == 2:  # the round's own listing, and the next round's, came before
                pair.world.wait(who, 13.0)
            found.append(who.name)
        return listed

    monkeypatch.setattr(SimNames, "records", slow)
    pair.at(LOSS - 2, lambda: write(pair, "198.51.100.7"))
    pair.at(LOSS, lambda: pair.go_dark(H))
    pair.world.run(60)

    assert len(found) == 6
    assert {value for _, value in pair.rebinds} == {ADDRESS[I]}
    assert served_again(pair, I) < 7.5


def test_in_calm_a_name_is_listed_every_few_seconds_and_no_more(opened: Open) -> None:
    pair = opened(watches=(H,), more_names=MORE_NAMES)
    pair.world.run(90)
    listed: list[float] = []
    records = pair.cloud.alidns.domain

    def domain(name: str) -> object:
        listed.append(pair.world.now)
        return records(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.cloud.alidns, "domain", domain)
        pair.world.run(60)

    assert 9 <= len(listed) <= 13


def test_somebody_who_keeps_writing_a_name_in_calm_is_not_written_against_for_ever(opened: Open) -> None:
    pair = opened(watches=(H,), more_names=MORE_NAMES)
    pair.world.run(20)
    for second in range(60):
        pair.at(20.0 + second, lambda: write_public(pair, "198.51.100.7"))
    pair.world.run(62)

    assert len([name for _, name, _ in pair.moved if name == NAMES[1]]) == 5
    assert pair.failover().state is State.NEEDS_OPERATOR
    assert "somebody else writes it too" in pair.failover().because
    assert pair.active() == {H}


def test_a_time_to_live_that_is_not_the_policys_is_told_once_before_it_costs_anything(opened: Open) -> None:
    pair = opened(watches=(H,), more_names=MORE_NAMES)
    [record] = InProcessPublicNames(pair.cloud).records(zone="public.example", host="master")
    InProcessPublicNames(pair.cloud).retime(record, ttl_seconds=600)
    pair.world.run(60)

    [why] = whys(pair, "name.ttl_differs")
    assert "up to 600 s" in why
    assert "understudy name prepare" in why
    assert pair.failover().state in AT_REST
    InProcessPublicNames(pair.cloud).retime(record, ttl_seconds=5)
    pair.world.run(20)
    assert len(whys(pair, "name.ttl_agrees")) == 1


# Times to live, by order --------------------------------------------------------------------------------------------


def retimed(pair: FailoverWorld, seconds: int) -> None:
    names = InProcessPublicNames(pair.cloud)
    [record] = names.records(zone="public.example", host="master")
    names.retime(record, ttl_seconds=seconds)


def ttl(pair: FailoverWorld) -> int:
    [record] = InProcessPublicNames(pair.cloud).records(zone="public.example", host="master")
    return record.ttl_seconds


def order(pair: FailoverWorld) -> None:
    NameOrders(TruthStore(pair.rows)).give(NameOrder(pair=PAIR, at=pair.now(), by="test"))


def test_an_order_sets_the_time_to_live_alone_and_by_one_watch(opened: Open) -> None:
    pair = opened(more_names=MORE_NAMES)
    retimed(pair, 600)
    pair.world.run(70)
    assert ttl(pair) == 600, "nobody has ordered it"
    order(pair)
    pair.world.run(15)

    assert ttl(pair) == 5
    assert stand(pair) == WANTED[H]
    [why] = whys(pair, "names.prepared")
    assert "clients may keep the answer under the old one, 600 s" in why
    assert NameOrders(TruthStore(pair.rows)).pending(PAIR) is None
    assert pair.moved == []


def test_an_order_that_came_too_early_for_anything_to_differ_is_not_carried_out_late(opened: Open) -> None:
    pair = opened(more_names=MORE_NAMES)
    pair.world.run(20)
    order(pair)
    pair.world.run(700)
    retimed(pair, 600)
    pair.world.run(30)

    assert ttl(pair) == 600
    assert "too old" in whys(pair, "names.not_prepared")[0]


def test_what_the_service_refuses_is_told_and_not_asked_again(opened: Open) -> None:
    pair = opened(more_names=MORE_NAMES)
    retimed(pair, 600)
    pair.cloud.alidns.domain("public.example").edition = FREE
    order(pair)
    pair.world.run(40)

    [why] = whys(pair, "names.not_prepared")
    assert "QuotaExceeded.TTL" in why
    assert ttl(pair) == 600
    assert NameOrders(TruthStore(pair.rows)).pending(PAIR) is None


def test_while_a_pair_moves_no_time_to_live_is_set(opened: Open) -> None:
    pair = opened(watches=(I,), more_names=MORE_NAMES)
    retimed(pair, 600)
    pair.world.run(5)
    order(pair)
    lose(pair)
    seen: list[State] = []
    update = pair.cloud.alidns.update_record

    def updated(*arguments: Any, **fields: Any) -> object:
        if fields["ttl"] == 5:
            seen.append(pair.failover().state)
        return update(*arguments, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.cloud.alidns, "update_record", updated)
        pair.world.run(45)

    assert seen == [State.WATCHING]
    assert stand(pair) == WANTED[I]
    assert ttl(pair) == 5


@pytest.mark.parametrize("seed", range(12))
def test_a_drawn_bad_day_ends_with_all_names_where_the_holder_is(seed: int) -> None:
    life = lived(seed, more_names=MORE_NAMES)

    assert not life.failures, life.story()


@pytest.mark.parametrize("seed", range(4))
def test_on_a_bad_day_all_names_end_where_the_holder_is(seed: int, opened: Open) -> None:
    pair = opened(seed=seed, more_names=MORE_NAMES, block=0.0)
    sites: list[SiteName] = [H, I]
    pair.at(LOSS, lambda: pair.go_dark(sites[seed % 2]))
    pair.at(LOSS + 4, lambda: setattr(pair, "names_down", True))
    pair.at(LOSS + 9, lambda: setattr(pair, "names_down", False))
    pair.at(LOSS + 30, lambda: pair.lighten(sites[seed % 2]))
    pair.at(LOSS + 45, lambda: pair.go_dark(sites[1 - seed % 2]))
    pair.at(LOSS + 75, lambda: pair.lighten(sites[1 - seed % 2]))
    pair.world.run(timedelta(minutes=3).total_seconds())

    [holder] = pair.active()
    assert stand(pair) == WANTED[holder]
    assert pair.overlap() == ""
