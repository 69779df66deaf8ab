"""Snapshots, groups of them, their copies and locks through the official ECS SDK (2014-05-26)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import IDS_AT_ONCE, EcsCalls, chunks, made, tagged, tags_of
from shared.domain.errors import NotFound
from shared.domain.ids import DiskId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotGroup, SnapshotLock, SnapshotState

GROUP_IDS_AT_ONCE: Final = 10


class EcsSnapshots(EcsCalls):
    """Implements `shared.ports.compute.Snapshots`."""

    RAM_ACTIONS: ClassVar = (
        "ecs:CreateSnapshot",
        "ecs:CreateSnapshotGroup",
        "ecs:DescribeSnapshots",
        "ecs:DescribeSnapshotGroups",
        "ecs:DeleteSnapshot",
        "ecs:DeleteSnapshotGroup",
        "ecs:CopySnapshot",
        "ecs:LockSnapshot",
        "ecs:DescribeLockedSnapshots",
        "ecs:TagResources",  # creating with tags needs it too
    )

    def create(self, disk: DiskId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotId:
        request = models.CreateSnapshotRequest(
            disk_id=disk, snapshot_name=name, tag=tags_of(models.CreateSnapshotRequestTag, tags), client_token=token
        )
        body = self._ask("CreateSnapshot", "create_snapshot", request, changes=True)
        return SnapshotId(made(body.snapshot_id, "CreateSnapshot"))

    def create_group(
        self, disks: Sequence[DiskId], *, name: str, tags: Mapping[str, str], token: str
    ) -> SnapshotGroupId:
        request = models.CreateSnapshotGroupRequest(
            region_id=self._region,
            disk_id=list(disks),
            name=name,
            tag=tags_of(models.CreateSnapshotGroupRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CreateSnapshotGroup", "create_snapshot_group", request, changes=True)
        return SnapshotGroupId(made(body.snapshot_group_id, "CreateSnapshotGroup"))

    def groups(
        self, *, ids: Sequence[SnapshotGroupId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[SnapshotGroup]:
        if ids is None:
            yield from tagged(lambda wanted: self._groups(None, wanted), tags)
            return
        for chunk in chunks(ids, GROUP_IDS_AT_ONCE):
            yield from self._groups(chunk, tags)

    def _groups(self, ids: list[str] | None, tags: Mapping[str, str] | None) -> Iterator[SnapshotGroup]:
        request = models.DescribeSnapshotGroupsRequest(
            region_id=self._region,
            snapshot_group_id=ids,
            tag=tags_of(models.DescribeSnapshotGroupsRequestTag, tags),
            max_results=100,
        )
        return self._pages(
            "DescribeSnapshotGroups",
            "describe_snapshot_groups",
            request,
            "snapshot_groups",
            "snapshot_group",
            answers.snapshot_group,
        )

    def list(
        self,
        *,
        ids: Sequence[SnapshotId] | None = None,
        disk: DiskId | None = None,
        tags: Mapping[str, str] | None = None,
        state: SnapshotState | None = None,
    ) -> Iterator[Snapshot]:
        if ids is None:
            yield from tagged(lambda wanted: self._snapshots(None, disk, wanted, state), tags)
            return
        for chunk in chunks(ids, IDS_AT_ONCE):
            yield from self._snapshots(chunk, disk, tags, state)

    def _snapshots(
        self,
        ids: Sequence[str] | None,
        disk: DiskId | None,
        tags: Mapping[str, str] | None,
        state: SnapshotState | None,
    ) -> Iterator[Snapshot]:
        request = models.DescribeSnapshotsRequest(
            region_id=self._region,
            snapshot_ids=None if ids is None else json.dumps(list(ids)),
            disk_id=disk,
            tag=tags_of(models.DescribeSnapshotsRequestTag, tags),
            status=None if state is None else state.value,
            max_results=100,
        )
        return self._pages(
            "DescribeSnapshots", "describe_snapshots", request, "snapshots", "snapshot", answers.snapshot
        )

    def delete(self, snapshot: SnapshotId) -> None:
        request = models.DeleteSnapshotRequest(snapshot_id=snapshot, force=False)
        try:
            self._ask("DeleteSnapshot", "delete_snapshot", request, changes=True)
        except NotFound:
            return  # documented both ways: ignored, and 404

    def delete_group(self, group: SnapshotGroupId) -> Mapping[SnapshotId, str]:
        request = models.DeleteSnapshotGroupRequest(region_id=self._region, snapshot_group_id=group)
        try:
            body = self._ask("DeleteSnapshotGroup", "delete_snapshot_group", request, changes=True)
        except NotFound:
            return {}
        refused: dict[SnapshotId, str] = {}
        for one in Fields(body, "ecs DeleteSnapshotGroup").items("operation_progress_set", "operation_progress"):
            if one.optional("operation_status") == "Success":
                continue
            because = f"{one.optional('error_code')}: {one.optional('error_msg')}"
            for item in one.items("related_item_set", "related_item"):
                if item.optional("name") == "SnapshotId":
                    refused[SnapshotId(item.text("value"))] = because
        return refused

    def copy(
        self,
        snapshot: SnapshotId,
        *,
        to: str,
        name: str,
        tags: Mapping[str, str],
        token: str,
        kms_key: str = "",
    ) -> SnapshotId:
        request = models.CopySnapshotRequest(
            region_id=self._region,
            snapshot_id=snapshot,
            destination_region_id=to,
            destination_snapshot_name=name,
            destination_snapshot_description=name,
            encrypted=True if kms_key else None,
            kmskey_id=kms_key or None,
            tag=tags_of(models.CopySnapshotRequestTag, tags),
            client_token=token,
        )
        body = self._ask("CopySnapshot", "copy_snapshot", request, changes=True)
        return SnapshotId(made(body.snapshot_id, "CopySnapshot"))

    def lock(self, snapshot: SnapshotId, *, days: int, cool_off_hours: int, token: str) -> SnapshotLock:
        request = models.LockSnapshotRequest(
            region_id=self._region,
            snapshot_id=snapshot,
            lock_mode="compliance",
            lock_duration=days,
            cool_off_period=cool_off_hours,
            client_token=token,
        )
        body = self._ask("LockSnapshot", "lock_snapshot", request, changes=True)
        return answers.snapshot_lock(Fields(body, "ecs LockSnapshot").inner("locked_snapshot_info"))

    def locks(self, ids: Sequence[SnapshotId]) -> Iterator[SnapshotLock]:
        for chunk in chunks(ids, IDS_AT_ONCE):
            request = models.DescribeLockedSnapshotsRequest(region_id=self._region, snapshot_ids=chunk, max_results=100)
            while True:
                body = self._ask("DescribeLockedSnapshots", "describe_locked_snapshots", request, changes=False)
                for info in body.locked_snapshots_info or ():
                    fields = Fields(info, "ecs DescribeLockedSnapshots")
                    if fields.text("lock_status") != "expired":
                        yield answers.snapshot_lock(fields)
                if not body.next_token:
                    break
                request.next_token = body.next_token
