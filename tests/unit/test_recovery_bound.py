"""How old the newest point can get, part by part, and which date breaks a target."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.assumptions import Assumptions, Known, Measured
from shared.domain.feasibility import study
from shared.domain.policy import Blackout, Freeze, Overlap, Schedule, Then
from shared.domain.recovery_bound import Bound, recovery_bound
from tests.unit.feasible import EVERY_DAY, EVERY_HOUR, NIGHTLY, disk, every, policy, protection

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BERLIN = Schedule(name="hourly", hours=tuple(range(24)), weekdays=EVERY_DAY, zone="Europe/Berlin")


def bound(
    *schedules: Schedule, known: Known | None = None, size_gib: int = 100, essd: bool = True, **more: Any
) -> Bound:
    disks = [disk(essd=essd, size_gib=size_gib)]
    return recovery_bound(protection(*schedules, **more), disks=disks, known=known or Known(), since=NOW)


def test_it_says_never_older_than_and_why() -> None:
    measured = Known(measured={"p": Measured(usable=2 * MINUTE, points=168)})

    assert str(bound(EVERY_HOUR, known=measured)) == (
        "never older than 1 h 12 min, because the schedule leaves 1 h (from 2026-06-01 00:00Z to 06-01 01:00Z), a tick "
        "comes every 5 min and one may be lost (10 min), and a snapshot took at most 2 min to become usable (measured "
        "on 168 points)"
    )


def test_its_parts_add_up() -> None:
    found = bound(EVERY_HOUR)

    assert found.length == sum((part.length for part in found.parts), timedelta()) == 72 * MINUTE


def test_the_night_that_repeats_an_hour_is_in_it_with_its_date() -> None:
    found = bound(BERLIN)

    assert found.widest is not None
    assert found.widest.length == 120 * MINUTE
    assert f"{found.widest.since:%Y-%m-%d}" == "2026-10-25"
    assert bound(every(60, zone="Europe/Berlin")).length == 72 * MINUTE, "an interval runs at both occurrences"


def test_a_target_that_only_one_night_breaks_is_refused_with_that_night_and_what_fits() -> None:
    one = protection(BERLIN, rpo_target=75 * MINUTE)

    (doubt,) = study(policy(one), since=NOW).refused

    assert "its schedules leave 2 h between two points (once: from 2026-10-25 00:00Z to 10-25 02:00Z)" in doubt
    assert "more than rpo_target 1 h 15 min. What fits: rpo_target: 132m, or every: 1h" in doubt
    fits = protection(every(60, zone="Europe/Berlin"), rpo_target=75 * MINUTE)
    assert study(policy(fits), since=NOW).refused == ()


def test_a_target_that_the_schedule_keeps_and_the_rest_does_not_is_refused_with_the_reason() -> None:
    (doubt,) = study(policy(protection(EVERY_HOUR, rpo_target=60 * MINUTE)), since=NOW).refused

    assert "it is never older than 1 h 12 min, because the schedule leaves 1 h" in doubt
    assert "that is more than rpo_target 1 h. What fits: rpo_target: 72m, or every: 48m" in doubt


def test_a_target_below_what_any_interval_can_do_is_offered_a_longer_one_only() -> None:
    (doubt,) = study(policy(protection(every(5), rpo_target=10 * MINUTE)), since=NOW).refused

    assert doubt.endswith("What fits: rpo_target: 17m")


def test_a_blackout_widens_it_and_the_slot_just_before_may_come_after_it() -> None:
    """At five minutes the slot of 01:55 may miss its tick, and then waits until four."""
    night = Blackout(name="batch", zone="UTC", weekdays=EVERY_DAY, begins=120, ends=240)

    found = bound(every(5, zone="UTC"), blackouts=(night,))

    assert found.widest is not None
    assert (found.widest.since.hour, found.widest.since.minute) == (1, 45)
    assert (found.widest.until.hour, found.widest.until.minute) == (4, 0)
    assert "the schedule and its blackouts leave 2 h 15 min" in str(found)


def test_more_lost_ticks_are_a_longer_bound() -> None:
    generous = Known(assumptions=Assumptions(ticks_lost=3))
    strict = Known(assumptions=Assumptions(ticks_lost=0))

    assert bound(EVERY_HOUR, known=generous).length == 82 * MINUTE
    assert "a tick comes every 5 min and none may be lost (5 min)" in str(bound(EVERY_HOUR, known=strict))


def test_a_freeze_and_an_older_disk_take_their_time() -> None:
    frozen = bound(EVERY_HOUR, freeze=Freeze(before="a", after="b", within=MINUTE))
    older = bound(EVERY_HOUR, essd=False, size_gib=2000)

    assert frozen.length == 73 * MINUTE
    assert older.length is not None
    assert older.length > 72 * MINUTE
    assert "a snapshot of a disk of an older kind is usable when it is complete" in str(older)


def test_schedules_that_meet_on_an_older_disk_wait_for_each_other() -> None:
    slow = Known(measured={"p": Measured(usable=20 * MINUTE, complete=20 * MINUTE, points=9)})
    both = protection(EVERY_HOUR)
    other = protection(NIGHTLY, name="other")

    found = recovery_bound(both, disks=[disk(essd=False)], known=slow, since=NOW, together=[both, other])

    assert "a snapshot waits up to 20 min for another one of its disk" in str(found)


def test_slots_that_find_no_room_leave_no_bound_and_it_says_so() -> None:
    slow = Known(measured={"p": Measured(complete=90 * MINUTE, points=9)})

    found = bound(EVERY_HOUR, known=slow, essd=False, overlap=Overlap(then=Then.SKIP))

    assert found.length is None
    assert not found.holds
    assert str(found).startswith("no bound, because 168 of 336 slots of a fortnight find no room")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"])
@pytest.mark.parametrize("minutes", [5, 45, 60, 480])
def test_an_interval_is_never_wider_than_it_says_in_any_zone(zone: str, minutes: int) -> None:
    found = bound(every(minutes, zone=zone))

    assert found.widest is not None
    assert found.widest.length <= minutes * MINUTE


def test_seconds_are_rounded_up_so_that_the_parts_add_up_as_told() -> None:
    measured = Known(measured={"p": Measured(usable=timedelta(seconds=68), points=3)})
    at_once = Known(measured={"p": Measured(usable=timedelta(), points=3)})

    assert bound(EVERY_HOUR, known=measured).length == 72 * MINUTE
    assert "took at most 2 min" in str(bound(EVERY_HOUR, known=measured))
    assert bound(EVERY_HOUR, known=at_once).length == 70 * MINUTE
    assert "could be used at once" in str(bound(EVERY_HOUR, known=at_once))
