"""A staged ECS with calls to the VPC API beside those of ECS, without HTTP."""

from collections.abc import Mapping
from typing import Any

from emulator.vpc.rpc import VERSION as VPC
from emulator.wire.call import ApiError
from tests.emulator.ecs_stage import Stage

ORDER = {
    "ImageId": "m-base",
    "InstanceType": "ecs.g7.large",
    "SecurityGroupId": "sg-a",
    "VSwitchId": "vsw-h",
    "SystemDisk.Category": "cloud_essd",
}


class NetworkStage(Stage):
    def vpc(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        flat = {name: str(value) for name, value in {**(given or {}), **more}.items()}
        return self.ask_in(self.cloud.home, VPC, action, flat)

    def vpc_refusal(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> tuple[int, str]:
        try:
            answer = self.vpc(action, given, **more)
        except ApiError as error:
            return error.status, error.code
        raise AssertionError(f"{action} was not refused: {answer}")

    def run(self, **more: object) -> str:
        made = self.ask("RunInstances", {**ORDER, **more})["InstanceIdSets"]["InstanceIdSet"]
        return str(made[0])

    def instance(self, id: str) -> dict[str, Any]:
        [shown] = self.ask("DescribeInstances", InstanceIds=f'["{id}"]')["Instances"]["Instance"]
        return dict(shown)

    def address(self, id: str) -> str:
        return str(self.instance(id)["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0])

    def interface(self, id: str) -> dict[str, Any]:
        """Empty when there is none."""
        found = self.ask("DescribeNetworkInterfaces", {"NetworkInterfaceId.1": id})
        shown = found["NetworkInterfaceSets"]["NetworkInterfaceSet"]
        return dict(shown[0]) if shown else {}

    def new_interface(self, **more: object) -> str:
        given = {"VSwitchId": "vsw-h", "SecurityGroupId": "sg-a", **more}
        return str(self.ask("CreateNetworkInterface", given)["NetworkInterfaceId"])

    def eip(self, id: str) -> dict[str, Any]:
        [shown] = self.vpc("DescribeEipAddresses", AllocationId=id)["EipAddresses"]["EipAddress"]
        return dict(shown)

    def new_eip(self, **more: object) -> str:
        return str(self.vpc("AllocateEipAddress", more)["AllocationId"])

    def stop(self, id: str) -> None:
        self.ask("StopInstance", InstanceId=id)
        self.advance(60)
        assert self.state(id) == "Stopped"

    def start(self, id: str) -> None:
        self.ask("StartInstance", InstanceId=id)
        self.advance(60)
        assert self.state(id) == "Running"
