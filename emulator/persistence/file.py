"""The one file in a data directory: what was asked of the world, in order, and what Tablestore and the queue hold.

It knows tables of text and bytes, not what they mean. Everything written since the last `commit` is kept together or
not at all. A process that dies loses nothing of what was committed, as that has reached the kernel; with `fsync` a
machine that dies loses nothing either.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
MARK: Final = 0x756E6473  # "unds": SQLite's place for an application to mark its files
NAME: Final = "world.sqlite"
LOCK: Final = "lock"

SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commands (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, ran INTEGER NOT NULL, what TEXT NOT NULL, body BLOB,
    outcome TEXT NOT NULL
);
CREATE TABLE kept (shelf TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (shelf, key)) WITHOUT ROWID;
"""


class DataError(ValueError):
    """The data directory cannot be served; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One command as it stands in the file; `outcome` is a digest."""

    number: int
    at: str
    ran: int
    what: str
    body: bytes | None
    outcome: str


class WorldFile:
    """`open` it once per process; a second opener is refused until this process closes it or dies."""

    def __init__(self, directory: Path, *, fsync: bool = False) -> None:
        """Raises DataError: served by another process, not ours, damaged, or of a newer format."""
        self.directory = directory
        self._lock = _lock(directory)
        self._open = False
        try:
            self._db = self._connect(fsync)
        except BaseException:
            os.close(self._lock)
            raise

    def _connect(self, fsync: bool) -> sqlite3.Connection:
        file = self.directory / NAME
        try:
            # Passwords of calls stand in it. SQLite gives its other files the same mode.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(file, isolation_level=None)
            try:
                self._prepare(db, fsync)
            except BaseException:
                db.close()
                raise
        except OSError as error:
            raise unwritable(self.directory, error.strerror or str(error)) from error
        except sqlite3.OperationalError as error:
            raise unwritable(self.directory, str(error)) from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{file} is damaged or not the emulator's ({error}); restore it, or give --data another directory"
            ) from error
        return db

    def _prepare(self, db: sqlite3.Connection, fsync: bool) -> None:
        (mark,), (version,) = (
            db.execute("PRAGMA application_id").fetchone(),
            db.execute("PRAGMA user_version").fetchone(),
        )
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (mark, version) != (0, 0) or tables:
            self._judge(db, mark, version)
        db.execute("PRAGMA journal_mode = WAL")
        # OFF: nothing waits for the disk. What was written is the kernel's, which outlives this process.
        db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'OFF'}")
        if not tables:
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id = {MARK}; PRAGMA user_version = {FORMAT}; COMMIT;")

    def _judge(self, db: sqlite3.Connection, mark: int, version: int) -> None:
        file = self.directory / NAME
        if mark != MARK:
            raise DataError(f"{file} is not a file of the emulator; give --data another directory")
        if version > FORMAT:
            raise DataError(
                f"{file} was written by a newer emulator (format {version}, this one reads {FORMAT}); use that one"
            )
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    # -- writing

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True
        self._db.execute(statement, values)

    def commit(self) -> None:
        """Keep all that was written since the last time."""
        if self._open:
            self._open = False
            self._db.execute("COMMIT")

    @property
    def uncommitted(self) -> bool:
        return self._open

    def tell(self, name: str, value: Any) -> None:
        """Set one fact about the world, as JSON."""
        self._write("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, json.dumps(value)))

    def append(self, command: Written) -> None:
        self._write(
            "INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?)",
            (command.number, command.at, command.ran, command.what, command.body, command.outcome),
        )

    def keep(self, shelf: str, key: str, value: bytes) -> None:
        self._write("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (shelf, key, value))

    def drop(self, shelf: str, key: str) -> None:
        self._write("DELETE FROM kept WHERE shelf = ? AND key = ?", (shelf, key))

    def drop_all(self, shelf: str, prefix: str) -> None:
        """Everything on that shelf whose key begins so."""
        self._write(
            "DELETE FROM kept WHERE shelf = ? AND key >= ? AND substr(key, 1, ?) = ?",
            (shelf, prefix, len(prefix), prefix),
        )

    # -- reading

    def about(self, name: str) -> Any:
        """None: nobody has told."""
        found = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def commands(self) -> Iterator[Written]:
        for number, at, ran, what, body, outcome in self._db.execute("SELECT * FROM commands ORDER BY number"):
            yield Written(number=number, at=at, ran=ran, what=what, body=body, outcome=outcome)

    def kept(self, shelf: str) -> Iterator[tuple[str, bytes]]:
        yield from self._db.execute("SELECT key, value FROM kept WHERE shelf = ? ORDER BY key", (shelf,))

    def close(self) -> None:
        """Lets others in. What is uncommitted is lost."""
        self._db.close()
        os.close(self._lock)


def unwritable(directory: Path, why: str) -> DataError:
    """Nothing is wrong with what stands in it."""
    return DataError(f"{directory} cannot be written: {why}; make room or mend its rights, or give --data another one")


def _lock(directory: Path) -> int:
    """The kernel lets go of it when this process ends, however it ends."""
    try:
        if directory.exists() and not directory.is_dir():
            raise DataError(f"{directory} is not a directory; give --data one that is empty or that the emulator made")
        if directory.exists() and (strangers := [p.name for p in directory.iterdir() if not _ours(p.name)]):
            raise DataError(
                f"{directory} holds other things ({strangers[0]}); give --data a directory that is empty or that the "
                "emulator made"
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # parameters of calls are kept, passwords among them
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(directory, error.strerror or str(error)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DataError(f"{directory} is served by another emulator; stop that one, or give --data another") from None
    return lock


def _ours(name: str) -> bool:
    return name == LOCK or name.startswith(NAME)
