"""Act 3 alone, again and again: how long from the loss of the active master to the first good answer.

    python -m bench failover [--runs 5] [--loss zone-silent --loss agent-killed ...] [--json FILE]

Each run has a local cloud of its own and ends when the client that resolves each time is served by the standby; at
which moment of the lease's life the loss comes is left to chance. Unlike the other benches this one measures no speed:
its seconds are the arithmetic of lease, margin and renewal in understudy.yaml, with a little of the machine on top.

Exits 1 when two masters were ever active at once, when a run did not come to its end, or when the median of
zone-silent is above the limit.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from shared.adapters.clock import SystemClock
from shared.domain.errors import DrError
from shared.domain.objectives import FAILOVER_PHASES
from understudy.checker import Unreadable
from understudy.demo import act3
from understudy.demo.act3 import Loss, Result
from understudy.demo.local_cloud import CloudDied
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.stage import NotInTime, Stage

REPORT = Path("reports/bench/failover.json")


@dataclass(kw_only=True)
class Series:
    """All runs of one kind of loss."""

    loss: Loss
    results: list[Result] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # runs without a measurement, and why
    broken: list[str] = field(default_factory=list)  # promises broken in measured runs

    @property
    def seconds(self) -> list[float]:
        return [r.first_good for r in self.results if r.first_good is not None]

    @property
    def overlaps(self) -> int:
        return sum(bool(r.violations) for r in self.results)

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def phases(self) -> dict[str, float]:
        """Median of each, seconds."""
        measured = {p: [r.phases[p] for r in self.results if p in r.phases] for p in FAILOVER_PHASES}
        return {phase: statistics.median(values) for phase, values in measured.items() if values}

    @property
    def well(self) -> bool:
        good = not self.failed and not self.broken and not self.overlaps and self.median is not None
        return good and (self.loss is not Loss.ZONE_SILENT or (self.median or 0.0) <= act3.LIMIT)

    def record(self) -> dict[str, Any]:
        return {
            "loss": self.loss.value,
            "runs": len(self.results) + len(self.failed),
            "first_good_seconds": self.seconds,
            "min": min(self.seconds, default=None),
            "median": self.median,
            "max": max(self.seconds, default=None),
            "phases_median_seconds": self.phases,
            "nobody_active_seconds": [r.silence_between for r in self.results],
            "accepted_commands_checked": sum(r.accepted for r in self.results),
            "epochs": [[r.epoch_before, r.epoch_after] for r in self.results],
            "overlaps": self.overlaps,
            "failed": self.failed,
            "broken": self.broken,
        }

    def line(self) -> str:
        if not self.seconds:
            return f"{self.loss:<14} no run came to its end"
        phases = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.phases.items())
        accepted = sum(r.accepted for r in self.results)
        return (
            f"{self.loss:<14} {min(self.seconds):5.1f} {self.median:7.1f} {max(self.seconds):5.1f} s   "
            f"{self.overlaps} overlaps in {accepted} accepted commands of {len(self.results)} runs   ({phases})"
        )


def once(loss: Loss, number: int) -> tuple[Result, list[str]]:
    """One run; its promises that were broken. Raises what makes a run worthless."""
    promises = Promises()
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as folder:
        narrator = Narrator(Console(quiet=True))
        opened = Stage.opened(Path(folder), narrator=narrator, promises=promises, clock=SystemClock(), seed=number)
        with opened as stage:
            stage.prepare()
            result = act3.play(stage, loss, caching=False)
            act3.judge(stage, result)
    return result, [f"{promise.text}: {promise.evidence}" for promise in promises.broken]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench failover", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--loss", type=Loss, choices=list(Loss), action="append", help="repeatable; default: all four")
    parser.add_argument("--json", type=Path, default=REPORT)
    options = parser.parse_args(arguments)
    table = [Series(loss=loss) for loss in options.loss or list(Loss)]
    for series in table:
        for number in range(1, options.runs + 1):
            _run(series, number)
    print(f"\n{'loss':<14} {'min':>5} {'median':>7} {'max':>5}     from the loss to the first good answer")
    for series in table:
        print(series.line())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([series.record() for series in table], indent=2) + "\n")
    print(f"written: {options.json}")
    return 0 if all(series.well for series in table) else 1


def _run(series: Series, number: int) -> None:
    try:
        result, broken = once(series.loss, number)
    except (CloudDied, NotInTime, Unreadable, DrError, OSError) as error:
        series.failed.append(f"run {number}: {type(error).__name__}: {error}")
        print(f"{series.loss} {number}: FAILED {series.failed[-1]}", flush=True)
        return
    series.results.append(result)
    series.broken += [f"run {number}: {text}" for text in broken]
    seconds = "never" if result.first_good is None else f"{result.first_good:.1f} s"
    print(f"{series.loss} {number}: served again after {seconds}, epoch {result.epoch_before} -> {result.epoch_after}, "
          f"{len(result.violations)} violations", *broken, sep="\n  BROKEN ", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
