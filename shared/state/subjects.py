"""Which recovery holds a subject (an instance, a pair): never two at once."""

from collections.abc import Iterator
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import OperationId
from shared.ports.store import Absent, Matches, Row, Store
from shared.state import settle

TABLE: Final = "subjects"
AFTER: Final = "after"


class Subjects:
    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, subject: str, operation: OperationId) -> bool:
        """True when `operation` now holds it (also when it did before); False when another one does."""
        try:
            settle.put(self._store, TABLE, Row(key=(subject,), columns={"operation": operation}), condition=Absent())
        except Conflict:
            return self.holder(subject) == operation
        return True

    def relieve(self, subject: str, of: OperationId, operation: OperationId) -> bool:
        """`operation` holds it in the place of `of`, which has ended, and remembers whom it came after. False when
        somebody else was first."""
        row = Row(key=(subject,), columns={"operation": operation, AFTER: of})
        try:
            settle.put(self._store, TABLE, row, condition=Matches({"operation": of}))
        except Conflict:
            return self.holder(subject) == operation
        return True

    def hand_back(self, subject: str, operation: OperationId) -> None:
        """As `release`, of one that did nothing: whom it came after is remembered as before."""
        row = self._store.get(TABLE, (subject,))
        after = None if row is None or row.columns["operation"] != operation else row.columns.get(AFTER)
        if after is None:
            self.release(subject, operation)
            return
        back = Row(key=(subject,), columns={"operation": after})
        try:
            settle.put(self._store, TABLE, back, condition=Matches({"operation": operation}))
        except Conflict:
            return

    def holder(self, subject: str) -> OperationId | None:
        row = self._store.get(TABLE, (subject,))
        return None if row is None else OperationId(str(row.columns["operation"]))

    def predecessor(self, subject: str, operation: OperationId) -> OperationId | None:
        """Whom `operation`, which holds it, came after, if that one waited for an operator."""
        row = self._store.get(TABLE, (subject,))
        after = None if row is None or row.columns["operation"] != operation else row.columns.get(AFTER)
        return None if after is None else OperationId(str(after))

    def held(self) -> Iterator[tuple[str, OperationId]]:
        """Every subject and its holder. Streams."""
        for row in self._store.scan(TABLE, ()):
            yield row.key[0], OperationId(str(row.columns["operation"]))

    def release(self, subject: str, operation: OperationId) -> None:
        """Free it if `operation` holds it; otherwise nothing. After the operation's row is closed, never before:
        a crash in between leaves the subject held by a finished operation, which whoever looks next may release."""
        try:
            self._store.delete(TABLE, (subject,), condition=Matches({"operation": operation}))
        except Conflict:
            return
