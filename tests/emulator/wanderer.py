"""Somebody who calls anything that there is, with what answers have shown so far, while time passes and hosts fail.

Some calls make sense, the others are drawn from what the operations declare to read: new services need no word here.
"""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from emulator import deeds
from emulator.cloud import Cloud
from emulator.persistence.commands import is_read
from emulator.realm import Realm
from emulator.wire.call import ApiError, Call, Caller, Operation
from emulator.wire.declare import parameters_of

GUEST: Final = "1000000000000002"
Asked = tuple[str, str, Operation, dict[str, str]]

WORLD: Final = """
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.0.0/20}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.16.0/20}
security_groups: [{id: sg-a}]
images: [{id: m-a, name: a, family: app}]
instances:
  - {id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.0.9, data_disks: [{id: d-a, size_gib: 40}]}
  - {id: i-b, image: m-a, vswitch: vsw-i, address: 10.0.16.9, state: Stopped}
private_zones: [{id: z-a, name: corp.example, records: [{rr: www, type: A, value: 10.0.0.9, ttl: 60}]}]
load_balancers:
  - {id: lb-a, name: web, address: 10.0.0.80, listeners: [{port: 80}], backends: [{server: i-a, weight: 100}]}
"""

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "InstanceType": ("ecs.g7.large", "ecs.c7.large"),
    "ZoneId": ("cn-hangzhou-h", "cn-hangzhou-i"),
    "DiskCategory": ("cloud_essd", "cloud_efficiency"),
    "Size": ("20", "40"),
    "Amount": ("1", "3"),
    "RetentionDays": ("1", "30"),
    "Force": ("true", "false"),
    "ResourceType": ("instance", "disk", "snapshot", "image"),
    "Tag.N.Key": ("role", "team"),
    "Tag.N.Value": ("app", "db"),
    "Type": ("A",),
    "Rr": ("www", "db"),
    "Value": ("10.0.0.1", "10.0.0.2"),
    "Ttl": ("5", "60"),
    "Status": ("ENABLE", "DISABLE"),
    "ClientToken": ("t-1", "t-2", "t-3"),
    "SecurityGroupId": ("sg-a",),
    "VSwitchId": ("vsw-h", "vsw-i"),
    "Family": ("app",),
    "ImageFamily": ("app",),
    "MinSize": ("0", "1"),
    "MaxSize": ("3", "5"),
    "DesiredCapacity": ("1", "2", "3"),
    "AdjustmentType": ("QuantityChangeInCapacity",),
    "AdjustmentValue": ("1", "-1", "2"),
    "HealthStatus": ("Unhealthy", "Healthy"),
    "LoadBalancerStatus": ("active", "inactive"),
    "BackendServers": ('[{"ServerId": "i-b", "Weight": "50"}]', '[{"ServerId": "i-a", "Weight": "0"}]'),
    "StoppedMode": ("StopCharging", "KeepCharging"),
    "DestinationRegionId": ("cn-shanghai",),
    "EventType": ("SystemMaintenance.Reboot", "SystemMaintenance.Redeploy"),
    "NotBefore": ("2026-03-04T00:00:00Z",),
    "AddAccount.N": (GUEST,),
    "LockMode": ("compliance",),
    "LockDuration": ("1",),
    "NewSize": ("60", "80"),
    "CommandContent": ("ZWNobyBoaQ==",),
    "ZoneName": ("a.example", "b.example"),
    "repeatWeekdays": ('["1", "3"]',),
    "timePoints": ('["1", "13"]',),
    "retentionDays": ("7",),
    "regionId": ("cn-hangzhou",),
}
"""For parameters by name; others are drawn from what answers have shown under that name."""


