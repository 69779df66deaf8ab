"""A launch on the emulated cloud, as an operator asks for it: short words for the tests of launches."""

from datetime import timedelta
from typing import Any

from shared.domain.ids import ImageId, PolicyVersion
from shared.domain.operation import Operation, OperationKind
from shared.domain.policy import Elsewhere
from shared.domain.preview import Preview
from shared.state import codec
from shared.usecases.recovery.recovery_requests import LaunchRequest
from tests.usecases.backup_world import PLACE
from tests.usecases.recovery_world import STANDS, WEB_1, H, I, RecoveryWorld

TYPE, OTHER_TYPE = "ecs.g7.large", "ecs.c7.large"
IN_H, IN_I = Elsewhere(zone=H, vswitch="vsw-h"), Elsewhere(zone=I, vswitch="vsw-i")

WIDE = STANDS.replace("cidr: 10.0.1.0/24", "cidr: 10.0.0.0/20").replace("cidr: 10.0.2.0/24", "cidr: 10.0.16.0/20")
"""The same with room for thousands in each zone."""
SEEDED = frozenset({"i-web-1", "i-web-2", "i-db"})


def a_request(world: RecoveryWorld, **what: Any) -> LaunchRequest:
    given: dict[str, Any] = {
        "place": PLACE,
        "name": "shop",
        "asked": world.clock.now().replace(microsecond=0),
        "by": "li",
        "confirm": "shop",
        "like": WEB_1,
        "image": ImageId("m-web"),
    }
    given |= what
    if "family" in what or "point" in what:
        given["image"] = what.get("image")
    return LaunchRequest(**given)


def preview(world: RecoveryWorld, **what: Any) -> Preview:
    asked = a_request(world, **what)
    return world.previews[OperationKind.LAUNCH]()(codec.dump(asked))


def begin(world: RecoveryWorld, **what: Any) -> str:
    """Asked for; nothing has been looked at yet."""
    asked = a_request(world, **what)
    operation = asked.operation(policy=PolicyVersion(1), now=world.clock.now(), because="asked for by li")
    return world.start(operation)


def launch(world: RecoveryWorld, **what: Any) -> Operation:
    """From the request to its end, within ten minutes."""
    within = what.pop("within", timedelta(minutes=10))
    id_ = begin(world, **what)
    world.run_recovery(seconds=within.total_seconds())
    return world.operation(id_)


def launched(world: RecoveryWorld) -> list[Any]:
    """Instances that the world did not begin with, by name."""
    found = (one for one in world.cloud.ecs.instances.values() if one.id not in SEEDED)
    return sorted(found, key=lambda one: str(one.name))


def creates(world: RecoveryWorld) -> int:
    return sum(label == "instances.run_many" for label in world.wire.labels)
