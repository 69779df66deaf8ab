"""The first day on an account that has nothing: everything is made with the official SDKs alone, used, and torn down
again until nothing is left. Roles are the operator's (RAM's own API is not emulated)."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import tablestore as ots
from alibabacloud_cms20190101 import models as cms
from alibabacloud_cms20190101.client import Client as Cms
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ess20220222 import models as ess
from alibabacloud_ess20220222.client import Client as Ess
from alibabacloud_pvtz20180101 import models as pvtz
from alibabacloud_pvtz20180101.client import Client as Pvtz
from alibabacloud_slb20140515 import models as slb
from alibabacloud_slb20140515.client import Client as Slb
from alibabacloud_sts20150401 import models as sts
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vpc20160428 import models as vpc
from alibabacloud_vpc20160428.client import Client as Vpc

from emulator.ram import seed as ram_seed
from emulator.testing import Local, mock_aliyun
from tests.emulator.webhook import receiver

HERE = "cn-hangzhou"
ACCOUNT = "1000000000000001"
POLICY = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ecs:Describe*", "Resource": "*"}]}
MAY_ASSUME = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
RAM = {
    "users": [{"name": "ann", "access_keys": [{"id": "ANN", "secret": "s"}], "policies": [MAY_ASSUME]}],
    "roles": [{"name": "watcher", "trust": {"users": ["ann"]}, "policies": [POLICY]}],
}
PATIENCE = 120  # emulated seconds


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as running:
        running.run(lambda: ram_seed.load(RAM, running.cloud.home))
        yield running


class Day:
    """An account's clients, and the patience that an asynchronous cloud asks for."""

    def __init__(self, local: Local) -> None:
        key, secret = local.access_key[:2]
        config = Config(
            endpoint=local.host, protocol="http", region_id=HERE, access_key_id=key, access_key_secret=secret
        )
        self.local = local
        self.ecs, self.vpc, self.slb, self.pvtz = Ecs(config), Vpc(config), Slb(config), Pvtz(config)
        self.ess, self.cms = Ess(config), Cms(config)
        self.sts = Sts(Config(endpoint=local.host, protocol="http", access_key_id="ANN", access_key_secret="s"))
        self.ots = ots.OTSClient(local.url, key, secret, local.ots_instance)

    def until(self, check: Callable[[], bool]) -> None:
        for _ in range(PATIENCE):
            if check():
                return
            self.local.advance(1)
        raise AssertionError("it does not come to be")

    def once_free(self, call: Callable[[], Any]) -> Any:
        """What is still in use is asked for again, as every tool does at the end."""
        for _ in range(PATIENCE):
            try:
                return call()
            except ClientException as error:
                if not error.code.startswith(("DependencyViolation", "Incorrect")):
                    raise
                self.local.advance(1)
        raise AssertionError("it stays in use")

    # Network

    def make_network(self) -> tuple[str, dict[str, str]]:
        made = self.vpc.create_vpc(vpc.CreateVpcRequest(region_id=HERE, cidr_block="10.0.0.0/16", vpc_name="site"))
        network: str = made.body.vpc_id
        asked = vpc.DescribeVpcAttributeRequest(region_id=HERE, vpc_id=network)
        self.until(lambda: self.vpc.describe_vpc_attribute(asked).body.status == "Available")
        zones = self.vpc.describe_zones(vpc.DescribeZonesRequest(region_id=HERE)).body.zones.zone
        return network, {zone.zone_id: self.make_vswitch(network, zone.zone_id, n) for n, zone in enumerate(zones[:2])}

    def make_vswitch(self, vpc_id: str, zone: str, number: int) -> str:
        request = vpc.CreateVSwitchRequest(
            region_id=HERE, vpc_id=vpc_id, zone_id=zone, cidr_block=f"10.0.{number}.0/24"
        )
        made: str = self.vpc.create_vswitch(request).body.v_switch_id
        asked = vpc.DescribeVSwitchAttributesRequest(region_id=HERE, v_switch_id=made)
        self.until(lambda: self.vpc.describe_vswitch_attributes(asked).body.status == "Available")
        return made

    def make_group(self, vpc_id: str) -> str:
        request = ecs.CreateSecurityGroupRequest(region_id=HERE, vpc_id=vpc_id, security_group_name="site")
        made: str = self.ecs.create_security_group(request).body.security_group_id
        self.ecs.authorize_security_group(
            ecs.AuthorizeSecurityGroupRequest(
                region_id=HERE,
                security_group_id=made,
                ip_protocol="tcp",
                port_range="80/80",
                source_cidr_ip="10.0.0.0/8",
            )
        )
        return made

    # Machines

    def image(self) -> str:
        request = ecs.DescribeImagesRequest(region_id=HERE, image_owner_alias="system", ostype="linux")
        return str(self.ecs.describe_images(request).body.images.image[0].image_id)

    def start(self, image: str, vswitch: str, group: str) -> str:
        request = ecs.RunInstancesRequest(
            region_id=HERE, image_id=image, instance_type="ecs.g7.large", v_switch_id=vswitch, security_group_id=group,
            instance_name="app", client_token=f"first-{vswitch}",
            system_disk=ecs.RunInstancesRequestSystemDisk(category="cloud_essd"),
        )  # fmt: skip
        made: str = self.ecs.run_instances(request).body.instance_id_sets.instance_id_set[0]
        self.until(lambda: self.instance(made).status == "Running")
        return made

    def instances(self) -> list[Any]:
        found: list[Any] = self.ecs.describe_instances(
            ecs.DescribeInstancesRequest(region_id=HERE)
        ).body.instances.instance  # fmt: skip
        return found

    def instance(self, id: str) -> Any:
        return next(one for one in self.instances() if one.instance_id == id)

    def disks(self) -> list[Any]:
        found: list[Any] = self.ecs.describe_disks(ecs.DescribeDisksRequest(region_id=HERE)).body.disks.disk
        return found

    def snapshots(self) -> list[str]:
        asked = ecs.DescribeSnapshotsRequest(region_id=HERE)
        return [one.snapshot_id for one in self.ecs.describe_snapshots(asked).body.snapshots.snapshot]

    def delete_vswitch(self, id: str) -> None:
        self.vpc.delete_vswitch(vpc.DeleteVSwitchRequest(region_id=HERE, v_switch_id=id))

    def delete_group(self, id: str) -> None:
        self.ecs.delete_security_group(ecs.DeleteSecurityGroupRequest(region_id=HERE, security_group_id=id))

    def what_is_there(self) -> dict[str, int]:
        """What an account can be asked for, as far as there is any of it."""
        here = {"region_id": HERE}
        counted = {
            "vpcs": self.vpc.describe_vpcs(vpc.DescribeVpcsRequest(**here)).body.total_count,
            "vswitches": self.vpc.describe_vswitches(vpc.DescribeVSwitchesRequest(**here)).body.total_count,
            "addresses": self.vpc.describe_eip_addresses(vpc.DescribeEipAddressesRequest(**here)).body.total_count,
            "groups": self.ecs.describe_security_groups(ecs.DescribeSecurityGroupsRequest(**here)).body.total_count,
            "interfaces": self.ecs.describe_network_interfaces(
                ecs.DescribeNetworkInterfacesRequest(**here)
            ).body.total_count,
            "instances": len(self.instances()),
            "disks": len(self.disks()),
            "snapshots": len(self.snapshots()),
            "images": self.ecs.describe_images(
                ecs.DescribeImagesRequest(**here, image_owner_alias="self", status="ALL")
            ).body.total_count,
            "policies": self.ecs.describe_auto_snapshot_policy_ex(
                ecs.DescribeAutoSnapshotPolicyExRequest(**here)
            ).body.total_count,
            "balancers": self.slb.describe_load_balancers(slb.DescribeLoadBalancersRequest(**here)).body.total_count,
            "zones": self.pvtz.describe_zones(pvtz.DescribeZonesRequest()).body.total_items,
            "scaling groups": self.ess.describe_scaling_groups(
                ess.DescribeScalingGroupsRequest(**here)
            ).body.total_count,
            "configurations": self.ess.describe_scaling_configurations(
                ess.DescribeScalingConfigurationsRequest(**here)
            ).body.total_count,
            "alarms": int(self.cms.describe_metric_rule_list(cms.DescribeMetricRuleListRequest()).body.total),
            "tables": len(self.ots.list_table()),
        }
        return {kind: count for kind, count in counted.items() if count}

    def members(self, group: str) -> list[Any]:
        request = ess.DescribeScalingInstancesRequest(region_id=HERE, scaling_group_id=group)
        return list(self.ess.describe_scaling_instances(request).body.scaling_instances)


