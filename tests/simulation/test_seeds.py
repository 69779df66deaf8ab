"""Drawn bad days in the tests' own number; `python -m bench.seeds` lives many more."""

import os
import subprocess
import sys

import pytest

from tests.costs import Account
from tests.simulation.seeds import lived

SEEDS, CHUNK = 500, 25


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_bad_days_end_well(first: int, account: Account) -> None:
    with account("drawn bad days", CHUNK):
        lives = [lived(seed) for seed in range(first, first + CHUNK)]

    failed = [life for life in lives if life.failures]
    assert not failed, f"python -m bench.seeds --seed {failed[0].seed}\n{failed[0].story()}"
    # The seeds must have been worth something.
    assert sum(life.accepted for life in lives) > CHUNK * 50
    assert sum(life.epochs - 1 for life in lives) > CHUNK / 5
    assert sum(life.lived_on for life in lives) > CHUNK


def test_a_seed_is_lived_again_in_the_same_way_by_any_process() -> None:
    command = [sys.executable, "-m", "bench.seeds", "--seed", "11"]
    told = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": number}, capture_output=True, text=True, check=True
        )
        for number in ("1", "2")
    ]

    assert told[0].stdout == told[1].stdout
    assert "crash: " in told[0].stdout
    assert told[0].stdout.splitlines()[0] == "seed 11: well"
