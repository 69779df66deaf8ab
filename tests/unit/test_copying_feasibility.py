"""Copies that cannot keep up with their sources, or not with their deadline."""

from datetime import timedelta

from shared.domain.assumptions import Assumptions, Known
from shared.domain.feasibility import study
from shared.domain.policy import CopyRule, Policy, Retention
from tests.unit.feasible import EVERY_HOUR, NIGHTLY, disk, every, policy, protection

HOUR = timedelta(hours=1)


def copied(minutes: int, *, within: timedelta = 6 * HOUR, schedules: tuple[str, ...] = ()) -> Policy:
    rule = CopyRule(region="cn-beijing", keep=Retention(daily=7), within=within, schedules=schedules)
    return policy(protection(every(minutes), NIGHTLY, copies=(rule,)))


def test_a_line_that_grows_without_end_is_refused_with_the_interval_that_keeps_up() -> None:
    """12 disks, 5 copies at once: three rounds."""
    slow = Known(assumptions=Assumptions(copy_mib_per_second=0.2))
    disks = {"p": [disk(f"d-{number}") for number in range(12)]}

    (doubt,) = study(copied(60), coverage=disks, known=slow).refused

    assert "protection p, copies to cn-beijing: a copy takes 27 min (0.30 GiB changed in 1 h at 0.2 MiB/s" in doubt
    assert "12 disks share 5 copies at once, 1 h 20 min in all" in doubt
    assert "the line grows without end. What fits: every: 160m or slower for what is copied" in doubt


def test_a_deadline_that_is_too_short_is_refused_with_one_that_fits() -> None:
    slow = Known(assumptions=Assumptions(copy_mib_per_second=1.0))

    (doubt,) = study(copied(60, within=timedelta(minutes=5)), known=slow).refused

    assert "it needs 8 min from taken to copied" in doubt
    assert "longer than within 5 min. What fits: within: 8m or more" in doubt
    assert study(copied(60, within=timedelta(minutes=8)), known=slow).refused == ()


def test_only_the_schedules_that_are_copied_count() -> None:
    slow = Known(assumptions=Assumptions(copy_mib_per_second=0.05))

    (everything,) = study(copied(60), known=slow).refused
    nightly = study(copied(60, schedules=("nightly",), within=24 * HOUR), known=slow)

    assert "the line grows without end" in everything
    assert nightly.refused == ()


def test_the_first_copies_are_full_and_late_which_is_told_and_not_refused() -> None:
    disks = {"p": [disk(f"d-{number}", size_gib=2000) for number in range(10)]}

    found = study(copied(60), coverage=disks)

    assert found.refused == ()
    assert "the first copies are full and take about" in found.notes[0]
    assert "longer than within 6 h" in found.notes[0]


def test_without_copies_nothing_is_said_of_them() -> None:
    assert study(policy(protection(EVERY_HOUR))).notes == ()
