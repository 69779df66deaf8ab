"""Restore points by instance, in time order. Our word on what a point is; the cloud's snapshots are its substance.

Keys follow from the slot, so that writing a point again hits the same row: harmless, hence batched.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.retention import RestorePoint
from shared.ports.store import Anything, Key, Row, Store, Write
from shared.state import codec

TABLE: Final = "points"


class Points:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, points: Iterable[RestorePoint]) -> None:
        batch = writes(points)
        if batch:
            self._store.put_many(batch)

    def of(self, subject: InstanceId, *, newest: int | None = None) -> Iterator[RestorePoint]:
        """Newest slot first."""
        for row in self._store.scan(TABLE, (subject,), backward=True, limit=newest):
            yield _point(row)

    def all(self) -> Iterator[RestorePoint]:
        """Every point there is, by instance and slot. Streams."""
        for row in self._store.scan(TABLE, ()):
            yield _point(row)

    def forget(self, point: RestorePoint) -> None:
        """After its snapshots were read back as gone, never before: a point without a row would be an orphan."""
        self._store.delete(TABLE, _key(point), condition=Anything())


def writes(points: Iterable[RestorePoint]) -> list[Write]:
    """For a caller that writes them together with other rows whose rewriting is harmless."""
    return [Write(table=TABLE, row=Row(key=_key(point), columns={"body": codec.dump(point)})) for point in points]


def _key(point: RestorePoint) -> Key:
    return (point.subject, f"{codec.second(point.slot)}/{point.id}")


def _point(row: Row) -> RestorePoint:
    return codec.load(RestorePoint, str(row.columns["body"]))
