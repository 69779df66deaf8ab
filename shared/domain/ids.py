"""Identifiers, so that a disk can never be handed over where an instance is meant."""

from typing import NewType

InstanceId = NewType("InstanceId", str)
DiskId = NewType("DiskId", str)
SnapshotId = NewType("SnapshotId", str)
SnapshotGroupId = NewType("SnapshotGroupId", str)
ImageId = NewType("ImageId", str)
LoadBalancerId = NewType("LoadBalancerId", str)
AccountName = NewType("AccountName", str)
"""What the policy calls another account; empty is our own."""
OperationId = NewType("OperationId", str)
SiteName = NewType("SiteName", str)
PairName = NewType("PairName", str)
HolderId = NewType("HolderId", str)
"""One agent's place on one machine for one boot: two machines, or two agents of one machine, never share it."""
Place = NewType("Place", str)
"""Where an agent is reached, as `address:port`: the same over restarts, and of one machine at a time."""
Epoch = NewType("Epoch", int)
"""Fencing number of a lease: rises by one with each take-over, never falls, never restarts."""
PolicyVersion = NewType("PolicyVersion", int)
