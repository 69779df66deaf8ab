"""Snapshots of one disk that run into each other."""

from datetime import timedelta

import pytest

from shared.domain.assumptions import Assumptions, Known, Measured
from shared.domain.feasibility import study
from shared.domain.overlap import play
from shared.domain.policy import Overlap, Then
from shared.domain.timetable import ORDINARY
from tests.unit.feasible import EVERY_HOUR, NIGHTLY, disk, every, policy, protection

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
HOURS = [ORDINARY + number * HOUR for number in range(48)]


def test_a_snapshot_that_ends_in_time_never_waits() -> None:
    played = play(HOURS, takes=QUARTER, at_once=1, then=Then.SKIP)

    assert (played.lost, played.longest_wait, played.most_at_once) == (0, timedelta(), 1)


def test_two_schedules_that_meet_wait_for_each_other_or_lose_one() -> None:
    met = sorted([*HOURS, HOURS[24]])

    assert play(met, takes=QUARTER, at_once=1, then=Then.QUEUE).longest_wait == QUARTER
    assert play(met, takes=QUARTER, at_once=1, then=Then.SKIP).lost == 1
    assert play(met, takes=QUARTER, at_once=2, then=Then.SKIP).lost == 0


def test_what_takes_longer_than_its_interval_loses_slots_however_patient() -> None:
    queued = play(HOURS, takes=1.5 * HOUR, at_once=1, then=Then.QUEUE)

    assert queued.lost >= 15
    assert queued.longest_wait <= HOUR
    assert queued.most_at_once == 2


def test_an_older_disk_that_cannot_keep_up_is_refused_with_the_interval_that_it_can() -> None:
    """One snapshot at a time; 100 GiB of measured half hours."""
    slow = Known(measured={"p": Measured(complete=timedelta(minutes=31), points=40)})

    (doubt,) = study(policy(protection(every(20))), coverage={"p": [disk(essd=False)]}, known=slow).refused

    assert "a snapshot of disk d-1 takes 31 min (measured on 40 points)" in doubt
    assert "the cloud runs 1 at once for a disk of an older kind" in doubt
    assert "What fits: every: 32m or slower" in doubt
    assert study(policy(protection(every(32))), coverage={"p": [disk(essd=False)]}, known=slow).refused == ()
    assert study(policy(protection(every(20))), coverage={"p": [disk()]}, known=slow).refused == ()


def test_a_policys_own_bound_is_named_and_so_is_the_one_that_fits() -> None:
    slow = Known(measured={"p": Measured(complete=timedelta(minutes=31), points=40)})
    one = protection(every(20), overlap=Overlap(at_most=1, then=Then.SKIP))

    (doubt,) = study(policy(one), coverage={"p": [disk()]}, known=slow).refused

    assert "overlap.at_most is 1 (the cloud runs 10 at once for a disk of ESSD family)" in doubt
    assert "or overlap.at_most: 2" in doubt


def test_protections_that_share_a_disk_are_played_together() -> None:
    assumed = Known(assumptions=Assumptions(changed_per_hour=0.9, changed_per_day=1.0))
    hourly, nightly = protection(EVERY_HOUR, name="hourly"), protection(NIGHTLY, name="nightly")
    older = disk(essd=False, size_gib=200)

    apart = study(policy(hourly, nightly), coverage={"hourly": [older], "nightly": []}, known=assumed)
    together = study(policy(hourly, nightly), coverage={"hourly": [older], "nightly": [older]}, known=assumed)

    assert not [one for one in apart.refused if "at once" in one and "slots" in one]
    assert [one for one in together.refused if one.startswith("protections hourly and nightly")]


@pytest.mark.parametrize(("minutes", "ok"), [(5, True)])
def test_the_finest_schedule_of_an_ordinary_essd_disk_has_room(minutes: int, ok: bool) -> None:
    found = study(policy(protection(every(minutes))), coverage={"p": [disk()]})

    assert (found.refused == ()) is ok
