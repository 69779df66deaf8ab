"""The checker of the books finds each way in which they can be wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.accounting import Accounts, End, InForce, balance
from shared.domain.policy import Schedule

HOURLY = Schedule(name="hourly", hours=tuple(range(24)), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC")
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
FOUR_HOURS = InForce(protection="web", schedule=HOURLY, since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=4))


def at(hour: int) -> datetime:
    return MIDNIGHT + timedelta(hours=hour)


def one(hour: int, subject: str = "i-a", *, taken: bool = True) -> End:
    return End(subject=subject, protection="web", schedule="hourly", due=at(hour), taken=taken)


def stretch(first: int, last: int, count: int) -> End:
    return replace(one(last, "web", taken=False), since=at(first), count=count)


def owed(hour: int) -> tuple[str, str, datetime]:
    return ("web", "hourly", at(hour))


def books(*ends: End, **how: object) -> Accounts:
    return balance([FOUR_HOURS], ends, **how)  # type: ignore[arg-type]


def test_one_end_for_each_slot_balances() -> None:
    found = books(one(1), stretch(2, 3, 2), one(4), one(4, "i-b"))

    assert found.due == 4
    assert found.balanced


def test_a_slot_without_an_end_is_missing_unless_it_is_under_way() -> None:
    assert books(one(1), one(2), one(4)).missing == (owed(3),)
    assert books(one(1), one(2), one(4), under_way={owed(3)}).balanced


def test_two_ends_of_one_instance_are_doubled() -> None:
    found = books(one(1), one(2), one(2, taken=False), one(3), one(4))

    assert found.doubled == ((owed(2), "i-a"),)


def test_an_end_of_the_protection_beside_one_of_an_instance_is_doubled() -> None:
    found = books(one(1), stretch(1, 4, 4))

    assert found.doubled == ((owed(1), "web"),)


def test_two_stretches_that_overlap_are_doubled() -> None:
    assert books(stretch(1, 3, 3), stretch(3, 4, 2)).doubled == ((owed(3), "web"),)


def test_an_end_of_a_slot_that_was_never_due_is_told() -> None:
    extra = replace(one(1), due=at(1) + timedelta(minutes=30))
    foreign = replace(one(1), schedule="nightly")

    assert books(stretch(1, 4, 4), extra, foreign).unowed == (extra, foreign)


def test_a_stretch_that_says_another_number_than_it_holds_is_told() -> None:
    wrong = stretch(1, 4, 5)

    assert books(wrong).miscounted == (wrong,)


def test_a_slot_that_was_taken_in_a_blackout_is_told() -> None:
    found = books(one(1), one(2), stretch(3, 4, 2), excused=lambda protection, due: due >= at(2))

    assert found.unexcused == (owed(2),)


def test_each_instance_needs_its_own_end_where_they_are_known() -> None:
    both = {"web": {"i-a", "i-b"}}
    found = books(one(1), one(1, "i-b"), one(2), stretch(3, 4, 2), subjects=both)

    assert found.missing == (owed(2),)


def test_a_schedule_owes_nothing_before_and_after_it_was_in_force() -> None:
    changed = InForce(protection="web", schedule=replace(HOURLY, minute=30), since=at(4), until=at(6))
    half = replace(one(1), due=at(4) + timedelta(minutes=30))

    found = balance([FOUR_HOURS, changed], [stretch(1, 4, 4), half, replace(half, due=at(5) + timedelta(minutes=30))])

    assert found.due == 6
    assert found.balanced
