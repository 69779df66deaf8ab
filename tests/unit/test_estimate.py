"""Estimates: what is reckoned, what was measured, and how lanes fill."""

from datetime import timedelta

import pytest

from shared.domain.estimate import Durations, Estimate, Sized, in_lanes, learn

OLD = Sized(size_gib=100, category="cloud_efficiency")
NEW = Sized(size_gib=100)


def seconds(*values: float) -> list[timedelta]:
    return [timedelta(seconds=one) for one in values]


@pytest.mark.parametrize(
    ("lengths", "lanes", "expected"),
    [
        pytest.param([], 3, 0, id="nothing"),
        pytest.param([5, 3, 4], 3, 5, id="side by side"),
        pytest.param([5, 3, 4], 1, 12, id="one after the other"),
        pytest.param([5, 3, 4, 1], 2, 7, id="the next begins when one has ended"),
    ],
)
def test_lanes(lengths: list[float], lanes: int, expected: float) -> None:
    assert in_lanes(seconds(*lengths), lanes) == timedelta(seconds=expected)


def test_no_lane_holds_no_work() -> None:
    with pytest.raises(ValueError, match="0 lanes"):
        in_lanes([], 0)


def test_a_safety_snapshot_of_an_older_disk_is_waited_for_to_its_last_byte() -> None:
    estimate = Estimate()
    assert estimate.safety([NEW]) == Durations().usable
    assert estimate.safety([NEW, OLD]) == estimate.assumptions.snapshot_takes(100, since=None)


def test_the_slowest_disk_decides_over_a_restore() -> None:
    estimate = Estimate()
    one = estimate.restore(resets=[NEW])
    assert estimate.restore(resets=[NEW, Sized(size_gib=10)]) == one
    assert estimate.restore(resets=[Sized(size_gib=1000)]) > one


def test_what_was_measured_is_believed_before_what_is_reckoned() -> None:
    took = timedelta(minutes=9)
    known = Estimate(measured=learn([("restore", "i-db", timedelta(hours=1)), ("restore", "i-db", took)]))
    assert known.restore(resets=[NEW], subject="i-db") == took
    # Another's disks have other sizes.
    assert known.restore(resets=[NEW], subject="i-web") == Estimate().restore(resets=[NEW])


def test_a_rebuild_takes_as_long_as_others_of_its_kind() -> None:
    took = seconds(100, 300, 200)
    known = Estimate(measured=learn([("rebuild", f"i-{at}", one) for at, one in enumerate(took)]))
    assert known.rebuild(subject="i-new") == timedelta(seconds=200)
    assert known.rebuild(subject="i-1") == timedelta(seconds=300)
