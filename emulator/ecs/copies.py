"""Copies of snapshots in other regions: full the first time, afterwards only what the copies there lack.

Asked for in the source region, seen and cancelled in the target region. A copy is a snapshot like any other, except
that it can never roll back the disk its source was taken of.

Source: ECS API CopySnapshot, read 2025.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.ecs.blocks import MIB, Layer, copied
from emulator.ecs.preconditions import MANUAL_QUOTA, check_retention
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.snapshot import Snapshot
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

OVERHEAD_SECONDS = 10.0  # assumption, as is the speed between regions
MIB_PER_SECOND = 20.0
JITTER_SECONDS = 2.0


class SnapshotCopies:
    """Of one region: those that start here, and those that arrive here."""

    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._newest: dict[str, Snapshot] = {}  # by disk: what arrived here last and is still here
        self._arriving: dict[str, str] = {}  # by disk: the copy by CopySnapshot that is not finished
        self._sources: dict[str, Snapshot] = {}  # by copy that is under way here: what it is made of

    def copy(
        self,
        snapshot_id: str,
        *,
        region: str,
        name: str,
        description: str,
        retention_days: int | None = None,
        encrypted: bool | None = None,
        kms_key: str = "",
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> "Snapshot":
        """The new snapshot, in the target region. Tags are not inherited. A policy passes empty texts."""
        tags = dict(tags or {})

        def make() -> "Snapshot":
            self._check_texts(name, description, retention_days, tags)
            target = self._target(region)
            source = self._source(snapshot_id)
            self._check_encryption(source, encrypted, kms_key)
            target.snapshots.standing.check_key(kms_key, needed=source.encrypted)
            self._check_room(source, target)
            made = self.start(
                source, target, name=name, description=description, retention_days=retention_days, tags=tags,
                encrypted=bool(encrypted) or source.encrypted, kms_key=kms_key,
            )  # fmt: skip
            target.snapshots.copies._arriving[source.disk_id] = made.id
            return made

        fingerprint = (
            snapshot_id, region, name, description, retention_days, encrypted, kms_key, tuple(sorted(tags.items())),
        )  # fmt: skip
        # Assumption: the common table's status, since CopySnapshot's own table does not list the code.
        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.")
        snapshot: Snapshot = self._ecs.tokens.once("CopySnapshot", token, fingerprint, make, mismatch=mismatch)
        return snapshot

    def _check_texts(self, name: str, description: str, retention_days: int | None, tags: Mapping[str, str]) -> None:
        """The same mistakes as in CreateSnapshot, but always with 403."""
        check_name(name or None, ApiError("InvalidSnapshotName.Malformed", f"{name!r} is not valid.", 403))
        check_description(
            description or None, ApiError("InvalidDescription.Malformed", "The description is not valid.", 403)
        )
        check_retention(retention_days, status=403)
        check_tags(tags)

    def _target(self, region: str) -> "Ecs":
        if region == self._ecs.region:
            raise ApiError("InvalidOperation.NotSupportCopyInSameRegion", f"{region} is the source region.", 403)
        if region not in self._ecs.cloud.regions:
            raise ApiError("InvalidRegionId.NotExists", f"The region {region} does not exist.", 403)
        target = self._ecs.realm.sibling(region).ecs
        self._ecs.snapshots.standing.check()
        target.snapshots.standing.check()
        return target

    def _source(self, snapshot_id: str) -> "Snapshot":
        source = self._ecs.snapshots.shelf.get(snapshot_id)
        if source is None:
            raise ApiError("InvalidSnapshotId.NotFound", f"The specified snapshot {snapshot_id} does not exist.", 403)
        if source.status != "accomplished":
            raise ApiError("InvalidSnapshotId.NotReady", f"{snapshot_id} is {source.status}.", 403)
        if source.category != "standard":
            raise ApiError("InvalidSnapshotCategory.NotSupportCopy", f"{snapshot_id} is archived.", 403)
        return source

    def _check_encryption(self, source: "Snapshot", encrypted: bool | None, kms_key: str) -> None:
        if kms_key and not (encrypted or source.encrypted):
            raise ApiError("InvalidEncrypted.NotMatchKmsKeyId", "A key is given, but Encrypted is not true.", 403)
        if source.encrypted and encrypted is False:
            raise ApiError("InvalidEncrypted.NotSupportDecrypt", f"{source.id} is encrypted and stays so.", 403)

    def _check_room(self, source: "Snapshot", target: "Ecs") -> None:
        there = target.snapshots
        if (busy := there.copies._arriving.get(source.disk_id)) is not None:
            family = "Encrypted" if source.encrypted else "CrossRegion"
            code = "UnfinishedEncryptedSnapshotCopy" if source.encrypted else "UnfinishedCrossRegionCopy"
            raise ApiError(
                f"InvalidOperation.{code}", f"{family}: {busy} of {source.disk_id} is not finished yet.", 403
            )
        # Assumption: copies count against the manual quota of their disk in the region where they are.
        if there.chains.count(source.disk_id, "user") >= MANUAL_QUOTA:
            raise ApiError("QuotaExceed.SnapshotQuota", f"{source.disk_id} has {MANUAL_QUOTA} snapshots there.", 403)

    def start(
        self,
        source: "Snapshot",
        target: "Ecs",
        *,
        name: str = "",
        description: str = "",
        retention_days: int | None = None,
        tags: Mapping[str, str] | None = None,
        encrypted: bool = False,
        kms_key: str = "",
    ) -> "Snapshot":
        """Without checks: also for the snapshots of an image."""
        made = target.snapshots.copies.receive(
            source, name=name, description=description, retention_days=retention_days, tags=tags,
            encrypted=encrypted, kms_key=kms_key, source_region=self._ecs.region,
        )  # fmt: skip
        source.copying.add(made.id)
        return made

    def receive(
        self,
        source: "Snapshot",
        *,
        name: str,
        description: str,
        retention_days: int | None,
        tags: Mapping[str, str] | None,
        encrypted: bool,
        kms_key: str,
        source_region: str,
    ) -> "Snapshot":
        base = self._newest.get(source.disk_id)
        layer = copied(source.layer, base.layer if base is not None and base.encrypted == encrypted else None)
        made = self._arrival(source, layer, source_region)
        made.name, made.description, made.retention_days = name, description, retention_days
        made.encrypted, made.kms_key = encrypted, kms_key
        made.tags.update(tags or {})
        self._ecs.snapshots.admit(made)
        self._sources[made.id] = source
        self._newest[source.disk_id] = made
        return made

    def invent(self, image_id: str, layer: Layer, size_gib: int, source_region: str) -> "Snapshot":
        """What a base image's system disk becomes in the region it is copied to: a snapshot of no known disk."""
        made = self._made(layer, disk_id="", kind="system", category="cloud_essd", size_gib=size_gib)
        made.source_id, made.source_region = image_id, source_region
        self._ecs.snapshots.admit(made)
        return made

    def _arrival(self, source: "Snapshot", layer: Layer, source_region: str) -> "Snapshot":
        made = self._made(
            layer, disk_id=source.disk_id, kind=source.disk_kind, category=source.disk_category,
            size_gib=source.size_gib,
        )  # fmt: skip
        made.full_bytes, made.guest = source.full_bytes, source.guest
        made.source_id, made.source_region = source.id, source_region
        return made

    def _made(self, layer: Layer, *, disk_id: str, kind: str, category: str, size_gib: int) -> "Snapshot":
        now = self._ecs.clock.now()
        seconds = layer.bytes_owned / MIB / MIB_PER_SECOND + self._ecs.chance.uniform(0, JITTER_SECONDS)
        return Snapshot(
            id=self._ecs.chance.id("s"),
            name="",
            description="",
            disk_id=disk_id,
            disk_kind=kind,
            disk_category=category,
            size_gib=size_gib,
            zone="",
            created=now,
            done_at=now + timedelta(seconds=OVERHEAD_SECONDS + seconds),
            layer=layer,
            changed_bytes=layer.bytes_owned,
            full_bytes=layer.bytes_owned,
            available=False,
        )

    def ended(self, snapshot: "Snapshot") -> None:
        """Finished, failed, cancelled or deleted."""
        source = self._sources.pop(snapshot.id, None)
        if source is not None:
            source.copying.discard(snapshot.id)
        if self._arriving.get(snapshot.disk_id) == snapshot.id:
            del self._arriving[snapshot.disk_id]
        gone = snapshot.id not in self._ecs.snapshots.shelf or snapshot.status == "failed"
        if gone and self._newest.get(snapshot.disk_id) is snapshot:
            self._replace_newest(snapshot)

    def _replace_newest(self, gone: "Snapshot") -> None:
        """The next copy builds on the newest that is left; without any it is full again."""
        left = [s for s in self._ecs.snapshots.chains.of(gone.disk_id) if s.is_copy and s.status != "failed"]
        left = [s for s in left if s is not gone]
        if left:
            self._newest[gone.disk_id] = left[-1]
        else:
            del self._newest[gone.disk_id]
