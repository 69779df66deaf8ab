"""A small ECS world for tests, asked through the wire's operations but without HTTP."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from emulator.bus import CloudEvent
from emulator.cloud import Cloud
from emulator.ecs.rpc import VERSION
from emulator.realm import Realm
from emulator.seed import load_text
from emulator.wire.call import ApiError, Call, Caller
from emulator.wire.declare import check_error, check_parameters, tell_answer

WORLD = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/28}
security_groups: [{id: sg-a}]
images: [{id: m-base, name: base, family: app, system_disk_gib: 20, used_gib: 0, guest: {command: [run], ports: [80]}}]
instances:
  - {id: i-app, name: app, image: m-base, vswitch: vsw-h, address: 10.0.1.11, tags: {role: app},
     system_disk: {id: d-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-data, size_gib: 40, category: cloud_essd}]}
  - {id: i-old, name: old, image: m-base, vswitch: vsw-h, address: 10.0.1.12, state: Stopped,
     system_disk: {id: d-old, size_gib: 20, category: cloud_efficiency}}
"""


class Stage:
    def __init__(self) -> None:
        self.cloud = Cloud()
        load_text(WORLD, self.cloud, where="world", settings={})
        self.ecs = self.cloud.ecs
        self.events: list[CloudEvent] = []
        self.cloud.bus.subscribe(self.events.append)

    def ask(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        """The answer's body, in the home realm. Raises ApiError."""
        flat = {name: str(value) for name, value in {**(given or {}), **more}.items()}
        return self.ask_in(self.cloud.home, VERSION, action, flat)

    def ask_in(self, realm: Realm, version: str, action: str, flat: Mapping[str, str]) -> dict[str, Any]:
        """Like the HTTP door, without HTTP: any service (by its version) in any realm."""
        operation = realm.operations[version, action]
        check_parameters(operation, flat, action)
        caller = Caller(account=realm.account, access_key="testid", role=None)
        call = Call(version=version, action=action, region=realm.region, params=flat, caller=caller)
        try:
            answer = operation(call)
        except ApiError as error:
            check_error(operation, error, action)
            raise
        tell_answer(version, action, answer)
        return answer

    def refusal(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> tuple[int, str]:
        """Status and code of the error that this call is answered with."""
        try:
            answer = self.ask(action, given, **more)
        except ApiError as error:
            return error.status, error.code
        raise AssertionError(f"{action} was not refused: {answer}")

    def advance(self, seconds: float) -> None:
        self.cloud.clock.advance(timedelta(seconds=seconds))

    def write(self, disk: str, mib: int, *, at_mib: int = 0, fill: bytes = b"x") -> None:
        self.ecs.disks.find(disk).volume.write(at_mib * 1024**2, fill * (mib * 1024**2))

    def snapshot(self, disk: str = "d-data", **more: object) -> str:
        made: str = self.ask("CreateSnapshot", {"DiskId": disk, **more})["SnapshotId"]
        return made

    def show(self, snapshot: str) -> dict[str, Any] | None:
        found = self.ask("DescribeSnapshots", SnapshotIds=f'["{snapshot}"]')["Snapshots"]["Snapshot"]
        return found[0] if found else None

    def state(self, instance: str) -> str:
        found = self.ask("DescribeInstanceStatus", {"InstanceId.1": instance})["InstanceStatuses"]["InstanceStatus"]
        return found[0]["Status"] if found else "gone"

    def told(self) -> list[str]:
        """Names of the events so far; for state changes with the state."""
        return [
            f"{event.name}={event.content['state']}" if event.name == "Instance:StateChange" else event.name
            for event in self.events
        ]
