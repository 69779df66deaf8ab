"""A slice of `python -m bench.endurance`: hours of split stores and slow calls, and nothing stops or moves."""

from datetime import timedelta

import pytest

from bench.endurance import SPLITS, day
from shared.domain.lease import Terms

FAST = Terms(lease=timedelta(seconds=5), margin=timedelta(seconds=1), renew_every=timedelta(seconds=1))


@pytest.mark.parametrize("seed", range(len(SPLITS) // 2))
def test_with_pledges_nothing_is_demoted_and_nothing_moves(seed: int) -> None:
    lived = day(2 * seed, hours=2, terms=FAST)

    assert lived.accepted > 2 * 3600
    assert (lived.demotions, lived.failovers, lived.overlap) == (0, 0, ""), lived
    assert lived.extended > 0, "the splits must have been felt"


def test_without_them_a_split_stops_the_master() -> None:
    lived = day(0, hours=2, terms=FAST, pledges=False)

    assert lived.demotions > 0
    assert lived.overlap == ""
