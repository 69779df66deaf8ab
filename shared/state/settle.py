"""Conditional writes whose answer got lost: read the row back and see whose write stands there.

Sound because every conditional row carries something no other writer writes (a claim owner, an operation id, a version
raised by one): a row that reads back as exactly what we sent was written by us.
"""

from shared.domain.errors import Conflict, OutcomeUnknown
from shared.ports.store import Condition, Row, Store


def put(store: Store, table: str, row: Row, *, condition: Condition) -> None:
    """`store.put`, settled. Raises Conflict when somebody else was first, OutcomeUnknown when even reading back
    leaves it open (then the caller ends its run and a later one resumes)."""
    _settled(store, table, row, condition, store.put)


def update(store: Store, table: str, row: Row, *, condition: Condition) -> None:
    """`store.update`, settled, as `put`."""
    _settled(store, table, row, condition, store.update)


def _settled(store: Store, table: str, row: Row, condition: Condition, write: object) -> None:
    assert callable(write)
    try:
        write(table, row, condition=condition)
    except OutcomeUnknown:
        if _stands(store, table, row):
            return
        # Not there, or not there yet: the same conditional write again does no harm. When the first one lands in
        # between, this one meets a conflict, and what stands there is still ours.
        try:
            write(table, row, condition=condition)
        except (Conflict, OutcomeUnknown):
            if not _stands(store, table, row):
                raise


def _stands(store: Store, table: str, row: Row) -> bool:
    found = store.get(table, row.key)
    return found is not None and all(found.columns.get(name) == value for name, value in row.columns.items())
