"""Security groups: rules, members, and whom they let in."""

from collections.abc import Iterator

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

from emulator.cloud import Cloud
from emulator.seed import SeedError, load_text
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD
from tests.emulator.network_stage import NetworkStage

HERE = "cn-hangzhou"


@pytest.fixture
def stage() -> NetworkStage:
    return NetworkStage()


def new_group(stage: NetworkStage, **more: object) -> str:
    return str(stage.ask("CreateSecurityGroup", {"VpcId": "vpc-a", **more})["SecurityGroupId"])


def rules(stage: NetworkStage, group: str, **more: object) -> list[dict[str, str]]:
    found = stage.ask("DescribeSecurityGroupAttribute", {"SecurityGroupId": group, **more})
    return list(found["Permissions"]["Permission"])


# Refused --------------------------------------------------------------------------------------------------------------

RULES: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({"SecurityGroupId": "sg-none"}, (404, "InvalidSecurityGroupId.NotFound")),
    ({"SourceCidrIp": ""}, (400, "MissingParameter.Source")),
    ({"SourceCidrIp": "10.0.0/8"}, (400, "InvalidSourceCidrIp.Malformed")),
    ({"SourceGroupId": "sg-none"}, (404, "InvalidSourceGroupId.NotFound")),
    ({"SourceGroupId": "sg-a"}, (403, "InvalidParamter.Conflict")),
    ({"IpProtocol": "sctp"}, (400, "InvalidIpProtocol.ValueNotSupported")),
    ({"PortRange": "80"}, (400, "InvalidIpProtocol.Malformed")),
    ({"PortRange": "90/80"}, (400, "InvalidIpProtocol.Malformed")),
    ({"IpProtocol": "icmp"}, (400, "InvalidIpProtocol.Malformed")),
    ({"Policy": "reject"}, (400, "InvalidPolicy.Malformed")),
    ({"Priority": 101}, (400, "InvalidPriority.ValueNotSupported")),
    ({"NicType": "internet"}, (400, "InvalidNicType.ValueNotSupported")),
    ({"Description": "x" * 513}, (400, "InvalidSecurityGroupDiscription.Malformed")),
    ({"SourcePrefixListId": "pl-1"}, (400, "UnsupportedParameter")),
    ({"PortRange": ""}, (400, "MissingParameter")),
]


@pytest.mark.parametrize(("given", "expected"), RULES, ids=[f"{next(iter(g))}-{c}" for g, (_, c) in RULES])
def test_a_rule_that_cannot_be_is_refused(
    stage: NetworkStage, given: dict[str, object], expected: tuple[int, str]
) -> None:
    base = {"SecurityGroupId": "sg-a", "IpProtocol": "tcp", "PortRange": "80/80", "SourceCidrIp": "0.0.0.0/0"}
    assert stage.refusal("AuthorizeSecurityGroup", {**base, **given}) == expected
    assert len(rules(stage, "sg-a")) == 1


def test_a_group_holds_two_hundred_rules(stage: NetworkStage) -> None:
    group = new_group(stage)

    def add(first: int, count: int) -> dict[str, object]:
        return {
            f"Permissions.{n + 1}.{name}": value
            for n in range(count)
            for name, value in (
                ("IpProtocol", "tcp"), ("PortRange", f"{first + n}/{first + n}"), ("SourceCidrIp", "10.0.0.0/8"),
            )
        }  # fmt: skip

    assert stage.refusal("AuthorizeSecurityGroup", {"SecurityGroupId": group, **add(1, 101)}) == (
        400,
        "InvalidParameter",
    )
    for first in (1, 101):
        stage.ask("AuthorizeSecurityGroup", {"SecurityGroupId": group, **add(first, 100)})
    stage.ask("AuthorizeSecurityGroup", {"SecurityGroupId": group, **add(1, 100)})  # all there already
    assert stage.refusal("AuthorizeSecurityGroup", {"SecurityGroupId": group, **add(201, 1)}) == (
        403,
        "AuthorizationLimitExceed",
    )


def test_a_group_in_use_cannot_be_deleted(stage: NetworkStage) -> None:
    group, other = new_group(stage), new_group(stage)
    assert stage.refusal("DeleteSecurityGroup", SecurityGroupId="sg-a") == (403, "DependencyViolation")
    stage.ask("AuthorizeSecurityGroup", SecurityGroupId=other, SourceGroupId=group, IpProtocol="tcp", PortRange="80/80")
    assert stage.refusal("DeleteSecurityGroup", SecurityGroupId=group) == (403, "DependencyViolation")
    [reference] = stage.ask("DescribeSecurityGroupReferences", {"SecurityGroupId.1": group})["SecurityGroupReferences"][
        "SecurityGroupReference"
    ]
    assert reference["ReferencingSecurityGroups"]["ReferencingSecurityGroup"][0]["SecurityGroupId"] == other
    stage.ask("DeleteSecurityGroup", SecurityGroupId=other)
    stage.ask("DeleteSecurityGroup", SecurityGroupId=group)
    assert stage.refusal("DeleteSecurityGroup", SecurityGroupId=group) == (404, "InvalidSecurityGroupId.NotFound")


