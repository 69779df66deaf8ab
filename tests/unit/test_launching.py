"""What each call of a launch asks for: offers that run dry, places that are full, names that count on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import ImageId, OperationId
from shared.domain.launching import (
    AT_ONCE,
    CALL,
    OTHER_TAGS,
    Asked,
    End,
    LaunchPlan,
    Offer,
    marks,
    next_ask,
    next_look,
    numbered,
    offers,
    other_tags,
    shortfalls,
    standing,
)
from shared.domain.policy import Elsewhere
from shared.domain.provenance import OPERATION

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def an_offer(kind: str, zone: str = "h", *, room: int = 5_000) -> Offer:
    return Offer(zone=zone, vswitch=f"vsw-{zone}", instance_type=kind, room=room)


def a_plan(*found: Offer, amount: int = 10, least: int = 1) -> LaunchPlan:
    return LaunchPlan(
        name="shop", amount=amount, least=least, offers=found, security_groups=("sg",), image=ImageId("m")
    )


def asked(number: int, offer: int, amount: int, got: int, **more: object) -> Asked:
    return Asked(number=number, offer=offer, amount=amount, got=got, **more)  # type: ignore[arg-type]  # fields by name


def test_a_stop_ends_it_whatever_other_offers_there_are() -> None:
    plan = a_plan(an_offer("a"), an_offer("b"))

    assert next_ask(plan, [asked(1, 0, 10, 0, end=End.STOPPED, because="no key pair")]) is None


def test_a_full_quota_spends_every_type_of_its_place_but_not_the_next_place() -> None:
    plan = a_plan(an_offer("a"), an_offer("b"), an_offer("a", "i"))

    ask = next_ask(plan, [asked(1, 0, 10, 0, end=End.QUOTA)])

    assert ask is not None
    assert (ask.offer, ask.amount) == (2, 10)


def test_no_stock_spends_one_type_only() -> None:
    plan = a_plan(an_offer("a"), an_offer("b"), an_offer("a", "i"))

    ask = next_ask(plan, [asked(1, 0, 10, 0, end=End.NO_STOCK)])

    assert ask is not None
    assert (ask.number, ask.offer, ask.amount) == (2, 1, 10)


def test_what_vanished_is_asked_for_in_the_next_offer_under_names_of_its_own() -> None:
    plan = a_plan(an_offer("a"), an_offer("b"))

    ask = next_ask(plan, [asked(1, 0, 10, 10, gone=3)])

    assert ask is not None
    assert (ask.offer, ask.amount, ask.begin) == (1, 3, 11)


def test_types_of_one_vswitch_share_its_addresses() -> None:
    plan = a_plan(an_offer("a", room=6), an_offer("b", room=6), an_offer("a", "i", room=9))

    first = next_ask(plan, [])
    second = next_ask(plan, [asked(1, 0, 6, 6)])

    assert first is not None
    assert (first.offer, first.amount) == (0, 6)
    assert second is not None
    assert (second.offer, second.amount) == (2, 4)


def test_places_without_room_are_told() -> None:
    plan = a_plan(an_offer("a", room=6))

    assert next_ask(plan, [asked(1, 0, 6, 6)]) is None
    assert shortfalls(plan, [asked(1, 0, 6, 6)]) == ("vsw-h has no free address left",)


def test_offers_are_every_type_of_a_zone_then_the_next_zone_and_what_is_not_sold_comes_last() -> None:
    where = (Elsewhere(zone="h", vswitch="vsw-h"), Elsewhere(zone="i", vswitch="vsw-i"))
    sold = {("h", "a"): False, ("h", "b"): True, ("i", "a"): True, ("i", "b"): True}

    found = offers(("a", "b"), where, {"vsw-h": 1, "vsw-i": 2}, sold)

    assert [(one.zone, one.instance_type) for one in found] == [("h", "b"), ("i", "a"), ("i", "b"), ("h", "a")]


@pytest.mark.parametrize(("amount", "name"), [(1, "shop"), (2, "shop[1,3]"), (1000, "shop[1,4]")])
def test_names_have_as_many_digits_as_the_last_one_needs(amount: int, name: str) -> None:
    plan = a_plan(an_offer("a"), amount=amount)
    ask = next_ask(plan, [])

    assert ask is not None
    assert numbered(plan.name, ask, plan) == name


def test_tags_given_go_before_those_of_the_model_and_ours_always_fit() -> None:
    model = {f"t{number:02d}": "x" for number in range(30)} | {OPERATION: "old", "acs:rm:rgId": "y", "aliyun-x": "z"}

    tags = other_tags(model, {"zz": "given", "t00": "changed"})

    assert tags["zz"] == "given"
    assert tags["t00"] == "changed"
    assert len(tags) == OTHER_TAGS
    assert not {OPERATION, "acs:rm:rgId", "aliyun-x"} & tags.keys()
    assert marks(OperationId("launch/shop/1"), 7) == {OPERATION: "launch/shop/1", CALL: "007"}


def test_looks_are_never_closer_than_five_seconds_and_aimed_at_when_something_is_to_be_seen() -> None:
    at, looks = NOW, []
    while at < NOW + timedelta(seconds=40):
        at += next_look(NOW, at)
        looks.append(int((at - NOW).total_seconds()))

    assert looks == [10, 20, 25, 30, 35, 40]


def test_a_token_is_of_what_would_be_made_and_not_of_what_is_free_just_now() -> None:
    plan = a_plan(an_offer("a", room=5))

    assert plan.token == a_plan(an_offer("a", room=9)).token
    both = an_offer("a"), an_offer("b")
    assert a_plan(*both).token == a_plan(*both[::-1]).token, "stock decides which is tried first"
    assert plan.token != a_plan(an_offer("b", room=5)).token
    assert plan.token != a_plan(an_offer("a", room=5), amount=11).token


@given(
    amount=st.integers(1, 1_000),
    rooms=st.lists(st.integers(0, 400), min_size=1, max_size=4),
    data=st.data(),
)
def test_whatever_the_cloud_gives_it_ends_and_never_asks_for_too_many(
    amount: int, rooms: list[int], data: st.DataObject
) -> None:
    found = [an_offer(kind, zone, room=room) for zone, room in zip("hijk", rooms, strict=False) for kind in ("a", "b")]
    plan = a_plan(*found, amount=amount)
    history: list[Asked] = []
    names: set[int] = set()
    while (ask := next_ask(plan, history)) is not None:
        assert 1 <= ask.amount <= min(AT_ONCE, amount - standing(history))
        got = data.draw(st.integers(0, ask.amount))
        gone = data.draw(st.integers(0, got))
        fresh = set(range(ask.begin, ask.begin + got))
        assert not names & fresh, "a name is used once"
        names |= fresh
        end = None if got else data.draw(st.sampled_from(End))
        history.append(
            Asked(number=ask.number, offer=ask.offer, amount=ask.amount, got=got, gone=gone, end=end, because="x")
        )
        assert len(history) <= len(found) + 10 * len(rooms)
    assert standing(history) <= amount
    if standing(history) < amount:
        assert shortfalls(plan, history), "what was not got is said"
