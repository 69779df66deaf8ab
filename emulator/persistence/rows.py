"""Tablestore's tables and rows, kept as they stand: the last state of each, under its instance, table and key."""

import json
from typing import Final

from emulator.persistence.file import DataError, WorldFile
from emulator.persistence.journal import Journal
from emulator.tablestore.changes import Change, RowChange, TableChange, Together, pack, unpack
from emulator.tablestore.model import Tablestore

TABLES: Final = "tables"
ROWS: Final = "rows"


def keep_rows(tablestore: Tablestore, journal: Journal) -> None:
    """Put back what the file holds, and write each change there from now on. Raises DataError."""
    file = journal.file
    try:
        tablestore.restore(unpack(packed) for shelf in (TABLES, ROWS) for _, packed in file.kept(shelf))
    except ValueError as error:
        raise DataError(f"{file.directory}: a row cannot be read back ({error}); restore the directory") from error
    tablestore.on_change = lambda change: journal.guarded(lambda: _keep(change, file))


def _keep(change: Change, file: WorldFile) -> None:
    match change:
        case Together():
            for one in change.changes:
                _keep(one, file)
        case TableChange(description=None):
            file.drop(TABLES, _name(change))
            file.drop_all(ROWS, _name(change))
        case TableChange():
            file.keep(TABLES, _name(change), pack(change))
        case RowChange(cells=None):
            file.drop(ROWS, _key(change))
        case RowChange():
            file.keep(ROWS, _key(change), pack(change))


def _name(change: TableChange | RowChange) -> str:
    return f"{change.instance}/{change.table}/"


def _key(change: RowChange) -> str:
    """Unlike for any two rows: JSON tells 1 from "1", and bytes stand in a list of their own."""
    return _name(change) + json.dumps([[v.hex()] if isinstance(v, bytes) else v for v in change.key])
