"""What a new policy lets go that the old one keeps, before anybody applies it."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.ids import AccountName
from shared.domain.place import Place
from shared.domain.policy import CopyRule, Policy, PruneLimits, Retention
from shared.domain.policy_change import newly_expired, weigh
from shared.domain.retention import RestorePoint
from tests.unit.feasible import every, policy, protection
from tests.unit.points import point, utc

NOW = utc("2026-03-15 12:00")


def keeping(keep: Retention, name: str = "applications", **more: object) -> Policy:
    return policy(replace(protection(every(60), name=name), keep=keep, **more))  # type: ignore[arg-type]


def days(count: int, **changes: object) -> list[RestorePoint]:
    return [point(NOW - timedelta(days=ago), **changes) for ago in range(count)]  # type: ignore[arg-type]


def expires(points: list[RestorePoint], old: Policy | None, new: Policy) -> list[str]:
    return [f"{one.taken:%m-%d}" for one in newly_expired(points, old, new, now=NOW)]


def test_only_what_the_old_policy_keeps_and_the_new_one_does_not() -> None:
    assert expires(days(6), keeping(Retention(last=4)), keeping(Retention(last=2))) == ["03-12", "03-13"]
    assert expires(days(6), keeping(Retention(last=2)), keeping(Retention(last=4))) == []


def test_without_an_old_policy_nothing_went_so_far() -> None:
    assert expires(days(3), None, keeping(Retention(last=1))) == ["03-13", "03-14"]


def test_a_protection_that_is_taken_out_lets_nothing_go() -> None:
    assert expires(days(3), keeping(Retention(last=1)), keeping(Retention(last=1), name="other")) == []


def test_one_that_comes_back_with_a_shorter_keep_judges_its_old_points_too() -> None:
    gone = keeping(Retention(last=1), name="other")

    assert expires(days(3), gone, keeping(Retention(last=1))) == ["03-13", "03-14"]


def test_pinned_locked_and_uncopied_points_do_not_count_as_let_go() -> None:
    new = point(NOW)
    held = [
        point("2026-01-01", pinned=True),
        point("2026-01-02", locked_until=NOW + timedelta(days=1)),
        point("2026-01-03", copy_to=("cn-shanghai",), uncopied=("cn-shanghai",)),
    ]

    assert expires([*held, new], keeping(Retention(last=9)), keeping(Retention(last=1))) == []


def test_copies_are_judged_by_the_keep_of_their_region() -> None:
    def copying(last: int) -> Policy:
        rule = CopyRule(region="cn-shanghai", keep=Retention(last=last), within=timedelta(hours=4))
        return keeping(Retention(last=9), copies=(rule,))

    shanghai = Place("cn-shanghai", AccountName(""))
    points = [*days(4), *(replace(one, id=f"{one.id}@cn-shanghai", place=shanghai) for one in days(4))]

    change = weigh(points, copying(4), copying(1), now=NOW)

    assert change.by_rule == {("applications", shanghai): 3}
    assert str(change) == ("of 8 restore points it lets 3 go that are kept now: 3 of applications in cn-shanghai")


def test_the_caps_of_the_new_policy_say_whether_the_next_prune_would_stop() -> None:
    tight = replace(keeping(Retention(last=1)), prune=PruneLimits(max_items=2, max_percent=100))

    change = weigh([*days(4), *days(4, subject="i-2", disks=("d-2",))], keeping(Retention(last=4)), tight, now=NOW)

    assert (change.points, change.expires) == (8, 6)
    assert "more than max_items 2" in change.stops[0]
    assert [f"{one.taken:%m-%d} {one.subject}" for one in change.oldest][:2] == ["03-12 i-1", "03-12 i-2"]


def test_a_policy_that_lets_nothing_go_says_so() -> None:
    same = keeping(Retention(last=4))

    change = weigh(days(2), same, same, now=NOW)

    assert (change.expires, change.stops) == (0, ())
    assert str(change) == "of 2 restore points it lets none go that are kept now"
