"""What an earlier run of an operation had made before it died or lost its answer, found by the operation's tag."""

from collections.abc import Mapping

from shared.domain import provenance
from shared.domain.ids import DiskId, OperationId, SnapshotGroupId, SnapshotId
from shared.ports.compute import Snapshots


def groups_made(snapshots: Snapshots, operation: OperationId) -> Mapping[DiskId, SnapshotGroupId]:
    """By each disk of theirs: no disk is in two bundles of one operation that could both have been accepted."""
    tag = {provenance.OPERATION: provenance.operation_tag(operation)}
    return {disk: group.id for group in snapshots.groups(tags=tag) for disk in group.disks}


def singles_made(snapshots: Snapshots, operation: OperationId) -> Mapping[DiskId, SnapshotId]:
    tag = {provenance.OPERATION: provenance.operation_tag(operation)}
    return {one.disk: one.id for one in snapshots.list(tags=tag)}
