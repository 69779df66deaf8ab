"""Families of images: who has which version, what is pinned, what was published where, how ready each family is.

A version's row is written once, if it is not there, and never again: so no two images have one version, whoever makes
them at the same time. Numbers may be skipped, when what claimed one made no image.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import ImageId, OperationId
from shared.domain.readiness import Readiness
from shared.domain.retention import Pin
from shared.ports.store import Absent, Anything, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "families"
VERSION: Final = "version/"
PIN: Final = "pin/"
PUBLISHED: Final = "published/"
READINESS: Final = "readiness"
RECENT: Final = 50
"""Versions among which an operation looks for the one that it claimed before it died."""
TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the active configuration of one scaling group is to name, and by which operation."""

    group: str
    image: ImageId
    version: int
    operation: OperationId
    at: datetime
    over: int = 0  # the highest version whose place it takes at an operator's wish; 0: none higher than its own
    asked: datetime | None = None  # that wish

    @property
    def height(self) -> int:
        """Only a version above this takes its place unasked."""
        return max(self.version, self.over)


class Families:
    def __init__(self, store: Store) -> None:
        self._store = store

    # Versions

    def claim(self, family: str, operation: OperationId, at: datetime) -> int:
        """The version of this operation's image: the one that it has already, or the next. Raises Conflict when
        others keep being first, and as the store does."""
        for _ in range(TRIES):
            newest = 0
            for row in self._store.scan(TABLE, (family,), backward=True, limit=RECENT):
                if not row.key[1].startswith(VERSION):
                    break
                number = int(row.key[1].removeprefix(VERSION))
                newest = max(newest, number)
                if row.columns.get("operation") == operation:
                    return number
            columns = {"operation": str(operation), "at": codec.moment(at)}
            row = Row(key=(family, f"{VERSION}{newest + 1:010d}"), columns=columns)
            try:
                settle.put(self._store, TABLE, row, condition=Absent())
            except Conflict:
                continue
            return newest + 1
        raise Conflict(f"others keep taking the next version of family {family}: try again")

    # Pins

    def pin(self, family: str, image: ImageId, pin: Pin) -> None:
        row = Row(key=(family, PIN + image), columns={"body": codec.dump(pin)})
        self._store.put(TABLE, row, condition=Anything())

    def unpin(self, family: str, image: ImageId) -> None:
        self._store.delete(TABLE, (family, PIN + image), condition=Anything())

    def pins(self, family: str) -> Mapping[ImageId, Pin]:
        found: dict[ImageId, Pin] = {}
        for row in self._store.scan(TABLE, (family,), after=(family, PIN)):
            if not row.key[1].startswith(PIN):
                break
            found[ImageId(row.key[1].removeprefix(PIN))] = codec.load(Pin, str(row.columns["body"]))
        return found

    # Publishing

    def published(self, family: str, group: str) -> Published | None:
        row = self._store.get(TABLE, (family, PUBLISHED + group))
        return None if row is None else codec.load(Published, str(row.columns["body"]))

    def all_published(self, family: str) -> Iterator[Published]:
        """By group: also to groups that the policy does not name any more."""
        for row in self._store.scan(TABLE, (family,), after=(family, PUBLISHED)):
            if not row.key[1].startswith(PUBLISHED):
                break
            yield codec.load(Published, str(row.columns["body"]))

    def publish(self, family: str, wanted: Published) -> Published:
        """What the group is to name from now on: `wanted`, unless a newer version is to be there already. One that is
        `over` others, at an operator's wish, takes their place, unless a later wish was heard already."""
        for _ in range(TRIES):
            found = self._store.get(TABLE, (family, PUBLISHED + wanted.group))
            stands = None if found is None else codec.load(Published, str(found.columns["body"]))
            if stands is not None and not _takes_the_place(wanted, stands):
                return stands
            body = codec.dump(wanted)
            row = Row(key=(family, PUBLISHED + wanted.group), columns={"body": body, "version": wanted.version})
            condition = Absent() if found is None else Matches({"body": str(found.columns["body"])})
            try:
                settle.put(self._store, TABLE, row, condition=condition)
            except Conflict:
                continue
            return wanted
        raise Conflict(f"others keep publishing family {family} to {wanted.group}: try again")

    # Readiness

    def readiness(self, family: str) -> Readiness | None:
        row = self._store.get(TABLE, (family, READINESS))
        return None if row is None else codec.load(Readiness, str(row.columns["body"]))

    def note(self, found: Readiness) -> None:
        row = Row(key=(found.family, READINESS), columns={"body": codec.dump(found)})
        self._store.put(TABLE, row, condition=Anything())


def _takes_the_place(wanted: Published, stands: Published) -> bool:
    if (stands.version, stands.image) == (wanted.version, wanted.image):
        return wanted.over > stands.over
    if wanted.asked is not None and wanted.over >= stands.height:
        return stands.asked is None or wanted.asked > stands.asked
    return wanted.version > stands.height or (not stands.over and wanted.version == stands.version)
