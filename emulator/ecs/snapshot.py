"""One snapshot: what it is of, how far it is, and what rests on it. `emulator.ecs.snapshots` gives it its life."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator.clock import Due
from emulator.ecs.blocks import Layer


@dataclass(slots=True, kw_only=True, eq=False)
class Snapshot:
    id: str
    name: str
    description: str
    disk_id: str  # of a copy: the disk that its source was taken of; empty for what came with a copied base image
    disk_kind: str
    disk_category: str
    size_gib: int  # of the source disk
    zone: str  # empty for a copy: it does not come from a building
    created: datetime
    done_at: datetime  # when the upload will be over, if nothing hinders it
    layer: Layer = field(repr=False)
    changed_bytes: int  # when it was taken
    full_bytes: int  # of the whole disk at that instant
    available: bool  # usable for new disks and rollbacks, for the ESSD family before it is accomplished
    retention_days: int | None = None
    status: str = "progressing"  # progressing | accomplished | failed
    finished: datetime | None = None
    modified: datetime | None = None
    instance_id: str | None = None
    group_id: str | None = None
    type: str = "user"  # user | auto
    category: str = "standard"  # standard | archive
    encrypted: bool = False
    kms_key: str = ""
    source_id: str = ""  # of a copy: what it was made of, and where
    source_region: str = ""
    resource_group: str = ""
    is_shared: bool = False  # with other accounts; set by tests, no modelled action does it
    managed_by: str = ""  # a cloud product that owns it (backup service); set by tests
    guest: dict[str, Any] | None = None  # of a system disk: the operating system on it, which an image of it boots
    tags: dict[str, str] = field(default_factory=dict)
    disks: set[str] = field(default_factory=set)  # made of it and still there
    images: set[str] = field(default_factory=set)
    copying: set[str] = field(default_factory=set)  # copies of it that are not finished
    due: Due | None = field(default=None, repr=False)
    release: Due | None = field(default=None, repr=False)

    @property
    def usage(self) -> str:
        return {(False, False): "none", (True, False): "image", (False, True): "disk", (True, True): "image_disk"}[
            bool(self.images), bool(self.disks)
        ]

    @property
    def is_copy(self) -> bool:
        """A copy can never roll back the disk, not even where the disk is."""
        return bool(self.source_id)

    @property
    def origin(self) -> str:
        """As its event calls it."""
        return "copied" if self.source_id else {"user": "user", "auto": "timer"}[self.type]

    def progress(self, now: datetime) -> int:
        if self.status != "progressing":
            return 100 if self.status == "accomplished" else 0
        whole = (self.done_at - self.created).total_seconds()
        return max(0, min(99, int(100 * (now - self.created).total_seconds() / whole)))
