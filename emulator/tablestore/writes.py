"""One write of one row: what it asks for, whether it may happen, and what the row would hold afterwards.

Nothing here changes anything: `decide` gives an `Effect`, which a table applies, a transaction keeps for its commit, or
nobody does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from emulator.tablestore.conditions import Filter
from emulator.tablestore.errors import OtsError, condition_check_fail, parameter_invalid
from emulator.tablestore.rows import (
    Change,
    Columns,
    Horizon,
    Op,
    Row,
    check_changes,
    replaced,
    size,
    updated,
)
from emulator.tablestore.schema import Description
from emulator.tablestore.values import AUTO, Key, KeyPairs, Value

MAX_WRITE_BYTES: Final = 4 * 1024 * 1024


class Kind(StrEnum):
    PUT = "put"
    UPDATE = "update"
    DELETE = "delete"


class Existence(StrEnum):
    IGNORE = "ignore"
    EXPECT_EXIST = "expect_exist"
    EXPECT_NOT_EXIST = "expect_not_exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change of one row, with what must hold for it to happen."""

    kind: Kind
    key: KeyPairs
    changes: tuple[Change, ...] = ()
    existence: Existence = Existence.IGNORE
    condition: Filter | None = None

    @property
    def conditional(self) -> bool:
        return self.existence is not Existence.IGNORE or self.condition is not None

    @property
    def asks_for_key(self) -> bool:
        """Whether the service is to give a value to an auto-increment key column."""
        return any(value is AUTO for _, value in self.key)

    @property
    def increments(self) -> bool:
        return any(change.op is Op.INCREMENT for change in self.changes)

    @property
    def bytes(self) -> int:
        """Names and values that count towards the limits of a request."""
        return size(self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a write comes to: the row's new columns, or None where it is gone or never was."""

    key: Key
    columns: Columns | None
    changes: bool  # False: the write found nothing to do


def check(write: Write, description: Description, *, now: int) -> None:
    """Raise on a write that is wrong whatever the row holds."""
    if description.index_of is not None:
        raise parameter_invalid("An index table cannot be written.")  # text: assumption
    if write.kind is Kind.DELETE:
        return
    if not write.changes:
        # Whether the service takes rows of a key alone is not documented; the listed refusal is (assumption).
        raise parameter_invalid("Attribute column is missing.")
    if write.kind is Kind.UPDATE and not description.options.allow_update:
        raise parameter_invalid("UpdateRow is not allowed on a table with allow_update false.")
    if write.kind is Kind.PUT and any(c.op is not Op.PUT for c in write.changes):
        raise parameter_invalid("PutRow carries a cell with an operation.")
    key_names = {name for name, _ in description.schema}
    for change in write.changes:
        if change.name in key_names:
            raise parameter_invalid(f"Column '{change.name}' is a primary key column.")
    check_changes(write.changes, now=now, deviation_seconds=description.options.max_deviation_seconds)
    if write.bytes > MAX_WRITE_BYTES:
        raise OtsError(400, "OTSOutOfRowSizeLimit", f"The row exceeds the limit: {MAX_WRITE_BYTES} bytes.")


def decide(write: Write, key: Key, row: Row | None, description: Description, horizon: Horizon) -> Effect:
    """Raises with nothing decided: a condition that does not hold, an increment that cannot be."""
    present = row if horizon.exists(row) else None
    _check_condition(write, present, description, horizon)
    if write.kind is Kind.DELETE:
        return Effect(key=key, columns=None, changes=row is not None)
    if write.kind is Kind.PUT:
        return Effect(key=key, columns=replaced(write.changes, horizon=horizon), changes=True)
    creates = any(c.op in (Op.PUT, Op.INCREMENT) for c in write.changes)
    if present is None and not creates:
        return Effect(key=key, columns=None, changes=False)
    return Effect(
        key=key,
        columns=updated(row.columns if row is not None else {}, write.changes, horizon=horizon),
        changes=True,
    )


def _check_condition(write: Write, row: Row | None, description: Description, horizon: Horizon) -> None:
    if (write.existence is Existence.EXPECT_EXIST and row is None) or (
        write.existence is Existence.EXPECT_NOT_EXIST and row is not None
    ):
        raise condition_check_fail()
    if write.condition is not None and not write.condition.holds(_stored(row, description, horizon)):
        raise condition_check_fail()


def _stored(row: Row | None, description: Description, horizon: Horizon) -> Callable[[str], Sequence[Value]]:
    def values(name: str) -> Sequence[Value]:
        if row is None:
            return ()
        if name in row.columns:
            return [v.value for v in horizon.visible(row.columns[name])]
        return key_value(row.key, name, description)

    return values


def key_value(key: Key, name: str, description: Description) -> Sequence[Value]:
    """A condition or filter may name a key column."""
    return [value for (column, _), value in zip(description.schema, key, strict=True) if column == name]