@pytest.fixture(scope="module")
def day(local: Local) -> Day:
    return Day(local)


def test_an_account_begins_with_nothing_of_its_own(day: Day) -> None:
    assert day.what_is_there() == {}


def test_everything_is_made_used_and_torn_down_until_nothing_is_left(day: Day) -> None:
    # A network with a rule, and a machine in each zone.
    network, vswitches = day.make_network()
    group = day.make_group(network)
    image = day.image()
    machines = [day.start(image, vswitch, group) for vswitch in vswitches.values()]
    first, second = map(day.instance, machines)
    assert (first.vpc_attributes.vpc_id, first.image_id) == (network, image)
    assert first.zone_id != second.zone_id

    # A load balancer with both behind it.
    lb = day.slb.create_load_balancer(
        slb.CreateLoadBalancerRequest(
            region_id=HERE, v_switch_id=next(iter(vswitches.values())), address_type="intranet",
            master_zone_id=first.zone_id, slave_zone_id=second.zone_id, load_balancer_spec="slb.s1.small",
        )
    ).body  # fmt: skip
    day.slb.create_load_balancer_tcplistener(
        slb.CreateLoadBalancerTCPListenerRequest(
            region_id=HERE, load_balancer_id=lb.load_balancer_id, listener_port=8080, backend_server_port=80,
            bandwidth=-1,
        )
    )  # fmt: skip
    day.slb.add_backend_servers(
        slb.AddBackendServersRequest(
            region_id=HERE, load_balancer_id=lb.load_balancer_id,
            backend_servers=json.dumps([{"ServerId": one, "Weight": "100"} for one in machines]),
        )
    )  # fmt: skip
    day.slb.start_load_balancer_listener(
        slb.StartLoadBalancerListenerRequest(region_id=HERE, load_balancer_id=lb.load_balancer_id, listener_port=8080)
    )
    health = slb.DescribeHealthStatusRequest(region_id=HERE, load_balancer_id=lb.load_balancer_id)

    def found() -> list[str]:
        servers = day.slb.describe_health_status(health).body.backend_servers.backend_server
        return [one.server_health_status for one in servers]

    day.until(lambda: found() == ["abnormal", "abnormal"])  # a plain image serves nothing at port 80

    # A name for it, in a private zone that the VPC sees.
    zone = day.pvtz.add_zone(pvtz.AddZoneRequest(zone_name="site.internal")).body.zone_id
    day.pvtz.bind_zone_vpc(
        pvtz.BindZoneVpcRequest(
            zone_id=zone, vpcs=[pvtz.BindZoneVpcRequestVpcs(region_id=HERE, vpc_id=network, vpc_type="STANDARD")]
        )
    )
    record = day.pvtz.add_zone_record(
        pvtz.AddZoneRecordRequest(zone_id=zone, rr="app", type="A", value=lb.address, ttl=5)
    ).body.record_id
    assert day.local.resolver().resolve("app.site.internal") == (lb.address,)
    bound = day.pvtz.describe_zones(pvtz.DescribeZonesRequest(query_vpc_id=network, query_region_id=HERE)).body
    assert [one.zone_id for one in bound.zones.zone] == [zone]

    # A scaling group that holds one machine, behind the same balancer.
    scaling = day.ess.create_scaling_group(
        ess.CreateScalingGroupRequest(
            region_id=HERE, scaling_group_name="app", min_size=1, max_size=2, v_switch_ids=list(vswitches.values()),
            load_balancer_ids=json.dumps([lb.load_balancer_id]),
        )
    ).body.scaling_group_id  # fmt: skip
    configuration = day.ess.create_scaling_configuration(
        ess.CreateScalingConfigurationRequest(
            scaling_group_id=scaling, image_id=image, instance_type="ecs.g7.large", security_group_id=group,
            system_disk=ess.CreateScalingConfigurationRequestSystemDisk(category="cloud_essd"),
        )
    ).body.scaling_configuration_id  # fmt: skip
    day.ess.enable_scaling_group(
        ess.EnableScalingGroupRequest(
            region_id=HERE, scaling_group_id=scaling, active_scaling_configuration_id=configuration
        )
    )
    day.until(lambda: [one.lifecycle_state for one in day.members(scaling)] == ["InService"])
    assert len(day.instances()) == 3

    # A snapshot policy on every disk, which takes snapshots by itself.
    policy = day.ecs.create_auto_snapshot_policy(
        ecs.CreateAutoSnapshotPolicyRequest(
            region_id=HERE, time_points='["3"]', repeat_weekdays='["1","2","3","4","5","6","7"]', retention_days=1,
            auto_snapshot_policy_name="nightly",
        )
    ).body.auto_snapshot_policy_id  # fmt: skip
    disks = json.dumps([disk.disk_id for disk in day.disks()])
    day.ecs.apply_auto_snapshot_policy(
        ecs.ApplyAutoSnapshotPolicyRequest(region_id=HERE, auto_snapshot_policy_id=policy, disk_ids=disks)
    )

    # An alarm that calls a webhook.
    with receiver() as hook:
        day.cms.put_resource_metric_rule(
            cms.PutResourceMetricRuleRequest(
                rule_id="hot", rule_name="hot", namespace="acs_ecs_dashboard", metric_name="CPUUtilization",
                resources=json.dumps([{"instanceId": machines[0]}]), period="60", webhook=hook.url,
                contact_groups="ops",
                escalations=cms.PutResourceMetricRuleRequestEscalations(
                    critical=cms.PutResourceMetricRuleRequestEscalationsCritical(
                        comparison_operator="GreaterThanOrEqualToThreshold", statistics="Average", threshold="0",
                        times=1,
                    )
                ),
            )
        )  # fmt: skip
        day.local.advance(180)
        assert b"hot" in hook.bodies[0]
        day.cms.delete_metric_rules(cms.DeleteMetricRulesRequest(id=["hot"]))

    # Tables.
    day.ots.create_table(
        ots.TableMeta("state", [("id", "STRING")]), ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    )
    row = ots.Row([("id", "a")], [("value", 1)])
    day.ots.put_row("state", row, ots.Condition(ots.RowExistenceExpectation.EXPECT_NOT_EXIST))
    assert list(day.ots.list_table()) == ["state"]

    # A role that may look and not touch, taken on by a user: the account itself may not.
    taken = day.sts.assume_role(
        sts.AssumeRoleRequest(role_arn=f"acs:ram::{ACCOUNT}:role/watcher", role_session_name="first")
    ).body.credentials
    looking = Ecs(
        Config(
            endpoint=day.local.host, protocol="http", region_id=HERE, access_key_id=taken.access_key_id,
            access_key_secret=taken.access_key_secret, security_token=taken.security_token,
        )
    )  # fmt: skip
    assert len(looking.describe_instances(ecs.DescribeInstancesRequest(region_id=HERE)).body.instances.instance) == 3
    with pytest.raises(ClientException) as denied:
        looking.delete_instance(ecs.DeleteInstanceRequest(instance_id=machines[0], force=True))
    assert (denied.value.status_code, denied.value.code) == (403, "Forbidden.RAM")

    # A day later there are snapshots, and a day after that the policy takes them away again.
    day.local.advance(timedelta(days=1).total_seconds())
    assert len(day.snapshots()) == 3

    # Torn down, in an order that is found out by being refused.
    networks = vpc.DescribeVpcAttributeRequest(region_id=HERE, vpc_id=network)
    for refused, code in (
        (
            lambda: day.vpc.delete_vpc(vpc.DeleteVpcRequest(region_id=HERE, vpc_id=network)),
            "DependencyViolation.VSwitch",
        ),
        (lambda: day.delete_vswitch(next(iter(vswitches.values()))), "DependencyViolation"),
        (lambda: day.delete_group(group), "DependencyViolation"),
        (lambda: day.pvtz.delete_zone(pvtz.DeleteZoneRequest(zone_id=zone)), "Zone.VpcExists"),
    ):
        with pytest.raises(ClientException) as caught:
            refused()
        assert caught.value.code == code

    day.ess.delete_scaling_group(
        ess.DeleteScalingGroupRequest(region_id=HERE, scaling_group_id=scaling, force_delete=True)
    )
    day.until(lambda: len(day.instances()) == 2)
    day.slb.delete_load_balancer(slb.DeleteLoadBalancerRequest(region_id=HERE, load_balancer_id=lb.load_balancer_id))
    day.pvtz.delete_zone_record(pvtz.DeleteZoneRecordRequest(record_id=record))
    day.pvtz.bind_zone_vpc(pvtz.BindZoneVpcRequest(zone_id=zone))
    day.pvtz.delete_zone(pvtz.DeleteZoneRequest(zone_id=zone))
    day.ecs.delete_auto_snapshot_policy(
        ecs.DeleteAutoSnapshotPolicyRequest(region_id=HERE, auto_snapshot_policy_id=policy)
    )
    day.ecs.delete_instances(ecs.DeleteInstancesRequest(region_id=HERE, instance_id=machines, force=True))
    day.until(lambda: not day.instances())
    for snapshot in day.snapshots():
        day.ecs.delete_snapshot(ecs.DeleteSnapshotRequest(snapshot_id=snapshot))
    day.once_free(lambda: day.delete_group(group))
    for vswitch in vswitches.values():
        day.once_free(partial(day.delete_vswitch, vswitch))
    day.once_free(lambda: day.vpc.delete_vpc(vpc.DeleteVpcRequest(region_id=HERE, vpc_id=network)))
    assert day.vpc.describe_vpc_attribute(networks).body.status == "Deleting"
    day.until(lambda: day.vpc.describe_vpcs(vpc.DescribeVpcsRequest(region_id=HERE)).body.total_count == 0)
    day.ots.delete_table("state")

    # Nothing is left, and nothing comes back.
    day.local.advance(timedelta(days=2).total_seconds())
    assert day.what_is_there() == {}
    assert day.local.resolver().resolve("app.site.internal") == ()
