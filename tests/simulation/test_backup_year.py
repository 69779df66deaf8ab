"""Ten days of the year, with a few seeds: `python -m tests.simulation.backup_year` plays all of it."""

import pytest

from tests.simulation.backup_year import Year


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_days_of_trouble_break_no_promise_and_leave_no_slot_open(seed: int) -> None:
    told = Year(seed=seed, disks=10, days=10).play()

    assert told.broken == []
    assert told.slots["taken"] > 700
    assert told.slots["skipped"] > 0  # the dead day was one of them
    assert told.pruned > 500
