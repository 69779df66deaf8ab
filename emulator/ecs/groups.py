"""Snapshot groups: one crash-consistent set over several disks, taken at one instant.

Sources: ECS API CreateSnapshotGroup, DescribeSnapshotGroups, DeleteSnapshotGroup.
A group's tags stay on the group; its members carry only the system tag `acs:ecs:createFrom` (assumption: the
documents show members with default tags only).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.ecs.snapshot import Snapshot
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs

DISKS_AT_MOST = 128
CAPACITY_GIB = 256 * 1024


@dataclass(slots=True, kw_only=True, eq=False)
class SnapshotGroup:
    id: str
    name: str
    description: str
    instance_id: str  # empty when the members belong to several
    created: datetime
    members: list[Snapshot] = field(default_factory=list)
    resource_group: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        states = {member.status for member in self.members}
        if "failed" in states:
            return "failed"
        return "progressing" if "progressing" in states else "accomplished"


@dataclass(frozen=True, slots=True)
class MemberResult:
    """What became of one member of a deleted group."""

    snapshot_id: str
    code: str = ""
    message: str = ""


class SnapshotGroups:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[SnapshotGroup] = Shelf()

    def create(
        self,
        *,
        instance_id: str | None,
        disk_ids: Sequence[str] = (),
        exclude: Sequence[str] = (),
        name: str | None = None,
        description: str | None = None,
        resource_group: str = "",
        tags: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> SnapshotGroup:
        tags = dict(tags or {})

        def make() -> SnapshotGroup:
            check_name(name, ApiError("InvalidParameter.Name", f"The name {name!r} is not valid."))
            check_description(description, ApiError("InvalidParameter.Description", "The description is not valid."))
            check_tags(tags)
            disks = self._chosen(instance_id, disk_ids, exclude)
            for disk in disks:
                self._ecs.snapshots.check_disk(disk)
            owners = {disk.instance_id for disk in disks}
            group = SnapshotGroup(
                id=self._ecs.chance.id("ssg"),
                name=name or "",
                description=description or "",
                instance_id=(owners.pop() or "") if len(owners) == 1 else "",
                created=self._ecs.clock.now(),
                resource_group=resource_group,
                tags=tags,
            )
            group.members = [
                self._ecs.snapshots.take(disk, name=name, description=description, group_id=group.id) for disk in disks
            ]
            self.shelf.add(group)
            return group

        fingerprint = (
            instance_id, tuple(disk_ids), tuple(exclude), name, description, resource_group,
            tuple(sorted(tags.items())),
        )  # fmt: skip
        group: SnapshotGroup = self._ecs.tokens.once("CreateSnapshotGroup", token, fingerprint, make)
        return group

    def _chosen(self, instance_id: str | None, disk_ids: Sequence[str], exclude: Sequence[str]) -> list["Disk"]:
        if disk_ids and exclude:
            raise ApiError("InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict", "DiskId and ExcludeDiskId are exclusive.")
        for named in (disk_ids, exclude):
            if len(named) > DISKS_AT_MOST:
                raise ApiError("NumberExceed.TooManyDisks", f"At most {DISKS_AT_MOST} disks, got {len(named)}.", 403)
        if instance_id is None and not disk_ids:
            raise ApiError("MissingParamter.InstanceId", "InstanceId or DiskId is mandatory.")
        disks = [self._ecs.disks.find(disk_id) for disk_id in dict.fromkeys(disk_ids)]
        if instance_id is not None:
            instance = self._ecs.find_instance(instance_id)
            for disk in disks:
                if disk.instance_id != instance.id:
                    raise ApiError("InvalidDiskId.NotFound", f"{disk.id} is not attached to {instance.id}.", 404)
            disks = disks or [d for d in self._ecs.disks.of_instance(instance.id) if d.id not in exclude]
        if not disks:
            raise ApiError("InvalidInstance.NoDisk", f"{instance_id} has no disk left to snapshot.", 403)
        if len(disks) > DISKS_AT_MOST:
            raise ApiError("NumberExceed.TooManyDisks", f"At most {DISKS_AT_MOST} disks, got {len(disks)}.", 403)
        if sum(disk.size_gib for disk in disks) > CAPACITY_GIB:
            raise ApiError("CapacityExceed.TooManyDisks", "The disks hold more than 256 TiB.", 403)
        if len({disk.zone for disk in disks}) > 1:
            raise ApiError("InvalidDiskIds.NotInSameZone", "The disks are not in one zone.")
        if not all(disk.instant for disk in disks):
            raise ApiError("InvalidDisk.DiskCategoryInconsistent", "Groups take disks of the ESSD family only.", 403)
        return disks

    def modify(self, id: str, *, name: str | None = None, description: str | None = None) -> None:
        group = self.shelf.get(id)
        if group is None:  # assumption: the code is not documented
            raise ApiError("InvalidSnapshotGroupId.NotFound", f"The snapshot group {id} does not exist.", 404)
        check_name(name, ApiError("InvalidParameter.Name", f"The name {name!r} is not valid."))
        check_description(description, ApiError("InvalidParameter.Description", "The description is not valid."))
        group.name = group.name if name is None else name
        group.description = group.description if description is None else description

    def delete(self, id: str) -> list[MemberResult]:
        """Deletes what can be deleted; members used by an image or disk stay, and so does the group with them.
        An unknown id answers an empty list (assumption)."""
        group = self.shelf.get(id)
        if group is None:
            return []
        results = []
        for member in list(group.members):
            try:
                self._ecs.snapshots.delete(member.id)
                results.append(MemberResult(member.id))
            except ApiError as error:
                results.append(MemberResult(member.id, error.code, error.message))
        return results

    def member_gone(self, snapshot: Snapshot) -> None:
        """A group whose last member was deleted is gone itself (assumption)."""
        group = self.shelf.get(snapshot.group_id or "")
        if group is not None:
            group.members.remove(snapshot)
            if not group.members:
                self.shelf.remove(group)
