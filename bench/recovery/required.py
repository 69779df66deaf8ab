"""The changes that a recovery cannot do without, as docs/rebuild.md and docs/restore.md list them (a test compares)."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

Calls = Mapping[str, int]

REBUILD: Final[Mapping[str, Calls]] = {
    "always": {"RunInstances": 1, "TagResources": 1},
    "old one that does not read Stopped": {"StopInstance": 1},
    "each place that has no stock": {"RunInstances": 1},
    "address kept": {"ModifyInstanceVpcAttribute": 1},
    "each data disk that moves": {"DetachDisk": 1, "AttachDisk": 1},
    "each public address": {"UnassociateEipAddress": 1, "AssociateEipAddress": 1},
    "each pool of no group": {"SetBackendServers": 1, "AddBackendServers": 1, "RemoveBackendServers": 1},
    "member of a scaling group": {"EnterStandby": 1, "AttachInstances": 1, "DetachInstances": 1},
    "group full at its minimum": {"ModifyScalingGroup": 2},
}
"""By what it applies to; for each of what is counted, once."""

RESTORE: Final[Mapping[str, Calls]] = {
    "always": {"StopInstance": 1, "StartInstance": 1},
    "each disk": {"CreateSnapshot": 1, "ResetDisk": 1},
    "each pool with weight": {"SetBackendServers": 2},
}
LAUNCH: Final[Mapping[str, Calls]] = {"each 100": {"RunInstances": 1}}


def required(table: Mapping[str, Calls], **times: int) -> Counter[str]:
    """`times`: of each row that applies, how often."""
    found: Counter[str] = Counter()
    for what, count in times.items():
        found.update({action: each * count for action, each in table[what].items()})
    return found
