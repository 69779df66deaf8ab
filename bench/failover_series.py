"""What a series of runs says: one record per run, medians, limits, and whether the figures agree with each other.

Pure: it knows nothing of how a run is made. A series is kept as one JSON file, written anew after each run, so that an
interruption costs the run under way and nothing else.
"""

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

ROUNDING: Final = 0.001  # seconds by which phases may miss their total
NO_CHANGE: Final = 0.5  # seconds between two medians that count as the same


@dataclass(frozen=True, kw_only=True)
class Felt:
    """What one client felt, in seconds from the loss or the order."""

    served_again: float | None
    cached: float | None = None  # age of the answer that it held at the loss
    without: float | None = None  # between its last good answer of before and its first of after
    refused: int = 0
    refused_for: float = 0.0
    lost: int = 0  # requests without a good answer, the refused among them


@dataclass(frozen=True, kw_only=True)
class Run:
    number: int
    load: int = 0  # open backup operations in the store
    first_good: float | None = None  # of the client that resolves each time
    phases: Mapping[str, float] = field(default_factory=dict)
    clients: Mapping[str, Felt] = field(default_factory=dict)
    epochs: tuple[int, int] = (0, 0)
    voices: int = 0  # peers on whose pledges the old holder could live
    silence: float | None = None  # between the last command of the old reign and the first of the new
    accepted: int = 0  # commands that the checker looked at
    overlaps: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()  # promises that were not kept
    failed: str = ""  # why there is no measurement at all
    worked: int = 0  # operations on which the backup function worked meanwhile
    fenced: float | None = None  # seconds from the loss until the old instance reads as stopped: masters without agents
    asked: float | None = None  # seconds from the loss until an operator was called
    ordered: float | None = None  # seconds from the operator's order to service
    took: float = 0.0  # wall seconds of the whole run

    @property
    def off(self) -> str:
        """In what its figures contradict each other; empty: in nothing."""
        total = sum(self.phases.values())
        if self.failed or self.first_good is None:
            return ""
        if not self.phases:
            return "it has no phases"
        if abs(total - self.first_good) > ROUNDING:
            return f"its phases sum to {total:.3f} s, but service came after {self.first_good:.3f} s"
        return ""

    @property
    def verdict(self) -> str:
        """Of the checker."""
        if self.failed:
            return "not measured"
        return "two were active" if self.overlaps else "never two active" if self.accepted else "nothing was accepted"

    @property
    def well(self) -> bool:
        return not (self.failed or self.broken or self.off) and self.verdict == "never two active"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds; None: none is set."""

    median: float | None = None
    worst: float | None = None
    without: float | None = None  # the longest that the client that resolves each time may be without service


@dataclass(kw_only=True)
class Series:
    """Runs of one kind."""

    name: str  # its report's file name without the ending
    loss: str
    words: str
    terms: Mapping[str, float]  # lease, margin, renew, watch: seconds
    settings: Mapping[str, Any] = field(default_factory=dict)  # what else it was asked for
    limits: Limits = field(default_factory=Limits)
    measured: str = "resolves each time"  # the kind of client whose figures the limits are about
    runs: list[Run] = field(default_factory=list)

    def of(self, load: int | None) -> list[Run]:
        """Measured ones; `load` None: whatever it was."""
        return [run for run in self.runs if not run.failed and load in (None, run.load)]

    def seconds(self, load: int | None = None) -> list[float]:
        return [run.first_good for run in self.of(load) if run.first_good is not None]

    def median(self, load: int | None = None) -> float | None:
        return middle(self.seconds(load))

    def loads(self) -> list[int]:
        return sorted({run.load for run in self.runs})

    def phases(self, load: int | None = None) -> dict[str, float]:
        """Median of each."""
        runs = self.of(load)
        names = list(dict.fromkeys(name for run in runs for name in run.phases))
        return {name: statistics.median(run.phases[name] for run in runs if name in run.phases) for name in names}

    def felt(self, kind: str, what: str) -> list[float]:
        """One figure of one kind of client over all runs."""
        found = (getattr(run.clients[kind], what) for run in self.of(None) if kind in run.clients)
        return [value for value in found if value is not None]

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(kind for run in self.runs for kind in run.clients))

    @property
    def troubles(self) -> list[str]:
        """Why it does not pass; nothing: it does."""
        found = []
        for run in self.runs:
            reasons = [run.failed, *run.broken, *run.overlaps, run.off]
            found += [f"run {run.number}: {why}" for why in reasons if why]
            if not run.failed and run.first_good is None:
                found.append(f"run {run.number}: the client was never served again")
        if not self.of(None):
            found.append("no run came to its end")
        return [*found, *self._beyond_limits(), *self._changed()]

    def _beyond_limits(self) -> Iterable[str]:
        every = self.seconds()
        median, limits = middle(every), self.limits
        if limits.median is not None and median is not None and median > limits.median:
            yield f"the median of {median:.2f} s is above {limits.median:g} s"
        if limits.worst is not None and every and max(every) > limits.worst:
            yield f"the worst of {max(every):.2f} s is above {limits.worst:g} s"
        without = self.felt(self.measured, "without")
        if limits.without is not None and without and max(without) > limits.without:
            yield f"without service for {max(without):.2f} s, which is more than {limits.without:g} s"

    def _changed(self) -> Iterable[str]:
        loads = self.loads()
        medians = [self.median(load) for load in loads]
        known = [median for median in medians if median is not None]
        if len(loads) > 1 and len(known) == len(loads) and max(known) - min(known) > NO_CHANGE:
            told = ", ".join(f"{median:.2f} s with {load}" for load, median in zip(loads, known, strict=True))
            yield f"the medians differ by more than {NO_CHANGE:g} s: {told} open operations"

    # --- kept ---

    def record(self) -> dict[str, Any]:
        every = self.seconds()
        summary = {
            "runs": len(self.runs),
            "failed": sum(bool(run.failed) for run in self.runs),
            "min": min(every, default=None),
            "median": middle(every),
            "max": max(every, default=None),
            "phases_median": self.phases(),
            "median_by_load": {str(load): self.median(load) for load in self.loads()},
            "overlaps": sum(bool(run.overlaps) for run in self.runs),
            "accepted_commands_checked": sum(run.accepted for run in self.runs),
            "troubles": self.troubles,
        }
        runs = [{**asdict(run), "verdict": run.verdict, "phases_sum": sum(run.phases.values())} for run in self.runs]
        head = {name: getattr(self, name) for name in ("name", "loss", "words", "terms", "settings", "measured")}
        return {**head, "limits": asdict(self.limits), "summary": summary, "runs": runs}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ValueError when it is not a report of this bench, OSError when it cannot be read."""
        try:
            body = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        try:
            return cls(
                **{name: body[name] for name in ("name", "loss", "words", "terms", "settings", "measured")},
                limits=Limits(**body["limits"]),
                runs=[_run(run) for run in body["runs"]],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a report of `python -m bench failover` ({error!r})") from error

    def keep(self, folder: Path) -> Path:
        """Whole or not at all, also when it is interrupted."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self.record(), indent=2) + "\n")
        fresh.replace(path)
        return path


def _run(body: Mapping[str, Any]) -> Run:
    known = {name: value for name, value in body.items() if name not in ("verdict", "phases_sum")}
    known["clients"] = {kind: Felt(**felt) for kind, felt in known["clients"].items()}
    for name in ("epochs", "overlaps", "broken"):
        known[name] = tuple(known[name])
    return Run(**known)


def middle(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None
