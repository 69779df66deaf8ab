"""Many drawn bad days of a pair, on virtual time: never two active, never a rebind before its time, always an end.

    python -m bench.seeds [--seeds 10000] [--first 0] [--jobs 2] [--json FILE]
    python -m bench.seeds --seed N      one of them again, with what it drew and all that happened

Each seed is a world of its own (tests/simulation): the real watches as ticks in executors, the real agents, pledges and
role readers, and the emulator's name service, with faults drawn from the seed. docs/simulation.md names the faults.
Exits 1 when a seed broke a promise.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from shared.adapters.clock import SystemClock
from tests.simulation.seeds import Life, lived

CHUNK = 50


@dataclass
class Tally:
    seeds: int = 0
    accepted: int = 0
    take_overs: int = 0
    withdrawn: int = 0
    rebinds: int = 0
    lived_on: int = 0
    rests: list[float] = field(default_factory=list)
    drawn: Counter[str] = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=dict)

    def add(self, life: Life) -> None:
        self.seeds += 1
        self.accepted += life.accepted
        self.take_overs += max(0, life.epochs - 1)
        self.withdrawn += life.withdrawn
        self.rebinds += life.rebinds
        self.lived_on += life.lived_on
        self.drawn.update(life.kinds)
        if life.rest_after is not None:
            self.rests.append(life.rest_after)
        if life.failures:
            self.failed[life.seed] = life.failures

    def record(self) -> dict[str, object]:
        rests = sorted(self.rests)
        return {
            "seeds": self.seeds,
            "failed": self.failed,
            "commands accepted": self.accepted,
            "withdrawn by the second look": self.withdrawn,
            "epochs after the first under which a site served": self.take_overs,
            "rebinds": self.rebinds,
            "grants extended by pledges": self.lived_on,
            "seconds from the last fault to rest": {
                "median": rests[len(rests) // 2] if rests else None,
                "worst": rests[-1] if rests else None,
            },
            "faults drawn": dict(self.drawn.most_common()),
        }


def _chunk(seeds: range) -> list[Life]:
    lives = [lived(seed) for seed in seeds]
    for life in lives:
        life.trace.clear()  # what failed is lived again by whoever wants to read it
    return lives


def tallied(seeds: range, *, jobs: int) -> Iterator[Tally]:
    """The tally so far, after each chunk."""
    tally = Tally()
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for done in as_completed([pool.submit(_chunk, chunk) for chunk in chunks]):
            for life in done.result():
                tally.add(life)
            yield tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.seeds", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="live this one alone and tell it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if given.seed is not None:
        life = lived(given.seed)
        sys.stdout.write(life.story() + "\n")
        return 1 if life.failures else 0
    clock = SystemClock()
    began = clock.monotonic()
    tally = Tally()
    for tally in tallied(range(given.first, given.first + given.seeds), jobs=given.jobs):
        sys.stderr.write(f"\r{tally.seeds} of {given.seeds} seeds, {len(tally.failed)} failed")
        sys.stderr.flush()
    sys.stderr.write("\n")
    record = {**tally.record(), "seconds": round(clock.monotonic() - began, 1), "processes": given.jobs}
    sys.stdout.write(json.dumps(record, indent=2) + "\n")
    for seed, failures in sorted(tally.failed.items()):
        sys.stdout.write(f"FAILED seed {seed}: {failures[0][:200]}\n  python -m bench.seeds --seed {seed}\n")
    if given.json is not None:
        given.json.write_text(json.dumps(record, indent=2) + "\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
