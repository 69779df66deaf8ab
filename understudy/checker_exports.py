"""What the checker reads beside accept logs: the decisions of a pair, and the cloud's own trail of its names.

Both are JSON lines between a first line that says what they are and how far they reach, and a last one that counts
them, so that a file that was cut off, or put together by hand, is not taken for all there is:

    {"export": "decisions", "of": "control", "complete": true, "since": null, "until": "2026-03-02T11:00:00.000000Z"}
    {"at": "2026-03-02T10:00:07.120000Z", "event": "failover.promoting", "epoch": 2, "inputs": {...}, ...}
    {"end": "decisions", "lines": 1}

Written by `understudy explain PAIR --json` and `understudy name trail PAIR`. Moments are wall clocks in UTC: of whoever
decided, and of the cloud. Standard library only, as the checker.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Unreadable(Exception):
    """A file that cannot be read proves nothing; the message names file, line and what is wrong."""


@dataclass(frozen=True)
class Decided:
    """A decision, as far as it says who had which epoch and where names were to point."""

    where: str
    at: float  # seconds since 1970, on the clock of whoever decided
    event: str
    epoch: int | None
    granted_to: str = ""  # the site that has this epoch by this decision
    held_by: str = ""  # the site that the lease row named under this epoch when it was read
    names: Mapping[str, str] = field(default_factory=dict)  # name -> the value that this decision gives it
    began: float | None = None  # before anything was done that this decision tells of
    move: int | None = None  # number of the state row that it wrote
    by_agent: bool = False  # by the clock of a master's machine


@dataclass(frozen=True)
class Change:
    """One line of the cloud's trail."""

    where: str
    at: float  # seconds since 1970, on the cloud's clock
    action: str
    name: str
    value: str  # what the record answers with from then on; empty: the trail does not say
    text: str
    by: str = ""
    before: str = ""  # what it answered with until then; empty: likewise

    @property
    def moves(self) -> bool:
        """Not a time to live that was changed, nor an update to what stood already."""
        return not self.value or self.value != self.before


@dataclass(frozen=True)
class Export(Generic[T]):
    of: str
    lines: tuple[T, ...]  # oldest first
    complete: bool  # everything since `since`; False: older ones were left out
    since: float | None  # None: from the beginning
    until: float
    names: tuple[str, ...] = ()

    def missing(self, what: str) -> str:
        """Why nothing can be said from what it lacks; empty when it is whole."""
        return "" if self.complete else f"the {what} of {self.of} were exported in part only: older ones are left out"


def decisions_in(path: Path) -> Export[Decided]:
    """Raises Unreadable."""
    return _read(path, "decisions", decided)


def trail_in(path: Path) -> Export[Change]:
    """Raises Unreadable."""
    return _read(path, "trail", _change)


def _read(path: Path, kind: str, parse: Callable[[str, Mapping[str, Any]], T]) -> Export[T]:
    rows = list(_rows(path))
    if not rows or rows[0][1].get("export") != kind:
        raise Unreadable(f"{path}: no export of {kind}: its first line does not say so")
    where, last = rows[-1]
    if last.get("end") != kind:
        raise Unreadable(f"{where}: cut off: the last line does not end an export of {kind}; export it again")
    if last.get("lines") != len(rows) - 2:
        raise Unreadable(f"{where}: it counts {last.get('lines')} lines, and there are {len(rows) - 2}: lines are gone")
    head = rows[0][1]
    try:
        found = Export(
            of=str(head["of"]),
            lines=tuple(sorted((parse(at, row) for at, row in rows[1:-1]), key=lambda one: one.at)),  # type: ignore[attr-defined]  # both kinds have it
            complete=head["complete"] is True,
            since=None if head["since"] is None else moment(head["since"]),
            until=moment(head["until"]),
            names=tuple(str(one) for one in head.get("names", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Unreadable(f"{path}: its first line, or one after it, is damaged ({error!r})") from error
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from error
    # A text may bear other ends of lines (U+2028), which are none here.
    for number, raw in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        where = f"{path.name}:{number}"
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"{where}: no JSON ({error})") from error
        if not isinstance(body, dict):
            raise Unreadable(f"{where}: not an object")
        yield where, body


def decided(where: str, row: Mapping[str, Any]) -> Decided:
    inputs = row["inputs"]
    epoch = row["epoch"]
    return Decided(
        where=where,
        at=moment(row["at"]),
        event=str(row["event"]),
        epoch=None if epoch is None else int(epoch),
        granted_to=str(inputs.get("granted_to", "")),
        held_by=str(inputs.get("held_by", "")),
        names={str(name): plain(str(value)) for name, value in json.loads(inputs.get("names", "{}")).items()},
        began=moment(inputs["began"]) if "began" in inputs else None,
        move=int(inputs["move"]) if "move" in inputs else None,
        by_agent="holder" in inputs and str(row["event"]).startswith("lease."),
    )


def _change(where: str, row: Mapping[str, Any]) -> Change:
    return Change(
        where=where,
        at=moment(row["at"]),
        action=str(row["action"]),
        name=str(row["name"]).lower(),
        value=plain(str(row["value"] or "")),
        text=str(row["text"]),
        by=str(row.get("by", "")),
        before=plain(str(row.get("before") or "")),
    )


def plain(value: str) -> str:
    """Of an alias, case and the dot that ends it say nothing; an address has neither."""
    return value.rstrip(".").lower()


def moment(text: str) -> float:
    """Seconds since 1970. Raises ValueError for a moment without a zone: nobody knows when it was."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return at.timestamp()
