"""Images of ours and the snapshots they were made with, by place.

The cloud keeps those snapshots when an image is deleted, and afterwards nothing there tells whose they were: so they
are written down while the image stands. Source: ECS API, CreateImage, CopyImage, DeleteImage, read 2026.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.ids import ImageId, InstanceId, OperationId, SnapshotId
from shared.domain.place import Place
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image in one place. Its snapshots are known once it is available."""

    place: Place
    image: ImageId
    family: str
    instance: InstanceId  # that it was made of
    operation: OperationId
    made: datetime
    snapshots: tuple[SnapshotId, ...] = ()
    copy_of: ImageId | None = None
    version: int = 0  # of its family, the same for copies; 0: made before versions were counted


class Images:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, record: ImageRecord) -> None:
        """Writing it again is harmless."""
        row = Row(key=(str(record.place), record.image), columns={"body": codec.dump(record)})
        self._store.put(TABLE, row, condition=Anything())

    def find(self, place: Place, image: ImageId) -> ImageRecord | None:
        row = self._store.get(TABLE, (str(place), image))
        return None if row is None else codec.load(ImageRecord, str(row.columns["body"]))

    def all(self) -> Iterator[ImageRecord]:
        """By place and id. Streams."""
        return (codec.load(ImageRecord, str(row.columns["body"])) for row in self._store.scan(TABLE, ()))

    def forget(self, place: Place, image: ImageId) -> None:
        """After the image and its snapshots were read back as gone, never before."""
        self._store.delete(TABLE, (str(place), image), condition=Anything())
