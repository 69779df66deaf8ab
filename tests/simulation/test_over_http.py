"""Seeds told again over HTTP, by the official SDKs: the same story to the last word."""

import os

import pytest

from tests.costs import Account
from tests.simulation.over_http import wire
from tests.simulation.seeds import lived

SEEDS, CHUNK = int(os.environ.get("UNDERSTUDY_SEEDS_OVER_HTTP", "20")), 4


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_seeds_tell_the_same_story_over_http(first: int, account: Account) -> None:
    seeds = range(first, min(first + CHUNK, SEEDS))
    calls = told = 0
    with account("seeds over HTTP", len(seeds)):
        for seed in seeds:
            in_process = lived(seed, keep_decisions=True)
            with wire() as wired:
                over_http = lived(seed, keep_decisions=True, wire=wired)
                calls += wired.rows.calls

            assert over_http.failures == [], f"seed {seed}"
            assert over_http.trace == in_process.trace, f"seed {seed}"
            assert over_http.decisions == in_process.decisions, f"seed {seed}"
            assert (over_http.accepted, over_http.rebinds) == (in_process.accepted, in_process.rebinds), f"seed {seed}"
            told += len(over_http.trace)

    # The seeds must have been worth something.
    assert calls > 50 * len(seeds)
    assert told > 5 * len(seeds)
