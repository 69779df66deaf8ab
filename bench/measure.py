"""How a measurement is taken and said."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`ratio` is ours over the baseline's: medians of one call each, in milliseconds."""

    name: str
    ours_ms: float
    baseline: str
    baseline_ms: float

    @property
    def ratio(self) -> float:
        return self.ours_ms / self.baseline_ms

    def line(self) -> str:
        return (
            f"{self.name:<44} {self.ratio:6.2f} x  ({self.ours_ms:.3f} ms against {self.baseline_ms:.3f} ms,"
            f" {self.baseline})"
        )

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def side_by_side(
    ours: Callable[[int], object], baseline: Callable[[int], object], *, rounds: int = 20, calls: int = 50
) -> tuple[float, float]:
    """Median milliseconds of one call of each, taken turn by turn so that both meet the same weather. Each callable
    gets a number that it never got before."""
    for number in range(calls):  # connections, caches, lazy imports
        ours(-1 - number)
        baseline(-1 - number)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for which, call in enumerate((ours, baseline)):
            begin = time.perf_counter()
            for number in range(turn * calls, (turn + 1) * calls):
                call(number)
            times[which].append((time.perf_counter() - begin) / calls * 1000)
    return statistics.median(times[0]), statistics.median(times[1])
