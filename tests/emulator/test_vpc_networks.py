"""VPCs and vSwitches made and deleted through the API: in their own time, empty before they go."""

import pytest

from tests.emulator.network_stage import NetworkStage


@pytest.fixture
def stage() -> NetworkStage:
    return NetworkStage()


def made_vpc(stage: NetworkStage, **given: object) -> str:
    vpc: str = stage.vpc("CreateVpc", {"CidrBlock": "192.168.0.0/16", **given})["VpcId"]
    stage.advance(10)
    return vpc


def made_vswitch(stage: NetworkStage, vpc: str, cidr: str = "192.168.1.0/24", **given: object) -> str:
    vswitch: str = stage.vpc(
        "CreateVSwitch", {"VpcId": vpc, "ZoneId": "cn-hangzhou-h", "CidrBlock": cidr, **given}
    )["VSwitchId"]  # fmt: skip
    return vswitch


def status_of(stage: NetworkStage, vswitch: str) -> str:
    status: str = stage.vpc("DescribeVSwitchAttributes", VSwitchId=vswitch)["Status"]
    return status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"CidrBlock": "10.0.0.1/16"}, "InvalidParameter"),
        ({"CidrBlock": "10.0.0.0"}, "InvalidParameter"),
        ({"CidrBlock": "10.0.0.0/29"}, "InvalidParameter"),
        ({"CidrBlock": "127.77.0.0/16"}, "InvalidParameter"),
        ({"CidrBlock": "100.64.0.0/16"}, "InvalidParameter"),
        ({"CidrBlock": "rubbish"}, "InvalidParameter"),
        ({"VpcName": "http://here"}, "InvalidVpcName.Malformed"),
        ({"Description": "https://there"}, "InvalidVpcDiscription.Malformed"),
        ({"DryRun": "true"}, "DryRunOperation"),
    ],
)
def test_a_vpc_that_cannot_be_is_refused(stage: NetworkStage, given: dict[str, object], expected: str) -> None:
    assert stage.vpc_refusal("CreateVpc", given) == (400, expected)
    assert stage.vpc("DescribeVpcs")["TotalCount"] == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"VpcId": "vpc-none"}, (404, "InvalidVpcId.NotFound")),
        ({"ZoneId": "cn-hangzhou-z"}, (404, "InvalidZoneId.NotFound")),
        ({"CidrBlock": "192.168.1.1/24"}, (400, "InvalidCidrBlock.Malformed")),
        ({"CidrBlock": "192.168.0.0/30"}, (400, "InvalidCirdrBlock.MaskLength")),
        ({"CidrBlock": "192.160.0.0/15"}, (400, "InvalidCirdrBlock.MaskLength")),
        ({"CidrBlock": "10.0.1.0/24"}, (400, "InvalidParameter")),
        ({"CidrBlock": "192.168.1.128/25"}, (400, "InvalidCidrBlock.Overlapped")),
        ({"VSwitchName": "http://here"}, (400, "InvalidVSwitchName.Malformed")),
        ({"CidrBlock": ""}, (400, "MissingParameter")),
    ],
)
def test_a_vswitch_that_cannot_be_is_refused(
    stage: NetworkStage, given: dict[str, object], expected: tuple[int, str]
) -> None:
    vpc = made_vpc(stage)
    made_vswitch(stage, vpc)
    stage.advance(10)
    base = {"VpcId": vpc, "ZoneId": "cn-hangzhou-h", "CidrBlock": "192.168.2.0/24"}
    assert stage.vpc_refusal("CreateVSwitch", {**base, **given}) == expected


