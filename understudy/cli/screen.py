"""How things look on a terminal, and, without one, in a pipe."""

import sys
from datetime import UTC, datetime, timedelta

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def console() -> Console:
    """Made at each use, so that it writes to whatever stdout is now; without a terminal nothing is cut off. Without
    emoji: `acs:ram::...` would lose its `:ram:` to one."""
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False)
    return Console(highlight=False, emoji=False, width=200)


def table(*columns: str, title: str | None = None) -> Table:
    made = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def duration(length: timedelta | None) -> str:
    """Two units at most: 45 s, 1 h 05 min, 25 h, 3 d 04 h."""
    if length is None:
        return "-"
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{length.total_seconds():g} s"
    if seconds < 3_600:
        return f"{seconds // 60} min" + (f" {seconds % 60:02} s" if seconds % 60 else "")
    if seconds < 2 * 86_400:
        return f"{seconds // 3_600} h" + (f" {seconds // 60 % 60:02} min" if seconds // 60 % 60 else "")
    return f"{seconds // 86_400} d" + (f" {seconds // 3_600 % 24:02} h" if seconds // 3_600 % 24 else "")


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
