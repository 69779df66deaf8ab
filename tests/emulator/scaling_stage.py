"""Two servers behind a balancer in one scaling group, asked through ESS's operations but without HTTP."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from emulator.bus import CloudEvent
from emulator.cloud import Cloud
from emulator.ess import seed as ess_seed
from emulator.ess.api.answers import VERSION
from emulator.ess.group import ScalingGroup
from emulator.ess.rpc import operations
from emulator.seed import load_text
from emulator.wire.call import ApiError, Call, Caller
from emulator.wire.declare import check_error, check_parameters

WORLD = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/24}
security_groups: [{id: sg-a}]
images:
  - {id: m-old, name: old, family: app, system_disk_gib: 20}
  - {id: m-new, name: new, family: app, system_disk_gib: 20}
instances:
  - {id: i-one, name: one, image: m-old, vswitch: vsw-h, address: 10.0.1.11, system_disk: {id: d-one, size_gib: 20}}
  - {id: i-two, name: two, image: m-old, vswitch: vsw-h, address: 10.0.1.12, system_disk: {id: d-two, size_gib: 20}}
  - {id: i-free, name: free, image: m-old, vswitch: vsw-i, address: 10.0.2.11, system_disk: {id: d-free, size_gib: 20}}
load_balancers:
  - {id: lb-a, address: 127.99.0.10, listeners: [{port: 80, health: {}}],
     backends: [{server: i-one, weight: 100}, {server: i-two, weight: 100}]}
"""

GROUP = {
    "id": "asg-a", "name": "app", "min": 1, "max": 4, "desired": 2, "vswitches": ["vsw-h", "vsw-i"],
    "load_balancers": {"lb-a": None},
    "configuration": {"id": "asc-old", "image": "m-old", "type": "ecs.g7.large", "security_groups": ["sg-a"]},
    "members": [{"instance": "i-one"}, {"instance": "i-two", "entrusted": True}],
}  # fmt: skip


class ScalingStage:
    def __init__(self, **group: object) -> None:
        self.cloud = Cloud()
        load_text(WORLD, self.cloud, where="world", settings={})
        ess_seed.load([{**GROUP, **group}], self.cloud.home)  # its section of a seed file
        self.events: list[CloudEvent] = []
        self.cloud.bus.subscribe(self.events.append)

    @property
    def group(self) -> ScalingGroup:
        return self.cloud.ess.group("asg-a")

    def ask(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        """The answer's body. A list becomes `Name.N`. Raises ApiError."""
        realm = self.cloud.home
        flat: dict[str, str] = {}
        for name, value in {"RegionId": realm.region, **(given or {}), **more}.items():
            if isinstance(value, list):
                flat |= {f"{name}.{number}": str(one) for number, one in enumerate(value, 1)}
            else:
                flat[name] = str(value)
        operation = operations(realm)[VERSION, action]
        check_parameters(operation, flat, action)
        caller = Caller(account=realm.account, access_key="testid", role=None)
        call = Call(version=VERSION, action=action, region=realm.region, params=flat, caller=caller)
        try:
            return operation(call)
        except ApiError as error:
            check_error(operation, error, action)
            raise

    def of_group(self, action: str, **more: object) -> dict[str, Any]:
        return self.ask(action, {"ScalingGroupId": "asg-a", **more})

    def refusal(self, action: str, **more: object) -> tuple[int, str]:
        try:
            answer = self.of_group(action, **more)
        except ApiError as error:
            return error.status, error.code
        raise AssertionError(f"{action} was not refused: {answer}")

    def advance(self, seconds: float) -> None:
        self.cloud.clock.advance(timedelta(seconds=seconds))

    def stop(self, instance: str) -> None:
        """By the ECS API's own model, as an operator or a program of ours would."""
        ecs = self.cloud.ecs
        ecs.lifecycle.stop(ecs.find_instance(instance))

    def states(self) -> dict[str, str]:
        return {one: member.state for one, member in self.group.members.items()}

    def newcomers(self) -> list[str]:
        return [one for one in self.group.members if one not in ("i-one", "i-two", "i-free")]

    def weight(self, instance: str) -> int | None:
        backend = self.cloud.slb.get("lb-a").backends.get(instance)
        return None if backend is None else backend.weight

    def activity(self, id: str) -> dict[str, Any]:
        found = self.ask("DescribeScalingActivities", {"ScalingActivityIds.1": id})["ScalingActivities"]
        assert len(found) == 1
        shown: dict[str, Any] = found[0]
        return shown

    def newest_activity(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.of_group("DescribeScalingActivities")["ScalingActivities"][0]
        return shown

    def told(self) -> list[str]:
        return [event.name for event in self.events if event.product == "ESS"]

    def out_of_stock(self) -> None:
        for zone in self.cloud.ecs.zones:
            self.cloud.ecs.set_stock(zone, "ecs.g7.large", 0)
