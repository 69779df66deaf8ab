"""Images of ours that the cloud did not show when our records were compared with it, and since when.

Beside the certificates, which only prune writes, and not in the records of images: who writes an image down again must
not clear what a comparison noted.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.domain.ids import ImageId
from shared.domain.place import Place
from shared.ports.store import Anything, Key, Row, Store
from shared.state import codec
from shared.state.certificates import TABLE

ABSENT: Final = "absent-image"


class Absences:
    def __init__(self, store: Store) -> None:
        self._store = store

    def since(self) -> Mapping[str, datetime]:
        """By `name` of each."""
        rows = self._store.scan(TABLE, (ABSENT,))
        return {row.key[1]: codec.instant(str(row.columns["since"])) for row in rows}

    def note(self, place: Place, image: ImageId, since: datetime) -> None:
        row = Row(key=_key(place, image), columns={"since": codec.moment(since)})
        self._store.put(TABLE, row, condition=Anything())

    def forget(self, place: Place, image: ImageId) -> None:
        """It is shown again, or all of it is gone."""
        self._store.delete(TABLE, _key(place, image), condition=Anything())


def name(place: Place, image: ImageId) -> str:
    return f"{place}/{image}"


def _key(place: Place, image: ImageId) -> Key:
    return (ABSENT, name(place, image))
