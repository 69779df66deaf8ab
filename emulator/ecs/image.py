"""One image: what it says of itself, and what a disk made of it holds."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.image_sources import Mapped
from emulator.ecs.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What an image says of its operating system."""

    platform: str = "Others Linux"
    architecture: str = "x86_64"
    boot_mode: str = "BIOS"
    imds: str = "v1"

    @property
    def os(self) -> str:
        return "windows" if self.platform.startswith("Windows") else "linux"


@dataclass(slots=True, kw_only=True, eq=False)
class Image:
    id: str
    name: str
    family: str
    description: str
    created: datetime
    mappings: tuple[Mapped, ...]
    status: str = "Creating"
    version: str = ""
    guest: dict[str, Any] | None = None
    source_instance: str | None = None
    used_gib: float = 0.0  # how much of a base image's system disk holds data
    attributes: Attributes = Attributes()
    resource_group: str = ""
    is_copied: bool = False
    is_public: bool = False  # Alibaba Cloud's own (ImageOwnerAlias system)
    os_name: str = ""
    shared_with: dict[str, datetime] = field(default_factory=dict)  # account -> since when
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def system(self) -> Mapped:
        return next(m for m in self.mappings if m.kind == "system")

    @property
    def snapshots(self) -> list[Snapshot]:
        return [mapped.snapshot for mapped in self.mappings if mapped.snapshot is not None]

    def system_volume(self, size_gib: int) -> Volume:
        snapshot = self.system.snapshot
        if snapshot is not None:
            return Volume.of(snapshot.layer, size_gib * GIB)
        return Volume(size_gib * GIB, filled=int(self.used_gib * GIB))

    def progress(self, now: datetime) -> int:
        if self.status in ("Available", "Deprecated"):
            return 100
        parts = [snapshot.progress(now) for snapshot in self.snapshots]
        return min(99, min(parts, default=0))