def test_members_join_once_and_never_leave_their_last_group(stage: NetworkStage) -> None:
    def join(group: str, **who: object) -> tuple[int, str]:
        return stage.refusal("JoinSecurityGroup", {"SecurityGroupId": group, **(who or {"InstanceId": "i-app"})})

    stage.ecs.network.vpcs["vpc-b"] = "10.9.0.0/16"
    foreign = new_group(stage, VpcId="vpc-b")
    assert join("sg-a") == (403, "InvalidInstanceId.AlreadyExists")
    assert join(foreign) == (400, "InvalidInstanceId.Mismatch")
    assert join("sg-none") == (404, "InvalidSecurityGroupId.NotFound")
    assert join("sg-a", InstanceId="i-none") == (404, "InvalidInstanceId.NotFound")
    assert join("sg-a", NetworkInterfaceId="eni-none") == (404, "InvalidEniId.NotFound")
    assert join("sg-a", NetworkInterfaceId="eni-app", InstanceId="i-app") == (
        403,
        "InvalidParam.EniIdAndInstanceId.Conflict",
    )
    leave = {"SecurityGroupId": "sg-a", "InstanceId": "i-app"}
    assert stage.refusal("LeaveSecurityGroup", leave) == (403, "InstanceLastSecurityGroup")
    groups = [new_group(stage) for _ in range(5)]
    assert stage.refusal("LeaveSecurityGroup", {**leave, "SecurityGroupId": groups[0]}) == (
        400,
        "InvalidSecurityGroupAssociation.NotFound",
    )
    for group in groups[:4]:
        stage.ask("JoinSecurityGroup", SecurityGroupId=group, InstanceId="i-app")
    assert join(groups[4]) == (403, "InstanceSecurityGroupLimitExceeded")
    stage.ask("LeaveSecurityGroup", leave)
    assert "sg-a" not in stage.instance("i-app")["SecurityGroupIds"]["SecurityGroupId"]
    stage.ask("StopInstance", InstanceId="i-app")
    assert join(groups[4]) == (403, "IncorrectInstanceStatus")


def test_a_group_that_cannot_be_is_refused(stage: NetworkStage) -> None:
    def refused(**given: object) -> tuple[int, str]:
        return stage.refusal("CreateSecurityGroup", {"VpcId": "vpc-a", **given})

    assert refused(VpcId="vpc-none") == (404, "InvalidVpcId.NotFound")
    assert refused(VpcId="") == (400, "UnsupportedParameter")
    assert refused(SecurityGroupType="strict") == (400, "InvalidSecurityGroupType")
    assert refused(SecurityGroupName="1x") == (400, "InvalidSecurityGroupName.Malformed")
    assert refused(Description="http://x") == (400, "InvalidSecurityGroupDiscription.Malformed")


def test_a_seeds_rules_are_checked(stage: NetworkStage) -> None:
    def load(entry: str) -> None:
        load_text(f"vpc: {{id: vpc-x, cidr: 10.0.0.0/8}}\nsecurity_groups: [{entry}]", Cloud(), where="x", settings={})

    with pytest.raises(SeedError, match="unknown key 'ports'"):
        load("{id: sg-x, rules: [{ports: 80}]}")
    with pytest.raises(SeedError, match="vpc-y is not the vpc"):
        load("{id: sg-x, vpc: vpc-y}")
    load("{id: sg-x, rules: [{port: 8000/8010, from: 10.1.0.0/16, policy: drop, priority: 5}, {from: sg-y}]}")


# Whom they let in -----------------------------------------------------------------------------------------------------


def test_a_new_group_lets_its_own_members_in_and_nobody_else(stage: NetworkStage) -> None:
    group = new_group(stage)
    stage.ask("JoinSecurityGroup", SecurityGroupId=group, InstanceId="i-app")
    groups = stage.ecs.security_groups
    assert groups.admits([group], 80, "10.0.1.11")
    assert not groups.admits([group], 80, "10.0.1.12")
    assert not groups.admits([group], 80, None)
    assert groups.admits(["sg-a"], 80, None)  # of a seed: everybody


