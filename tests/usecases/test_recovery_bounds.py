"""What a recovery may take and ask for, beside the cloud itself. Emulated time and counts only; `python -m bench
recovery` does the same with more seeds and prints the figures."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bench import recovery
from bench.recovery.required import REBUILD
from bench.recovery.run import Measured

PAGE = Path(__file__).resolve().parents[2] / "docs/rebuild.md"
SERIES = {one.name: one for one in recovery.all_series()}
SLOW = "plan of a hundred in two waves"


@pytest.mark.parametrize("name", [name for name in SERIES if name != SLOW])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_recovery_holds_its_bounds(name: str, seed: int) -> None:
    assert recovery.broken(SERIES[name], SERIES[name].run(seed)) == []


def test_a_hundred_in_waves_hold_theirs() -> None:
    assert recovery.broken(SERIES[SLOW], SERIES[SLOW].run(1)) == []


def test_a_bound_that_is_broken_is_said() -> None:
    series = SERIES["address kept"]
    one = series.run(1)
    slow = Measured(
        name=one.name,
        seed=1,
        took=one.critical * 1.2,
        critical=one.critical,
        changes={"StopInstance": 2},
        looks={"X": 99},
    )
    said = " | ".join(recovery.broken(series, slow))
    assert "took 1.200 of the critical path, 1.15 at most" in said
    assert "changed more than is required: {'StopInstance': 2}" in said
    assert "99 looks" in said


def test_the_page_lists_the_changes_that_the_bench_holds_rebuilds_to() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| for | changes |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|-][^|]*) \| (.+) \|$", table, flags=re.MULTILINE)
    listed = {what: Counter(_calls(calls)) for what, calls in rows}
    assert listed == {what: Counter(calls) for what, calls in REBUILD.items()}


def _calls(text: str) -> list[str]:
    found = []
    for one in text.split(", "):
        name, _, times = one.partition(" x ")
        found += [name] * int(times or "1")
    return found