RECIPES: Final = """
CreateSnapshot DiskId SnapshotName | DeleteSnapshot SnapshotId Force | CreateSnapshotGroup InstanceId Name
DeleteSnapshotGroup SnapshotGroupId | CopySnapshot SnapshotId DestinationRegionId DestinationSnapshotName
ModifySnapshotAttribute SnapshotId SnapshotName | LockSnapshot SnapshotId LockMode=flexible LockDuration CoolOffPeriod
RunInstances ImageId InstanceType VSwitchId SecurityGroupId Amount ClientToken | DeleteInstance InstanceId Force
RunInstances ImageId InstanceType VSwitchId SecurityGroupId | StartInstance InstanceId | RebootInstance InstanceId
StopInstance InstanceId | StopInstance InstanceId ForceStop StoppedMode
ModifyInstanceAttribute InstanceId InstanceName | CreateDisk ZoneId Size DiskCategory
CreateDisk ZoneId DiskCategory SnapshotId | AttachDisk DiskId InstanceId
DetachDisk DiskId InstanceId | DeleteDisk DiskId | ResetDisk DiskId SnapshotId | ResizeDisk DiskId NewSize Type=online
CreateImage InstanceId ImageName | CreateImage SnapshotId ImageName ImageFamily | DeleteImage ImageId Force
ModifyImageSharePermission ImageId AddAccount.N | CopyImage ImageId DestinationRegionId DestinationImageName
TagResources ResourceType=instance ResourceId.N=InstanceId Tag.N.Key Tag.N.Value
UntagResources ResourceType=instance ResourceId.N=InstanceId TagKey.N=Key | AllocateEipAddress
AssociateEipAddress AllocationId InstanceId | UnassociateEipAddress AllocationId | ReleaseEipAddress AllocationId
CreateNetworkInterface VSwitchId SecurityGroupId | AttachNetworkInterface NetworkInterfaceId InstanceId
CreateSecurityGroup VpcId SecurityGroupName
AuthorizeSecurityGroup SecurityGroupId IpProtocol=tcp PortRange=22/22 SourceCidrIp=10.0.0.0/8
CreateAutoSnapshotPolicy regionId repeatWeekdays timePoints retentionDays
ApplyAutoSnapshotPolicy regionId autoSnapshotPolicyId=AutoSnapshotPolicyId diskIds=["d-a"]
CreateSimulatedSystemEvents EventType InstanceId.N NotBefore | AddZone ZoneName
RunCommand Type=RunShellScript CommandContent InstanceId.N
AddZoneRecord ZoneId=z-a Rr Type Value Ttl | UpdateZoneRecord RecordId Rr Type Value | DeleteZoneRecord RecordId
SetZoneRecordStatus RecordId Status | SetBackendServers LoadBalancerId=lb-a BackendServers
AddBackendServers LoadBalancerId=lb-a BackendServers | SetLoadBalancerStatus LoadBalancerId=lb-a LoadBalancerStatus
CreateScalingGroup MinSize MaxSize DesiredCapacity VSwitchId
EnableScalingGroup ScalingGroupId ActiveScalingConfigurationId=ScalingConfigurationId
CreateScalingConfiguration ScalingGroupId ImageId InstanceType SecurityGroupId
ScaleWithAdjustment ScalingGroupId AdjustmentType AdjustmentValue | SetInstanceHealth InstanceId HealthStatus
ModifyScalingGroup ScalingGroupId DesiredCapacity | EnterStandby ScalingGroupId InstanceIds.N
DescribeSnapshots | DescribeInstances | DescribeDisks | DescribeImages | DescribeZoneRecords ZoneId=z-a
DescribeScalingGroups | DescribeScalingInstances | DescribeEipAddresses | DescribeLoadBalancers
""".replace("|", "\n").split("\n")
"""Calls that make sense: an action with its parameters, and what to put there if the name alone does not tell."""


