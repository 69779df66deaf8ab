"""Images that prune took out of their family, and since when.

Beside the certificates, which only prune writes, and not in the records of images: whoever writes an image down again
must not clear what prune noted.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.domain.ids import ImageId
from shared.domain.place import Place
from shared.ports.store import Anything, Row, Store
from shared.state import codec
from shared.state.certificates import TABLE

RETIRED: Final = "retired-image"


class Retired:
    def __init__(self, store: Store) -> None:
        self._store = store

    def since(self) -> Mapping[tuple[str, ImageId], datetime]:
        """By place and image."""
        found: dict[tuple[str, ImageId], datetime] = {}
        for row in self._store.scan(TABLE, (RETIRED,)):
            place, _, image = row.key[1].rpartition("/")
            found[place, ImageId(image)] = codec.instant(str(row.columns["since"]))
        return found

    def note(self, place: Place, image: ImageId, since: datetime) -> None:
        """Before it is asked to leave its family; again after it came back into it."""
        row = Row(key=(RETIRED, f"{place}/{image}"), columns={"since": codec.moment(since)})
        self._store.put(TABLE, row, condition=Anything())

    def forget(self, place: str, image: ImageId) -> None:
        """It is in no record of ours any more."""
        self._store.delete(TABLE, (RETIRED, f"{place}/{image}"), condition=Anything())
