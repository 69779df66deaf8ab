"""Seeds told again over HTTP, by the official SDKs: the same story to the last word."""

import os

import pytest

from tests.simulation.over_http import wire
from tests.simulation.seeds import lived

SEEDS = range(int(os.environ.get("UNDERSTUDY_SEEDS_OVER_HTTP", "5")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_tells_the_same_story_over_http(seed: int) -> None:
    in_process = lived(seed, keep_decisions=True)
    with wire() as wired:
        over_http = lived(seed, keep_decisions=True, wire=wired)
        calls = wired.rows.calls

    assert over_http.failures == []
    assert over_http.trace == in_process.trace
    assert over_http.decisions == in_process.decisions
    assert (over_http.accepted, over_http.rebinds) == (in_process.accepted, in_process.rebinds)
    assert len(over_http.trace) > 5
    assert calls > 50