class Wanderer:
    """Calls anything that there is, with what it has seen so far: mostly refused, often enough not."""

    def __init__(self, cloud: Cloud, chance: random.Random) -> None:
        assert cloud.journal is not None
        self.cloud = cloud
        self.journal = cloud.journal
        self.chance = chance
        self.seen: dict[str, list[str]] = {}
        self.done = 0

    def step(self) -> None:
        self.chance.choices((self.call, self.jump, self.fail, self.darken, self.write), weights=(50, 4, 1, 1, 2))[0]()

    def jump(self) -> None:
        self.cloud.clock.advance(timedelta(seconds=self.chance.choice((0.5, 7, 45, 300, 5000))))

    def fail(self) -> None:
        try:
            self.cloud.do(deeds.fail, instance=self.chance.choice(("i-a", "i-b")), recovers=self.chance.random() < 0.7)
        except ApiError:
            return

    def darken(self) -> None:
        self.cloud.do(deeds.set_dark, zone="cn-hangzhou-h", dark=self.chance.random() < 0.3)

    def write(self) -> None:
        cloud = self.cloud
        if "d-a" in cloud.ecs.disks.shelf.by_id:
            body = bytes([self.chance.randrange(256)]) * 5000
            offset = self.chance.randrange(1000) * 4096
            cloud.do(deeds.write_disk, account=cloud.account, region=cloud.region, disk="d-a", offset=offset, body=body)

    def call(self) -> None:
        account = self.cloud.account if self.chance.random() < 0.95 else GUEST
        region = "cn-hangzhou" if self.chance.random() < 0.95 else "cn-shanghai"
        realm = self.cloud.realm(account, region)
        asked = self._sensible(realm) if self.chance.random() < 0.8 else self._anything(realm)
        if asked is None:
            return
        version, action, operation, params = asked
        params = {"RegionId": region, **params}
        caller = Caller(account=account, access_key="testid", role=None)
        call = Call(version=version, action=action, region=region, params=params, caller=caller)
        try:
            answer = self.journal.call(call, operation)
        except ApiError:
            return
        self.done += not is_read(action)
        self._learn("", answer)

    def _sensible(self, realm: Realm) -> Asked | None:
        action, *names = self.chance.choice([recipe.split() for recipe in RECIPES if recipe.strip()])
        found = next((key for key in sorted(realm.operations, reverse=True) if key[1] == action), None)
        if found is None:
            return None
        params = {}
        for name in names:
            parameter, _, source = name.partition("=")
            value = self._value(source or parameter) or source
            if value:
                params[self.numbered(parameter)] = value
        return (*found, realm.operations[found], params)

    def _anything(self, realm: Realm) -> Asked:
        (version, action), operation = self.chance.choice(sorted(realm.operations.items()))
        return version, action, operation, self.some_parameters(operation)

    def some_parameters(self, operation: Operation) -> dict[str, str]:
        return {
            self.numbered(name): value
            for name in sorted(parameters_of(operation))
            if not name.startswith(("Page", "Max", "DryRun", "NextToken"))
            and self.chance.random() < 0.5
            and (value := self._value(name)) is not None
        }

    def numbered(self, name: str) -> str:
        return name.replace(".N", ".1")

    def _value(self, name: str) -> str | None:
        last = name.removesuffix(".N").rpartition(".")[2]
        singular = last.removesuffix("s")
        known = WORDS.get(name) or WORDS.get(last) or self.seen.get(last) or self.seen.get(singular)
        if known:
            return self.chance.choice(known[-4:])  # of ids the newest: they probably stand
        return f"{last.lower()}-{self.chance.randrange(9)}" if last.endswith("Name") else None

    def _learn(self, name: str, answer: Any) -> None:
        if isinstance(answer, Mapping):
            for key, part in answer.items():
                self._learn(key, part)
        elif isinstance(answer, list):
            for part in answer:
                self._learn(name, part)
        elif isinstance(answer, str | int) and not isinstance(answer, bool) and answer != "":
            known = self.seen.setdefault(name, [])
            if str(answer) not in known[-4:]:
                known.append(str(answer))
