"""Operations and their journal: one row each, changed only by compare-and-set on `version`.

Crash order of `open`: pointer, then row. A pointer without a row is harmless (skipped); a row without a pointer would
be work that nobody finds. Crash order of `close`: row, then pointer, for the same reason.

A claim is the right to execute. Taking it raises the version, so the journal of an executor that froze and thawed meets
Conflict at its next save; and before each effect the executor asks `claim.allows`, because an effect is not undone by a
journal that refuses to record it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Conflict, NotFound, Permanent
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.ports.clock import Clock
from shared.ports.store import Absent, Anything, Matches, Row, Store
from shared.state import codec, settle

OPERATIONS: Final = "operations"
POINTERS: Final = "open_operations"
FREE: Final = ""
LISTED: Final = frozenset({OperationState.OPEN, OperationState.NEEDS_OPERATOR})
"""States in which an operation keeps its pointer."""
FORGET_AFTER: Final = timedelta(days=2)
"""A pointer whose row never came is a crash inside `open`; the opener has long tried again, or given up."""


@dataclass(slots=True, kw_only=True)
class Claim:
    """The right to execute `operation` until a deadline on this machine's monotonic clock.

    `operation` is the journal as this executor last wrote it; `Journal.record` keeps it current.
    """

    operation: Operation
    owner: str
    deadline: float  # counted from before the claim was sent, so never later than others believe
    clock: Clock

    def allows(self, call_timeout: timedelta) -> bool:
        """Whether an effect that may take `call_timeout` would end within the claim. Ask before each one."""
        return self.clock.monotonic() + call_timeout.total_seconds() < self.deadline


class Journal:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def open(self, operation: Operation) -> Operation:
        """Begin it, or return it as it stands when it was begun before (ids are deterministic: this is the dedupe)."""
        pointer = Row(key=(operation.kind.value, operation.id), columns={"at": codec.moment(operation.created)})
        self._store.put(POINTERS, pointer, condition=Anything())
        first = replace(operation, version=1)
        try:
            settle.put(self._store, OPERATIONS, _row(first, claim_owner=FREE), condition=Absent())
        except Conflict:
            stands = self.load(operation.id)
            if stands.state not in LISTED:
                self._store.delete(POINTERS, pointer.key, condition=Anything())
            return stands
        return first

    def load(self, id: OperationId) -> Operation:
        """Raises NotFound."""
        row = self._store.get(OPERATIONS, (id,))
        if row is None:
            raise NotFound(f"operation {id} is not in the journal")
        return _operation(row)

    def find(self, id: OperationId) -> Operation | None:
        row = self._store.get(OPERATIONS, (id,))
        return None if row is None else _operation(row)

    def record(self, claim: Claim, operation: Operation, *, release: bool = False) -> Operation:
        """Save under a claim, and remember in the claim what now stands; `release` lets go of it by the same write.

        Raises Conflict when the claim was lost."""
        owner = FREE if release else claim.owner
        row = _row(replace(operation, version=claim.operation.version + 1), claim_owner=owner)
        settle.update(self._store, OPERATIONS, row, condition=Matches({"version": claim.operation.version}))
        claim.operation = replace(operation, version=claim.operation.version + 1)
        return claim.operation

    def open_of(
        self, *kinds: OperationKind, sweep: bool = True, damaged: list[OperationId] | None = None
    ) -> Iterator[Operation]:
        """Unfinished operations of these kinds, by kind and id: one range read, and one read for each.

        Sweeps away pointers that a crash left behind, unless the caller may only read. A row that cannot be read hides
        no other: it is put into `damaged`, or without that raised as Permanent when all the others were yielded."""
        unread: list[OperationId] = [] if damaged is None else damaged
        for pointer, found in self._listed(kinds, unread):
            if found is not None and found.state is OperationState.OPEN:
                yield found
            elif sweep and (self._forgotten(pointer) if found is None else found.state not in LISTED):
                self._store.delete(POINTERS, pointer.key, condition=Anything())
        if damaged is None and unread:
            raise Permanent(f"operations whose rows cannot be read: {', '.join(unread)}; see table {OPERATIONS}")

    def waiting(self, *kinds: OperationKind) -> Iterator[Operation]:
        """Those that ended with a question to an operator and were not taken off the list since. Skips what is damaged:
        `open_of` tells of it."""
        for _, found in self._listed(kinds, []):
            if found is not None and found.state is OperationState.NEEDS_OPERATOR:
                yield found

    def reopen(self, operation: Operation) -> Operation:
        """One that waited for an operator goes on, as it is given here (`version` is that of the row as it was read).
        Raises Conflict when it has changed since. The pointer is written on both sides of the row: a tick that takes
        what was answered off its list may come in between."""
        assert operation.state is OperationState.OPEN, "reopen writes an open one"
        pointer = Row(key=(operation.kind.value, operation.id), columns={"at": codec.moment(self._clock.now())})
        self._store.put(POINTERS, pointer, condition=Anything())
        saved = replace(operation, version=operation.version + 1)
        condition = Matches({"version": operation.version, "state": OperationState.NEEDS_OPERATOR.value})
        settle.update(self._store, OPERATIONS, _row(saved, claim_owner=FREE), condition=condition)
        self._store.put(POINTERS, pointer, condition=Anything())
        return saved

    def answered(self, operation: Operation) -> None:
        """Take one that waited for an operator off the list. Its row stays."""
        self._store.delete(POINTERS, (operation.kind.value, operation.id), condition=Anything())

    def _listed(
        self, kinds: tuple[OperationKind, ...], unread: list[OperationId]
    ) -> Iterator[tuple[Row, Operation | None]]:
        wanted = {kind.value for kind in kinds}
        for pointer in self._store.scan(POINTERS, tuple(wanted) if len(wanted) == 1 else ()):
            if pointer.key[0] not in wanted:
                continue
            id_ = OperationId(pointer.key[1])
            row = self._store.get(OPERATIONS, (id_,))
            try:
                found = None if row is None else _operation(row)
            except Permanent:
                unread.append(id_)
            else:
                yield pointer, found

    def claim(self, operation: Operation | OperationId, owner: str, for_: timedelta) -> Claim | None:
        """The right to execute it, or None while somebody else holds it or has just changed it.

        `owner` is unique per invocation. `for_` is longer than the function's time-out, so that a claim runs out only
        when its executor is dead or frozen. `claim_until` is a wall clock time and only decides when trying is polite:
        safety rests on the version and on `allows`.
        """
        started = self._clock.monotonic()
        id_ = operation.id if isinstance(operation, Operation) else operation
        row = self._store.get(OPERATIONS, (id_,))
        if row is None:
            return None
        stands = _operation(row)
        if stands.state is not OperationState.OPEN or self._held(row, owner):
            return None
        return self._take(stands, owner, for_, started)

    def close(self, operation: Operation, *, expected_version: int | None = None) -> Operation:
        """Write its end (`state` is no longer OPEN) and take it off the list, unless it waits for an operator: somebody
        must be able to see that. Raises Conflict."""
        assert operation.state is not OperationState.OPEN, "close writes an end"
        version = operation.version if expected_version is None else expected_version
        saved = replace(operation, version=version + 1)
        row = _row(saved, claim_owner=FREE)
        settle.update(self._store, OPERATIONS, row, condition=Matches({"version": version}))
        if saved.state not in LISTED:
            self._store.delete(POINTERS, (operation.kind.value, operation.id), condition=Anything())
        return saved

    def _take(self, stands: Operation, owner: str, for_: timedelta, started: float) -> Claim | None:
        taken = replace(stands, version=stands.version + 1)
        row = Row(
            key=(stands.id,),
            columns={
                "version": taken.version,
                "claim_owner": owner,
                "claim_until": codec.moment(self._clock.now() + for_),
            },
        )
        try:
            settle.update(self._store, OPERATIONS, row, condition=Matches({"version": stands.version}))
        except Conflict:
            return None
        return Claim(operation=taken, owner=owner, deadline=started + for_.total_seconds(), clock=self._clock)

    def _held(self, row: Row, owner: str) -> bool:
        holder = row.columns.get("claim_owner", FREE)
        if holder in (FREE, owner):
            return False
        return codec.instant(str(row.columns["claim_until"])) > self._clock.now()

    def _forgotten(self, pointer: Row) -> bool:
        begun: datetime = codec.instant(str(pointer.columns["at"]))
        return self._clock.now() - begun > FORGET_AFTER


def _row(operation: Operation, *, claim_owner: str | None = None) -> Row:
    columns: dict[str, str | int | bool | float] = {
        "version": operation.version,
        "state": operation.state.value,
        "kind": operation.kind.value,
        "body": codec.dump(replace(operation, version=0)),
    }
    if claim_owner is not None:
        columns["claim_owner"] = claim_owner
    return Row(key=(operation.id,), columns=columns)


def _operation(row: Row) -> Operation:
    return replace(codec.load(Operation, str(row.columns["body"])), version=int(row.columns["version"]))
