"""How long recoveries take beside the cloud's own critical path, and what they ask of it, on emulated time.

    python -m bench recovery [--seeds 10] [--only WORD] [--json FILE]
    python -m bench recovery --wire    # one rebuild with deployed handlers, calls counted at the emulator's door

Each seed draws the cloud's durations anew. *Took* counts from the verdict (rebuild), the confirmed check (rollback),
the plan (launch) or the request (recovery plan) to service. *Critical* is what the emulated cloud itself took in that
very run: the longest chain of its state changes that must follow each other, by its own calendar, as if every call had
been sent at the moment from which it could be. Exits 1 when a run did not come to its end, changed more or less than
the docs list, looked more often than once per five seconds begun, or took longer than the bound.
"""

import argparse
import importlib
import json
import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.recovery import others, rebuilds
from bench.recovery.run import Measured

REPORT: Final = Path("reports/bench/recovery.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One recovery, to be run by seed, with the ratio that none of its runs may exceed."""

    name: str
    run: Callable[[int], Measured]
    bound: float | None  # None: told, not held
    counts_looks: bool = True


def all_series() -> Iterator[Series]:
    for variant in rebuilds.VARIANTS:
        yield Series(name=variant.name, run=partial(rebuilds.run, variant), bound=1.15)
    yield Series(name="rollback of a data disk", run=others.rollback, bound=None, counts_looks=False)
    yield Series(name="launch of 1", run=partial(others.launches, 1), bound=None)
    yield Series(name="launch of 100", run=partial(others.launches, 100), bound=1.3)
    yield Series(name="plan of a hundred in two waves", run=others.plan, bound=1.3, counts_looks=False)


def broken(series: Series, one: Measured) -> list[str]:
    """What a run did not hold."""
    if one.failed:
        return [one.failed]
    found = []
    if series.bound is not None and one.ratio > series.bound:
        found.append(f"took {one.ratio:.3f} of the critical path, {series.bound} at most")
    if one.too_many:
        found.append(f"changed more than is required: {dict(one.too_many)}")
    if one.too_few:
        found.append(f"changed less than is said to be required: {dict(one.too_few)}")
    looks = sum(one.looks.values())
    if series.counts_looks and looks > one.allowed:
        found.append(f"{looks} looks in {one.took.total_seconds():.0f} s, {one.allowed} at most")
    return [f"seed {one.seed}: {text}" for text in found]


def row(series: Series, runs: Sequence[Measured]) -> str:
    good = [one for one in runs if not one.failed]
    if not good:
        return f"{series.name:<34} no run came to its end"
    ratios = sorted(one.ratio for one in good)
    seconds = statistics.median(one.took.total_seconds() for one in good)
    changes = sum(good[0].changes.values())
    reads = sum(good[0].planning.values())
    looks = max(sum(one.looks.values()) / one.allowed for one in good)
    told = f"{reads:>3} + {statistics.median(sum(one.looks.values()) for one in good):>2.0f} ({looks:.2f})"
    return (
        f"{series.name:<34} {ratios[0]:.3f} {statistics.median(ratios):.3f} {ratios[-1]:.3f}  {seconds:>6.1f} s  "
        f"{changes:>4} of {sum(good[0].required.values()):<4} {told if good[0].looks else '-'}"
    )


def record(series: Series, runs: Sequence[Measured]) -> Mapping[str, Any]:
    return {
        "name": series.name,
        "bound": series.bound,
        "runs": [
            {
                "seed": one.seed,
                "took_seconds": one.took.total_seconds(),
                "critical_seconds": one.critical.total_seconds(),
                "changes": dict(one.changes),
                "required": dict(one.required),
                "planning": dict(one.planning),
                "looks": dict(one.looks),
                "phases_seconds": {name: took.total_seconds() for name, took in one.phases.items()},
                "broken": broken(series, one),
            }
            for one in runs
        ],
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench recovery", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="series whose name contains this")
    parser.add_argument("--json", type=Path, default=REPORT)
    parser.add_argument("--wire", action="store_true", help="one rebuild over the wire instead")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    if options.wire:
        played = importlib.import_module("bench.recovery.wire").run()
        print(played.line())
        return 0 if played.well else 1
    print(f"{'':<34} {'min':>5} {'median':>5} {'max':>5}    took     changes      reads + looks (most per 5 s)")
    trouble: list[str] = []
    records = []
    for series in all_series():
        if options.only not in series.name:
            continue
        runs = [series.run(seed) for seed in range(1, options.seeds + 1)]
        print(row(series, runs), flush=True)
        trouble += [f"{series.name}, {text}" for one in runs for text in broken(series, one)]
        records.append(record(series, runs))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(records, indent=2) + "\n")
    print(f"written: {options.json}", *(f"BROKEN {text}" for text in trouble), sep="\n")
    return 1 if trouble else 0
