"""Markdown of the reports, for docs/benchmarks.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.failover_series import Series, middle


def markdown(paths: Iterable[Path]) -> str:
    """Raises ValueError, OSError."""
    every = [Series.load(path) for path in _files(paths)]
    moves = [series for series in every if series.loss != "switchover"]
    switched = [series for series in every if series.loss == "switchover"]
    parts = [
        _losses(moves),
        _phases(every),
        _clients(every),
        _switchovers(switched),
        _unattended(every),
        _loads(every),
        _troubles(every),
    ]
    return "\n\n".join(part for part in parts if part)


def _files(paths: Iterable[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def _losses(every: Sequence[Series]) -> str:
    rows = [
        (
            f"`{series.name}`: {series.words}",
            f"{len(series.of(None))} of {len(series.runs)}",
            *_spread(series.seconds()),
            f"{sum(bool(run.overlaps) for run in series.runs)} in {sum(run.accepted for run in series.runs):,}",
            _range([run.silence for run in series.of(None) if run.silence is not None]),
        )
        for series in every
    ]
    return _table(("loss", "runs", "min", "median", "worst", "overlaps", "nobody active between"), rows)


def _phases(every: Sequence[Series]) -> str:
    names = list(dict.fromkeys(name for series in every for name in series.phases()))
    rows = [
        (f"`{series.name}`", *(f"{found[name]:.2f}" if name in found else "" for name in names))
        for series in every
        if (found := series.phases())
    ]
    return _table(("median seconds of", *names), rows)


def _clients(every: Sequence[Series]) -> str:
    rows = [
        (f"`{series.name}`", kind, *_spread(series.felt(kind, "served_again")), *_spread(series.felt(kind, "without")))
        for series in every
        if len(series.kinds) > 1
        for kind in series.kinds
    ]
    head = ("series", "the client that", "served again: min", "median", "worst", "without service: min", "median")
    return _table((*head, "worst"), rows)


def _switchovers(every: Sequence[Series]) -> str:
    rows = [
        (
            f"`{series.name}`",
            kind,
            str(len(series.of(None))),
            *_spread(series.felt(kind, "without"), digits=2),
            _range(series.felt(kind, "refused_for"), digits=2),
            f"{sum(series.felt(kind, 'refused')):.0f}",
        )
        for series in every
        for kind in series.kinds
    ]
    head = ("switchover", "the client that", "runs", "without service: min", "median", "worst", "refused for")
    return _table((*head, "requests refused"), rows)


def _unattended(every: Sequence[Series]) -> str:
    rows = [
        (
            f"`{series.name}`",
            str(len(runs)),
            *_spread([run.fenced for run in runs if run.fenced is not None and run.asked is None]),
            _range([run.asked for run in runs if run.asked is not None]),
            _range([run.ordered for run in runs if run.ordered is not None]),
        )
        for series in every
        if series.settings.get("agentless") and (runs := series.of(None))
    ]
    head = ("without agents", "runs", "read as stopped after: min", "median", "worst", "operator called after")
    return _table((*head, "from the order to service"), rows)


def _loads(every: Sequence[Series]) -> str:
    rows = [
        (
            f"`{series.name}`",
            f"{load:,}",
            str(len(series.of(load))),
            *_spread(series.seconds(load)),
            _worked(series, load),
        )
        for series in every
        if len(series.loads()) > 1
        for load in series.loads()
    ]
    return _table(("series", "open operations", "runs", "min", "median", "worst", "snapshots asked for"), rows)


def _worked(series: Series, load: int) -> str:
    return _range([float(run.worked) for run in series.of(load)], digits=0, unit="") if load else ""


def _troubles(every: Sequence[Series]) -> str:
    return "\n".join(f"- `{series.name}`: {why}" for series in every for why in series.troubles)


def _spread(values: Sequence[float], *, digits: int = 1) -> tuple[str, str, str]:
    found = middle(values)
    if found is None:
        return ("", "none", "")
    return f"{min(values):.{digits}f} s", f"**{found:.{digits}f} s**", f"{max(values):.{digits}f} s"


def _range(values: Sequence[float], *, digits: int = 1, unit: str = " s") -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}{unit}" if values else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)).replace("| --- |", "|---|")
