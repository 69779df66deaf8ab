"""What became of every due slot of every subject: taken, late, or skipped because. Promise 2 is checked against this.

An end, once written, is only replaced by a better one: a slot that reads *taken* or *late* stays so however often a
crashed run repeats its bookkeeping, and when prune lets its point go. The one way back: the cloud itself says that a
snapshot, usable at first, failed; then nothing was saved, and the slot must not claim it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import DiskId
from shared.ports.store import Absent, Key, Row, Store, Write
from shared.state import codec

TABLE: Final = "slots"


class SlotState(StrEnum):
    TAKEN = "taken"
    LATE = "late"  # taken, but not when it was due
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    subject: str  # an instance; the protection itself when no instance was even looked for
    due: datetime
    protection: str
    schedule: str
    state: SlotState
    at: datetime  # when this end was recorded
    because: str = ""
    point: str = ""  # id of the restore point that was made
    taken: datetime | None = None
    usable: datetime | None = None  # when the point was first seen usable
    disks: tuple[DiskId, ...] = ()  # what it holds: prune takes the point away, its history stays here
    since: datetime | None = None  # a stretch of skipped slots that follow each other: the oldest; `due` is the newest
    count: int = 1  # how many slots this one row tells of

    def count_since(self, start: datetime) -> int:
        """How many of them were due at `start` or later: of a stretch that began before, its share by time."""
        if self.due < start:
            return 0
        if self.since is None or self.since >= start:
            return self.count
        share = (self.due - start) / (self.due - self.since)
        return min(self.count, 1 + round(share * (self.count - 1)))


class Slots:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, slots: Iterable[Slot]) -> None:
        batch = writes(slots)
        if batch:
            self._store.put_many(batch)

    def skip(self, slot: Slot) -> bool:
        """Record a skipped slot unless an end stands there already: another run may have taken it. False when it was
        taken; one that was skipped before stays as it is."""
        assert slot.state is SlotState.SKIPPED
        try:
            self._store.put(TABLE, _row(slot), condition=Absent())
        except Conflict:
            stands = self._store.get(TABLE, _key(slot))
            return stands is None or codec.load(Slot, str(stands.columns["body"])).state is SlotState.SKIPPED
        return True

    def of(self, subject: str, *, newest: int | None = None) -> Iterator[Slot]:
        """Newest first."""
        for row in self._store.scan(TABLE, (subject,), backward=True, limit=newest):
            yield codec.load(Slot, str(row.columns["body"]))

    def all(self) -> Iterator[Slot]:
        """Every slot there is, by subject and due time. Streams."""
        for row in self._store.scan(TABLE, ()):
            yield codec.load(Slot, str(row.columns["body"]))


def writes(slots: Iterable[Slot]) -> list[Write]:
    """For a caller that writes them together with other rows whose rewriting is harmless."""
    return [Write(table=TABLE, row=_row(slot)) for slot in slots]


def _row(slot: Slot) -> Row:
    return Row(key=_key(slot), columns={"body": codec.dump(slot)})


def _key(slot: Slot) -> Key:
    return (slot.subject, f"{codec.second(slot.due)}/{slot.protection}/{slot.schedule}")
