"""Every ECS operation that the HTTP door knows."""

from typing import TYPE_CHECKING

from emulator.ecs.api import (
    assistant,
    buying,
    contents,
    copies,
    disks,
    events,
    image_shares,
    images,
    instances,
    interfaces,
    lifecycle,
    locks,
    maintenance,
    network,
    places,
    policies,
    security_groups,
    snapshot_groups,
    snapshots,
    stock,
    tags,
    usage,
)
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2014-05-26"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    return {
        (VERSION, action): operation
        for resource in (
            buying,
            lifecycle,
            instances,
            disks,
            contents,
            snapshots,
            snapshot_groups,
            copies,
            locks,
            policies,
            usage,
            images,
            image_shares,
            events,
            maintenance,
            stock,
            places,
            tags,
            interfaces,
            security_groups,
            network,
            assistant,
        )
        for action, operation in resource.operations(realm.ecs).items()
    }
