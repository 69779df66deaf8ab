"""A slice of `python -m bench.endurance`: hours of split stores and slow calls, and nothing stops or moves."""

from datetime import timedelta

import pytest

from bench.endurance import SPLITS, day
from shared.domain.lease import Terms

FAST = Terms(lease=timedelta(seconds=5), margin=timedelta(seconds=1), renew_every=timedelta(seconds=1))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("seed", "hours"), [(0, len(SPLITS)), (2, 1), (4, 1)])
def test_with_pledges_nothing_is_demoted_and_nothing_moves(seed: int, hours: int) -> None:
    """The first life meets every kind of split; the other two begin with other kinds."""
    lived = day(seed, hours=hours, terms=FAST)

    assert lived.accepted > hours * 3600
    assert (lived.demotions, lived.failovers, lived.overlap) == (0, 0, ""), lived
    assert lived.extended > 0, "the splits must have been felt"


def test_without_them_a_split_stops_the_master() -> None:
    lived = day(0, hours=2, terms=FAST, pledges=False)

    assert lived.demotions > 0
    assert lived.overlap == ""
