"""Identifiers, so that a disk can never be handed over where an instance is meant."""

from typing import NewType

InstanceId = NewType("InstanceId", str)
DiskId = NewType("DiskId", str)
SnapshotId = NewType("SnapshotId", str)
SnapshotGroupId = NewType("SnapshotGroupId", str)
ImageId = NewType("ImageId", str)
LoadBalancerId = NewType("LoadBalancerId", str)
OperationId = NewType("OperationId", str)
SiteName = NewType("SiteName", str)
PairName = NewType("PairName", str)
Epoch = NewType("Epoch", int)
"""Fencing number of a lease: rises by one with each take-over, never falls, never restarts."""
PolicyVersion = NewType("PolicyVersion", int)
