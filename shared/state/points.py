"""Restore points by instance, in time order. Our word on what a point is; the cloud's snapshots are its substance.

Keys follow from the slot, so that writing a point again hits the same row: harmless, hence batched. What others say of
a point is a row of its own behind the instance's points, because the executor that writes a point again must not clear
it, and because taking it back must leave the point as it was: that it is pinned, that the cloud does not show it, that
it stands in another region too, and until when the cloud lets nobody delete it.

Pins are listed a second time under a key of their own, so that a running prune learns by one read whether anything was
pinned meanwhile.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.retention import Pin, RestorePoint
from shared.ports.store import Anything, Key, Row, Store, Write
from shared.state import codec

TABLE: Final = "points"
COPIED: Final = "copied/"
LOCKED: Final = "locked/"
MISSING: Final = "missing/"
PIN: Final = "pin/"
"""All sort behind every point's key, which begins with a digit."""
PINS: Final = "~pins"
"""Stands where other rows have their instance, and sorts behind all of those."""


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
        for subject, rows in groupby(self._store.scan(TABLE, ()), key=lambda row: row.key[0]):
            if subject != PINS:
                yield from _points(reversed(list(rows)))

    def among(self, subjects: Collection[InstanceId]) -> Iterator[RestorePoint]:
        """Those of some instances, as `all` would tell them, by reading everything from the first to the last."""
        first, last = min(subjects), max(subjects)
        every = self._store.scan(TABLE, (), after=(first, ""))
        for subject, rows in groupby(every, key=lambda row: row.key[0]):
            if subject > last:
                return
            if subject in subjects:
                yield from _points(reversed(list(rows)))

    def pin(self, point: RestorePoint, pin: Pin) -> None:
        """A pinned point is never pruned. A running prune sees it before its next call.

        Listed first: a crash in between leaves one that prune spares and that looks unpinned, never the reverse."""
        self._store.put(TABLE, Row(key=_listed(point)), condition=Anything())
        row = Row(key=(point.subject, PIN + point.id), columns={"body": codec.dump(pin)})
        self._store.put(TABLE, row, condition=Anything())

    def unpin(self, point: RestorePoint) -> None:
        self._store.delete(TABLE, (point.subject, PIN + point.id), condition=Anything())
        self._store.delete(TABLE, _listed(point), condition=Anything())

    def pins(self) -> frozenset[tuple[InstanceId, str]]:
        """Keys of all points that are pinned now: one read."""
        split = (row.key[1].partition("/") for row in self._store.scan(TABLE, (PINS,)))
        return frozenset((InstanceId(subject), point) for subject, _, point in split)

    def copied(self, point: RestorePoint, region: str, *, because: str) -> None:
        """It waits for its copy in `region` no longer: there is a complete one, or nobody wants it any more."""
        key = (point.subject, f"{COPIED}{point.id}/{region}")
        self._store.put(TABLE, Row(key=key, columns={"because": because}), condition=Anything())

    def locked(self, point: RestorePoint, until: datetime) -> None:
        """The cloud lets nobody delete it before `until`."""
        row = Row(key=(point.subject, LOCKED + point.id), columns={"until": codec.moment(until)})
        self._store.put(TABLE, row, condition=Anything())

    def miss(self, points: Iterable[RestorePoint], *, now: datetime, lost: bool) -> None:
        """The cloud does not show them. Once `lost`, a point reads as failed, until it is found."""
        batch = [
            Write(
                table=TABLE,
                row=Row(
                    key=(point.subject, MISSING + point.id),
                    columns={"since": codec.moment(point.missing_since or now), "lost": lost},
                ),
            )
            for point in points
        ]
        if batch:
            self._store.put_many(batch)

    def found(self, point: RestorePoint) -> None:
        """It is shown again, so it is what it was."""
        self._store.delete(TABLE, (point.subject, MISSING + point.id), condition=Anything())

    def forget(self, points: Iterable[RestorePoint]) -> None:
        """After their snapshots were read back as gone, never before: a point without a row would be an orphan."""
        keys = [key for point in points for key in _rows(point)]
        if keys:
            self._store.delete_many(TABLE, keys)


def writes(points: Iterable[RestorePoint]) -> list[Write]:
    """For a caller that writes them together with other rows whose rewriting is harmless."""
    return [Write(table=TABLE, row=Row(key=_key(point), columns={"body": _body(point)})) for point in points]


def _body(point: RestorePoint) -> str:
    return codec.dump(replace(point, pinned=False, pin=None, missing_since=None, locked_until=None, uncopied=()))


def _points(rows: Iterable[Row]) -> Iterator[RestorePoint]:
    """Of one instance, in descending key order: what is said of its points comes before them."""
    said: dict[str, dict[str, Row]] = {PIN: {}, MISSING: {}, LOCKED: {}, COPIED: {}}
    for row in rows:
        kind, _, about = row.key[1].partition("/")
        if kind + "/" in said:
            said[kind + "/"][about] = row
            continue
        point = codec.load(RestorePoint, str(row.columns["body"]))
        yield _with(point, said) if point.copy_to or any(said.values()) else point


def _with(point: RestorePoint, said: Mapping[str, Mapping[str, Row]]) -> RestorePoint:
    if (pin := said[PIN].get(point.id)) is not None:
        point = replace(point, pinned=True, pin=_pin(pin))
    if (lock := said[LOCKED].get(point.id)) is not None:
        point = replace(point, locked_until=codec.instant(str(lock.columns["until"])))
    if point.copy_to:
        waits = tuple(region for region in point.copy_to if f"{point.id}/{region}" not in said[COPIED])
        point = replace(point, uncopied=waits)
    missing = said[MISSING].get(point.id)
    return point if missing is None else _missed(point, missing)


def _pin(row: Row) -> Pin | None:
    """None: pinned by an older version, which asked for no reason."""
    return codec.load(Pin, str(row.columns["body"])) if "body" in row.columns else None


def _missed(point: RestorePoint, said: Row) -> RestorePoint:
    since = codec.instant(str(said.columns["since"]))
    if said.columns["lost"] is not True:
        return replace(point, missing_since=since)
    return replace(point, missing_since=since, usable=False, complete=False, failed=True)


def _rows(point: RestorePoint) -> Iterator[Key]:
    """Its own last: while that stands, the next prune finds the point and clears away what is left of it."""
    if point.missing_since is not None:
        yield (point.subject, MISSING + point.id)
    if point.locked_until is not None:
        yield (point.subject, LOCKED + point.id)
    for region in point.copy_to:
        yield (point.subject, f"{COPIED}{point.id}/{region}")
    yield _key(point)


def _listed(point: RestorePoint) -> Key:
    return (PINS, f"{point.subject}/{point.id}")


def _key(point: RestorePoint) -> Key:
    return (point.subject, f"{codec.second(point.slot)}/{point.id}")
