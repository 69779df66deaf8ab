"""One stored row: its columns with their versions, how a write changes them, and what a read may see of them.

Version timestamps are milliseconds of the emulated clock. Each version and each key keeps its encoded form once it was
sent (`wire`), because encoding and its checksum cost more than everything else about a read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from emulator.tablestore.errors import OtsError, parameter_invalid
from emulator.tablestore.values import INT64, MAX_COLUMNS_PER_WRITE, Key, Value, check_name, check_value, size_of


class Op(StrEnum):
    PUT = "put"
    DELETE_ALL = "delete_all"
    DELETE = "delete"  # one version, named by its timestamp
    INCREMENT = "increment"


@dataclass(frozen=True, slots=True)
class Change:
    """One cell of a write request."""

    name: str
    op: Op = Op.PUT
    value: Value | None = None
    timestamp: int | None = None


@dataclass(slots=True)
class Version:
    value: Value
    timestamp: int
    wire: bytes | None = None
    crc: int = 0


Columns = dict[str, list[Version]]
"""Column -> its versions, newest first. Never changed in place: a write makes a new one."""


LIFE: Final = ""
"""In an index row, and under a name that no column can have: a version as old as what the row stands for."""


@dataclass(slots=True)
class Row:
    key: Key
    columns: Columns
    wire: bytes | None = None
    crc: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Which versions can still be seen: at most `max_versions`, none expired at `now`."""

    now: int  # ms
    ttl_seconds: int  # -1: for ever
    max_versions: int

    def visible(self, versions: list[Version]) -> list[Version]:
        shown = versions[: self.max_versions]
        if self.ttl_seconds < 0:
            return shown
        # Expired exactly at timestamp + TTL (assumption: the boundary is not documented).
        oldest = self.now - self.ttl_seconds * 1000
        return shown if shown[-1].timestamp > oldest else [v for v in shown if v.timestamp > oldest]

    def exists(self, row: Row | None) -> bool:
        """A row of which every cell has expired counts as absent (assumption, as undocumented); one whose columns were
        all deleted is still there with its key alone."""
        if row is None:
            return False
        if self.ttl_seconds < 0 or not row.columns:
            return True
        if LIFE in row.columns:
            return bool(self.visible(row.columns[LIFE]))
        return any(self.visible(versions) for versions in row.columns.values())


def size(changes: Iterable[Change]) -> int:
    return sum(len(c.name) + (0 if c.value is None else size_of(c.value)) for c in changes)


def check_changes(changes: Sequence[Change], *, now: int, deviation_seconds: int) -> None:
    if len(changes) > MAX_COLUMNS_PER_WRITE:
        raise OtsError(
            400,
            "OTSOutOfColumnCountLimit",
            f"The number of columns from the request exceeded the limit: {MAX_COLUMNS_PER_WRITE}.",
        )
    incremented = {c.name for c in changes if c.op is Op.INCREMENT}
    for change in changes:
        check_name("column", change.name)
        if change.op in (Op.PUT, Op.INCREMENT):
            if change.value is None:
                raise parameter_invalid(f"Column '{change.name}' has no value.")
            check_value(change.name, change.value)
        if change.op is Op.DELETE and change.timestamp is None:
            raise parameter_invalid(f"Deleting one version of column '{change.name}' needs a timestamp.")
        given = change.timestamp if change.op is Op.PUT else None
        if given is not None and abs(given - now) > deviation_seconds * 1000:
            raise parameter_invalid(
                f"The cell version of column '{change.name}' is out of the range that max_time_deviation allows."
            )
        if change.op is Op.INCREMENT and type(change.value) is not int:
            raise parameter_invalid(f"Increment of column '{change.name}' needs an INTEGER.")
        if change.name in incremented and change.op is not Op.INCREMENT:
            raise parameter_invalid(f"Column '{change.name}' is incremented and written in one request.")


def replaced(changes: Iterable[Change], *, horizon: Horizon) -> Columns:
    """Columns of a row that PutRow wrote."""
    return updated({}, changes, horizon=horizon)


def updated(columns: Columns, changes: Iterable[Change], *, horizon: Horizon) -> Columns:
    """Columns after UpdateRow. A new mapping: an increment that fails half-way leaves the old one as it was."""
    after = dict(columns)
    for change in changes:
        versions = horizon.visible(after[change.name]) if change.name in after else []
        match change.op:
            case Op.DELETE_ALL:
                versions = []
            case Op.DELETE:
                versions = [v for v in versions if v.timestamp != change.timestamp]
            case Op.INCREMENT:
                total = _sum(change, versions)
                versions = _with(versions, Version(total, change.timestamp or horizon.now))
            case Op.PUT:
                assert change.value is not None
                at = horizon.now if change.timestamp is None else change.timestamp
                versions = _with(versions, Version(change.value, at))
        if versions:
            after[change.name] = versions[: horizon.max_versions]
        else:
            after.pop(change.name, None)
    return after


def _sum(change: Change, versions: list[Version]) -> int:
    old = versions[0].value if versions else 0
    if type(old) is not int or type(change.value) is not int:
        raise parameter_invalid(f"Column '{change.name}' to be incremented is not an INTEGER.")
    total = old + change.value
    if total not in INT64:
        raise parameter_invalid(f"Incrementing column '{change.name}' overflows.")
    return total


def _with(versions: list[Version], new: Version) -> list[Version]:
    """A second write at one timestamp overwrites that version."""
    rest = [v for v in versions if v.timestamp != new.timestamp]
    rest.append(new)
    rest.sort(key=lambda v: -v.timestamp)
    return rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a read asks for. Without `max_versions` and `between` a read is refused by the service."""

    columns: frozenset[str] | None = None
    max_versions: int | None = 1
    between: tuple[int, int] | None = None  # ms, [start, end)
    start_column: str | None = None  # inclusive
    end_column: str | None = None  # exclusive


LATEST = Selection()


def select(row: Row, selection: Selection, horizon: Horizon) -> list[tuple[str, list[Version]]]:
    """Columns in name order with the versions asked for, newest first."""
    names: Iterable[str] = row.columns
    wanted = selection.columns
    if wanted is not None:
        names = [n for n in names if n in wanted]
    if selection.start_column is not None:
        names = [n for n in names if n >= selection.start_column]
    if selection.end_column is not None:
        names = [n for n in names if n < selection.end_column]
    chosen = []
    for name in sorted(names):
        if name == LIFE:
            continue
        versions = horizon.visible(row.columns[name])
        if selection.between is not None:
            start, end = selection.between
            versions = [v for v in versions if start <= v.timestamp < end]
        if selection.max_versions is not None and len(versions) > selection.max_versions:
            versions = versions[: selection.max_versions]
        if versions:
            chosen.append((name, versions))
    return chosen