def test_nothing_is_put_into_a_network_that_is_still_pending(stage: NetworkStage) -> None:
    vpc = stage.vpc("CreateVpc", CidrBlock="192.168.0.0/16")["VpcId"]
    assert stage.vpc("DescribeVpcAttribute", VpcId=vpc)["Status"] == "Pending"
    given = {"VpcId": vpc, "ZoneId": "cn-hangzhou-h", "CidrBlock": "192.168.1.0/24"}
    assert stage.vpc_refusal("CreateVSwitch", given) == (400, "IncorrectVpcStatus")
    assert stage.vpc_refusal("DeleteVpc", VpcId=vpc) == (400, "IncorrectVpcStatus")
    assert stage.refusal("CreateSecurityGroup", VpcId=vpc) == (400, "IncorrectVpcStatus")
    stage.advance(10)
    group = stage.ask("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
    vswitch = made_vswitch(stage, vpc)
    assert status_of(stage, vswitch) == "Pending"
    order = {"ImageId": "m-base", "InstanceType": "ecs.g7.large", "VSwitchId": vswitch, "SecurityGroupId": group}
    assert stage.refusal("RunInstances", order) == (400, "IncorrectVSwitchStatus")
    assert stage.refusal("CreateNetworkInterface", VSwitchId=vswitch, SecurityGroupId=group) == (
        400,
        "IncorrectVSwitchStatus",
    )
    stage.advance(10)
    assert status_of(stage, vswitch) == "Available"
    assert len(stage.ask("RunInstances", order)["InstanceIdSets"]["InstanceIdSet"]) == 1


def test_two_vswitches_of_one_vpc_are_not_made_at_once(stage: NetworkStage) -> None:
    vpc = made_vpc(stage)
    first = made_vswitch(stage, vpc)
    second = {"VpcId": vpc, "ZoneId": "cn-hangzhou-i", "CidrBlock": "192.168.2.0/24"}
    assert stage.vpc_refusal("CreateVSwitch", second) == (400, "IncorrectVSwitchStatus")
    stage.advance(10)
    stage.vpc("CreateVSwitch", second)
    assert stage.vpc_refusal("DeleteVSwitch", VSwitchId=first) == (400, "IncorrectVSwitchStatus")


def test_a_network_goes_when_it_is_empty_and_takes_its_time(stage: NetworkStage) -> None:
    vpc = made_vpc(stage)
    group = stage.ask("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
    vswitch = made_vswitch(stage, vpc)
    stage.advance(10)
    eni = stage.ask("CreateNetworkInterface", VSwitchId=vswitch, SecurityGroupId=group)["NetworkInterfaceId"]
    assert stage.vpc_refusal("DeleteVSwitch", VSwitchId=vswitch) == (400, "DependencyViolation")
    stage.ask("DeleteNetworkInterface", NetworkInterfaceId=eni)
    stage.advance(10)
    stage.vpc("DeleteVSwitch", VSwitchId=vswitch)
    assert status_of(stage, vswitch) == "Pending"
    assert stage.refusal("CreateNetworkInterface", VSwitchId=vswitch, SecurityGroupId=group) == (
        400,
        "IncorrectVSwitchStatus",
    )
    assert stage.vpc_refusal("DeleteVpc", VpcId=vpc) == (400, "DependencyViolation.VSwitch")
    stage.advance(10)
    assert stage.vpc_refusal("DeleteVSwitch", VSwitchId=vswitch) == (404, "InvalidVSwitchId.NotFound")
    assert stage.vpc_refusal("DeleteVpc", VpcId=vpc) == (400, "DependencyViolation.SecurityGroup")
    stage.ask("DeleteSecurityGroup", SecurityGroupId=group)
    stage.vpc("DeleteVpc", VpcId=vpc)
    assert stage.vpc("DescribeVpcAttribute", VpcId=vpc)["Status"] == "Deleting"
    assert stage.refusal("CreateSecurityGroup", VpcId=vpc) == (400, "IncorrectVpcStatus")
    stage.advance(10)
    assert stage.vpc_refusal("DeleteVpc", VpcId=vpc) == (404, "InvalidVpcId.NotFound")


def test_a_token_makes_one_network(stage: NetworkStage) -> None:
    once = {"CidrBlock": "192.168.0.0/16", "ClientToken": "t"}
    vpc = stage.vpc("CreateVpc", once)["VpcId"]
    assert stage.vpc("CreateVpc", once)["VpcId"] == vpc
    assert stage.vpc("DescribeVpcs")["TotalCount"] == 2


def test_quotas_bound_what_an_account_makes(stage: NetworkStage) -> None:
    vpc = made_vpc(stage)
    stage.cloud.vpc.networks.vpcs_at_most = 2
    stage.cloud.vpc.networks.vswitches_at_most = 0
    assert stage.vpc_refusal("CreateVpc", CidrBlock="10.0.0.0/8") == (400, "QuotaExceeded.Vpc")
    given = {"VpcId": vpc, "ZoneId": "cn-hangzhou-h", "CidrBlock": "192.168.1.0/24"}
    assert stage.vpc_refusal("CreateVSwitch", given) == (400, "QuotaExceeded.VSwitch")


def test_networks_are_found_by_name_and_tag_and_can_be_renamed(stage: NetworkStage) -> None:
    vpc = made_vpc(stage, VpcName="site", **{"Tag.1.Key": "role", "Tag.1.Value": "app"})
    vswitch = made_vswitch(stage, vpc, VSwitchName="rack", **{"Tag.1.Key": "role", "Tag.1.Value": "app"})

    def vpcs(**given: object) -> list[str]:
        return [one["VpcId"] for one in stage.vpc("DescribeVpcs", given)["Vpcs"]["Vpc"]]

    assert vpcs(VpcName="site") == vpcs(**{"Tag.1.Key": "role"}) == [vpc]
    [found] = stage.vpc("DescribeVSwitches", {"Tag.1.Key": "role", "VSwitchName": "rack"})["VSwitches"]["VSwitch"]
    assert (found["VSwitchId"], found["Tags"]) == (vswitch, {"Tag": [{"Key": "role", "Value": "app"}]})
    stage.vpc("ModifyVpcAttribute", VpcId=vpc, VpcName="yard", Description="the old one")
    stage.vpc("ModifyVSwitchAttribute", VSwitchId="vsw-h", VSwitchName="hall")
    assert (vpcs(VpcName="site"), vpcs(VpcName="yard")) == ([], [vpc])
    assert stage.vpc("DescribeVSwitchAttributes", VSwitchId="vsw-h")["VSwitchName"] == "hall"
    assert stage.ask("DescribeVpcs", VpcId=vpc)["Vpcs"]["Vpc"][0]["Description"] == "the old one"
    assert [z["ZoneId"] for z in stage.vpc("DescribeZones")["Zones"]["Zone"]] == list(stage.ecs.zones)
    assert stage.vpc("DescribeRegions")["Regions"]["Region"][0]["RegionId"] == stage.ecs.region