def test_the_strongest_rule_decides_and_a_drop_wins_a_tie(stage: NetworkStage) -> None:
    group = new_group(stage)

    def add(cidr: str, ports: str, policy: str, priority: int) -> None:
        stage.ask(
            "AuthorizeSecurityGroup", SecurityGroupId=group, IpProtocol="tcp", PortRange=ports, SourceCidrIp=cidr,
            Policy=policy, Priority=priority,
        )  # fmt: skip

    def admits(port: int, source: str | None) -> bool:
        return stage.ecs.security_groups.admits([group], port, source)

    add("10.0.0.0/8", "80/90", "accept", 5)
    assert (admits(80, "10.0.1.12"), admits(91, "10.0.1.12"), admits(80, "192.168.1.1")) == (True, False, False)
    add("10.0.1.12/32", "80/80", "drop", 5)
    assert (admits(80, "10.0.1.12"), admits(81, "10.0.1.12"), admits(80, None)) == (False, True, True)
    add("10.0.1.12/32", "80/80", "accept", 1)
    assert admits(80, "10.0.1.12")
    add("0.0.0.0/0", "-1/-1", "drop", 1)
    assert not admits(80, "10.0.1.12")
    assert not admits(80, None)


def test_a_rule_may_name_another_group(stage: NetworkStage) -> None:
    group, clients = new_group(stage), new_group(stage)
    stage.ask(
        "AuthorizeSecurityGroup", SecurityGroupId=group, SourceGroupId=clients, IpProtocol="all", PortRange="-1/-1"
    )
    assert not stage.ecs.security_groups.admits([group], 80, "10.0.1.12")
    stage.ask("JoinSecurityGroup", SecurityGroupId=clients, InstanceId="i-old")
    assert stage.ecs.security_groups.admits([group], 80, "10.0.1.12")


def test_rules_are_revoked_by_id_or_by_meaning(stage: NetworkStage) -> None:
    group = new_group(stage)
    said = {"SecurityGroupId": group, "IpProtocol": "TCP", "PortRange": "22/22", "SourceCidrIp": "10.0.0.0/8"}
    stage.ask("AuthorizeSecurityGroup", said)
    stage.ask("AuthorizeSecurityGroupEgress", SecurityGroupId=group, IpProtocol="udp", PortRange="53/53",
              DestCidrIp="0.0.0.0/0")  # fmt: skip
    stage.ask("RevokeSecurityGroup", {**said, "PortRange": "23/23"})  # not there: silently fine
    assert [rule["Direction"] for rule in rules(stage, group)] == ["ingress", "egress"]
    stage.ask("RevokeSecurityGroup", said)
    [left] = rules(stage, group)
    assert rules(stage, group, Direction="ingress") == []
    out = {"SecurityGroupId": group, "SecurityGroupRuleId.1": left["SecurityGroupRuleId"]}
    assert stage.refusal("RevokeSecurityGroup", out) == (404, "SecurityGroupRule.NotFound")  # the other direction's
    stage.ask("RevokeSecurityGroupEgress", out)
    assert rules(stage, group) == []


# Over HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("groups") / "seed.yaml"
    seed.write_text(WORLD.replace("guest: {command: [run], ports: [80]}", "used_gib: 0"))
    with mock_aliyun(seed=seed, regions=(HERE,)) as cloud:
        yield cloud


def test_the_sdk_makes_fills_and_deletes_a_group(local: Local) -> None:
    key, secret = local.access_key[:2]
    sdk = Client(
        Config(endpoint=local.host, protocol="http", region_id=HERE, access_key_id=key, access_key_secret=secret)
    )
    group = sdk.create_security_group(
        ecs.CreateSecurityGroupRequest(region_id=HERE, vpc_id="vpc-a", security_group_name="web", client_token="t")
    ).body.security_group_id
    sdk.authorize_security_group(
        ecs.AuthorizeSecurityGroupRequest(
            region_id=HERE,
            security_group_id=group,
            permissions=[
                ecs.AuthorizeSecurityGroupRequestPermissions(
                    ip_protocol="TCP", port_range="443/443", source_cidr_ip="0.0.0.0/0", priority="10"
                )
            ],
        )
    )
    sdk.join_security_group(ecs.JoinSecurityGroupRequest(security_group_id=group, instance_id="i-app"))
    request = ecs.DescribeSecurityGroupsRequest(region_id=HERE, security_group_ids=f'["{group}"]')
    [shown] = sdk.describe_security_groups(request).body.security_groups.security_group
    assert (shown.security_group_name, shown.ecs_count, shown.rule_count, shown.vpc_id) == ("web", 1, 1, "vpc-a")
    attribute = sdk.describe_security_group_attribute(
        ecs.DescribeSecurityGroupAttributeRequest(region_id=HERE, security_group_id=group)
    ).body
    [rule] = attribute.permissions.permission
    assert (rule.port_range, rule.priority, rule.policy, rule.direction) == ("443/443", "10", "Accept", "ingress")
    sdk.revoke_security_group(
        ecs.RevokeSecurityGroupRequest(
            region_id=HERE, security_group_id=group, security_group_rule_id=[rule.security_group_rule_id]
        )
    )
    sdk.leave_security_group(ecs.LeaveSecurityGroupRequest(security_group_id=group, instance_id="i-app"))
    sdk.delete_security_group(ecs.DeleteSecurityGroupRequest(region_id=HERE, security_group_id=group))
    assert sdk.describe_security_groups(request).body.security_groups.security_group == []
