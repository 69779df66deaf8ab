"""Every ECS operation that the HTTP door knows."""

from typing import TYPE_CHECKING

from emulator.ecs.api import disks, events, images, instances, interfaces, network, places, security_groups, snapshots
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2014-05-26"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    return {
        (VERSION, action): operation
        for resource in (disks, snapshots, images, instances, events, places, interfaces, security_groups, network)
        for action, operation in resource.operations(realm.ecs).items()
    }
