"""What is wrong with a file of ours, said so that its author can mend it: file, key, value, remedy."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.errors import BadInput

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    path: Path
    says: str  # the value, what is wrong with it, and the remedy
    line: int | None = None


def shown(path: Path) -> str:
    """`protections[0].schedules[1].hours`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return _on_one_line(text)


def quoted(value: object) -> str:
    """A value as its author would recognise it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return _on_one_line(text if len(text) <= 60 else f"{text[:57]}...")


def _on_one_line(text: str) -> str:
    """A problem is one line, whatever its author wrote."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'hours'?` or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def refusal(where: str, problems: Sequence[Problem]) -> BadInput:
    """All problems in one message, in the order of the file."""
    lines = []
    for problem in sorted(problems, key=lambda one: one.line or 0):
        key = f"{shown(problem.path)}: " if problem.path else ""
        line = f" (line {problem.line})" if problem.line else ""
        lines.append(f"{where}: {key}{problem.says}{line}")
    return BadInput("\n".join(lines))
