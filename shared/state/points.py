"""Restore points by instance, in time order. Our word on what a point is; the cloud's snapshots are its substance.

Keys follow from the slot, so that writing a point again hits the same row: harmless, hence batched. A pin is a row of
its own behind the instance's points, because the executor that writes a point again must not clear it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.retention import RestorePoint
from shared.ports.store import Anything, Key, Row, Store, Write
from shared.state import codec

TABLE: Final = "points"
PIN: Final = "pin/"
"""Sorts behind every point's key, which begins with a digit."""


class Points:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, points: Iterable[RestorePoint]) -> None:
        batch = writes(points)
        if batch:
            self._store.put_many(batch)

    def of(self, subject: InstanceId) -> Iterator[RestorePoint]:
        """Newest slot first. Streams."""
        return _points(self._store.scan(TABLE, (subject,), backward=True))

    def all(self) -> Iterator[RestorePoint]:
        """Every point there is, by instance, the newest slot first within each. Holds one instance's rows at a time."""
        for _, rows in groupby(self._store.scan(TABLE, ()), key=lambda row: row.key[0]):
            yield from _points(reversed(list(rows)))

    def pin(self, point: RestorePoint, *, pinned: bool) -> None:
        """A pinned point is never pruned. A prune that looked in the last few minutes may have decided already."""
        key = (point.subject, PIN + point.id)
        if pinned:
            self._store.put(TABLE, Row(key=key, columns={"pinned": True}), condition=Anything())
        else:
            self._store.delete(TABLE, key, condition=Anything())

    def forget(self, point: RestorePoint) -> None:
        """After its snapshots were read back as gone, never before: a point without a row would be an orphan."""
        self._store.delete(TABLE, _key(point), condition=Anything())


def writes(points: Iterable[RestorePoint]) -> list[Write]:
    """For a caller that writes them together with other rows whose rewriting is harmless."""
    return [Write(table=TABLE, row=Row(key=_key(point), columns={"body": codec.dump(point)})) for point in points]


def _points(rows: Iterable[Row]) -> Iterator[RestorePoint]:
    """Of one instance, in descending key order: its pins come before its points."""
    pins: set[str] = set()
    for row in rows:
        if row.key[1].startswith(PIN):
            pins.add(row.key[1].removeprefix(PIN))
            continue
        point = codec.load(RestorePoint, str(row.columns["body"]))
        yield replace(point, pinned=True) if point.id in pins else point


def _key(point: RestorePoint) -> Key:
    return (point.subject, f"{codec.second(point.slot)}/{point.id}")
