"""Permissions: how policies decide, what calls touch, and how each service refuses."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import tablestore as sdk
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_slb20140515 import models as slb_models
from alibabacloud_slb20140515.client import Client as Slb
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.cloud import Cloud
from emulator.fc import signature
from emulator.fc.queue import Refused
from emulator.keys import Key
from emulator.ram.policy import PolicyError, evaluate, parse
from emulator.ram.principals import names_of
from emulator.ram.resources import ROWS, has_row, resources
from emulator.ram.tables import tables
from emulator.seed import SeedError, load_text
from emulator.server import Options, build_cloud
from emulator.testing import Local, mock_aliyun
from emulator.wire.call import Call, Caller
from emulator.wire.declare import parameters_of
from emulator.wire.services import VERSIONS

ACCOUNT = "1000000000000001"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "1", "Statement": list(statements)}


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


# How a policy decides ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("{", "not JSON"),
        ({"Version": "2012-10-17", "Statement": [allow("*")]}, "Version"),
        ({"Version": "1", "Statement": []}, "not an empty one"),
        (policy({"Effect": "Maybe", "Action": "*", "Resource": "*"}), "Effect"),
        (policy({"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}), "either Action or NotAction"),
        (policy({"Effect": "Allow", "Action": "ecs:*"}), "either Resource or NotResource"),
        (policy(allow("DescribeDisks")), "service:Action"),
        (policy(allow("*", Condition={"StringResembles": {"acs:SourceIp": "1"}})), "StringResembles"),
        (policy(allow("*", Condition={"StringNotEquals": {"acs:SourceVpc": "vpc-1"}})), "acs:SourceVpc"),
        (policy(deny("*", Condition={"StringEquals": {"acs:SourceIp": []}})), "a list of values"),
        (policy(deny("*", Condition={"StringEquals": {}})), "key, values"),
        (policy(allow("*", Condition=[])), "Condition must be"),
        (policy(allow("*", Condition=None)), "Condition must be"),
        (policy({"Effect": "Allow", "Action": "*", "Principal": {"RAM": "*"}}), "trust policy"),
        (policy(allow("*", Sidd="x")), "unknown keys"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_place(document: Any, where: str) -> None:
    with pytest.raises(PolicyError, match=where):
        parse(document, "p")


CASES = [
    ("nothing is allowed unless said so", [], False),
    ("an action by name", [allow("ecs:DeleteSnapshot")], True),
    ("whatever its case", [allow("ECS:deletesnapshot")], True),
    ("by a pattern", [allow("ecs:Delete*")], True),
    ("by a question mark", [allow("ecs:DeleteSnapsho?")], True),
    ("another action", [allow("ecs:Describe*")], False),
    ("another resource", [allow("ecs:*", "acs:ecs:*:*:snapshot/s-2")], False),
    ("this resource", [allow("ecs:*", "acs:ecs:*:*:snapshot/s-1")], True),
    ("one resource of several", [allow("ecs:*", ["acs:ecs:*:*:disk/*", "acs:ecs:*:*:snapshot/*"])], True),
    ("another region", [allow("ecs:*", "acs:ecs:cn-shanghai:*:*")], False),
    ("brackets mean themselves", [allow("ecs:*", "acs:ecs:*:*:snapshot/[s]-1")], False),
    ("all but", [{"Effect": "Allow", "NotAction": "ram:*", "Resource": "*"}], True),
    ("all but this", [{"Effect": "Allow", "NotAction": "ecs:*", "Resource": "*"}], False),
    ("all resources but this", [{"Effect": "Allow", "Action": "*", "NotResource": "acs:ecs:*:*:snapshot/*"}], False),
    ("a denial outweighs", [allow("*"), deny("ecs:DeleteSnapshot")], False),
    ("wherever it stands", [deny("ecs:DeleteSnapshot"), allow("*")], False),
    ("a denial of something else does not", [allow("*"), deny("ecs:DeleteDisk")], True),
]


@pytest.mark.parametrize(("statements", "allowed"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_decision(statements: list[dict[str, Any]], allowed: bool) -> None:
    parsed = parse(policy(*statements)) if statements else ()
    resource = f"acs:ecs:cn-hangzhou:{ACCOUNT}:snapshot/s-1"
    assert evaluate(parsed, "ecs:DeleteSnapshot", resource).allowed is allowed


CONDITIONS = [
    ({"IpAddress": {"acs:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, True),
    ({"NotIpAddress": {"acs:SourceIp": "127.0.0.0/8"}}, False),
    ({"IpAddress": {"acs:SourceIp": "nonsense"}}, False),
    ({"DateLessThan": {"acs:CurrentTime": "2026-03-02T12:00:00+08:00"}}, True),
    ({"DateGreaterThan": {"acs:CurrentTime": "2026-03-03T00:00:00Z"}}, False),
    ({"Bool": {"acs:SecureTransport": False}}, True),
    ({"Bool": {"acs:SecureTransport": "true"}}, False),
    ({"StringEquals": {"ecs:tag/role": ["db", "app"]}}, True),
    ({"StringNotEquals": {"ecs:tag/role": ["db", "app"]}}, False),
    ({"StringLike": {"ecs:tag/role": "a*"}}, True),
    ({"StringEqualsIgnoreCase": {"ecs:tag/role": "APP"}}, True),
    ({"StringEquals": {"ecs:tag/none": "x"}}, False),
    ({"StringNotEquals": {"ecs:tag/none": "x"}}, True),
    ({"NumericLessThan": {"ecs:tag/n": "10"}}, True),
    ({"NumericGreaterThanEquals": {"ecs:tag/n": 8}}, False),
    ({"StringEquals": {"ecs:tag/role": "app"}, "Bool": {"acs:SecureTransport": "true"}}, False),
]


@pytest.mark.parametrize(("condition", "met"), CONDITIONS, ids=[json.dumps(c) for c, _ in CONDITIONS])
def test_a_condition(condition: dict[str, Any], met: bool) -> None:
    context = {
        "acs:SourceIp": "127.0.0.1",
        "acs:CurrentTime": "2026-03-02T00:00:00Z",
        "acs:SecureTransport": "false",
        "ecs:tag/role": "app",
        "ecs:tag/n": "7",
    }
    decision = evaluate(parse(policy(allow("*", Condition=condition))), "ecs:StopInstance", "*", context)
    assert (decision.allowed, decision.conditional) == (met, True)


# What a call touches ----------------------------------------------------------------------------------------------


def test_every_modelled_operation_has_a_row() -> None:
    missing = [
        f"{VERSIONS[version]}:{action}"
        for version, action in Cloud().home.operations
        if not has_row(VERSIONS[version], action)
    ]
    assert missing == [], "add them to emulator/ram/rows.py"


TOUCHES = [
    ("ecs", "DescribeInstances", {}, ["ecs:instance/*"]),
    ("ecs", "StopInstance", {"InstanceId": "i-1"}, ["ecs:instance/i-1"]),
    ("ecs", "CreateSnapshot", {"DiskId": "d-1"}, ["ecs:disk/d-1", "ecs:snapshot/*"]),
    (
        "ecs",
        "RunInstances",
        {"ImageId": "m-1", "SecurityGroupIds.1": "sg-1", "VSwitchId": "vsw-1", "DataDisk.2.SnapshotId": "s-2",
         "DataDisk.1.Size": "20"},
        ["ecs:instance/*", "ecs:image/m-1", "ecs:securitygroup/sg-1", "vpc:vswitch/vsw-1", "ecs:snapshot/s-2"],
    ),
    (
        "ecs",
        "TagResources",
        {"ResourceType": "snapshot", "ResourceId.1": "s-1", "ResourceId.2": "s-2"},
        ["ecs:snapshot/s-1", "ecs:snapshot/s-2"],
    ),
    (
        "slb",
        "AddBackendServers",
        {"LoadBalancerId": "lb-1", "BackendServers": '[{"ServerId":"i-1"}]'},
        ["slb:loadbalancer/lb-1", "ecs:instance/i-1"],
    ),
    (
        "slb",
        "RemoveBackendServers",
        {"LoadBalancerId": "lb-1", "BackendServers": '["i-1"]'},
        ["slb:loadbalancer/lb-1", "ecs:instance/i-1"],
    ),
    ("ecs", "StopInstances", {"InstanceId.1": "i-1", "InstanceId.3": "i-3"}, ["ecs:instance/i-1", "ecs:instance/i-3"]),
    ("ecs", "AttachInstanceRamRole", {"InstanceIds": ' ["i-1"]'}, ["ecs:instance/i-1"]),
    ("ecs", "ModifyDiskAttribute", {"DiskIds.1": "d-1"}, ["ecs:disk/d-1"]),
    ("ecs", "ModifyDiskAttribute", {}, ["ecs:disk/*"]),
    (
        "ecs",
        "RunInstances",
        {"NetworkInterface.1.SecurityGroupIds.2": "sg-2", "NetworkInterface.1.SecurityGroupId": "sg-1",
         "NetworkInterface.1.VSwitchId": "vsw-1"},
        ["ecs:instance/*", "ecs:securitygroup/sg-1", "ecs:securitygroup/sg-2", "vpc:vswitch/vsw-1"],
    ),
    ("sts", "GetCallerIdentity", {}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "action", "params", "touched"), TOUCHES, ids=[f"{t[1]} {' '.join(t[2])}" for t in TOUCHES]
)
def test_what_a_call_touches(service: str, action: str, params: dict[str, str], touched: list[str]) -> None:
    wanted = [f"acs:{s}:cn-hangzhou:{ACCOUNT}:{rest}" for s, rest in (text.split(":") for text in touched)]
    assert list(resources(Cloud().home, service, action, params)) == wanted


def test_every_row_names_parameters_that_its_operation_reads() -> None:
    strangers = []
    for (version, action), operation in Cloud().home.operations.items():
        for part in ROWS[VERSIONS[version]].get(action, ()):
            name = part.partition("/")[2].rstrip("?")
            if name not in ("", "*") and name not in parameters_of(operation):
                strangers.append((action, name))
    assert strangers == [], "nobody can name that resource: the call is always judged on all of its kind"


def test_a_snapshot_policy_is_judged_where_it_is_whatever_endpoint_was_called() -> None:
    cloud = Cloud()
    cloud.ram.role("r", policy(allow("ecs:*", "acs:ecs:cn-hangzhou:*:*")))
    key = key_of(cloud, "r")
    caller = Caller(account=ACCOUNT, access_key=key.id, role="r")
    for region, allowed in (("cn-hangzhou", True), ("cn-shanghai", False)):
        params = {"regionId": region, "autoSnapshotPolicyId": "sp-1"}
        call = Call(
            version="2014-05-26", action="DeleteAutoSnapshotPolicy", region="cn-hangzhou", params=params, caller=caller
        )
        assert cloud.ram.permits(call, "ecs") is allowed, region


def test_a_role_that_names_nobody_trusts_its_own_account_and_services_only() -> None:
    role = Cloud().ram.role("r", policy(allow("*")))
    assert role.trusts("RAM", names_of(ACCOUNT, None), {})
    assert role.trusts("Service", ("fc.aliyuncs.com",), {})
    assert not role.trusts("RAM", names_of("2000000000000002", None), {})


def test_a_record_is_judged_by_its_zone_and_names_have_no_region() -> None:
    cloud = Cloud()
    zone = cloud.pvtz.add_zone("corp.example", id="z-1")
    record = cloud.pvtz.add_record(zone.id, rr="www", type="A", value="10.0.0.1")
    assert resources(cloud.home, "pvtz", "UpdateZoneRecord", {"RecordId": str(record.id)}) == (
        f"acs:pvtz:*:{ACCOUNT}:zone/z-1",
    )


def test_a_batch_touches_each_of_its_tables() -> None:
    from tablestore.protobuf import table_store_pb2 as pb2

    batch = pb2.BatchWriteRowRequest()
    for name in ("a", "b"):
        batch.tables.add(table_name=name)
    assert list(tables("BatchWriteRow", batch.SerializeToString())) == ["a", "b"]


def test_what_is_about_an_index_touches_its_table() -> None:
    from tablestore.protobuf import search_pb2
    from tablestore.protobuf import table_store_pb2 as pb2

    drop = pb2.DropIndexRequest(main_table_name="a", index_name="by_n")
    assert list(tables("DropIndex", drop.SerializeToString())) == ["a"]
    assert list(tables("ListSearchIndex", search_pb2.ListSearchIndexRequest(table_name="a").SerializeToString())) == [
        "a"
    ]


# Whom it is asked of ----------------------------------------------------------------------------------------------


def key_of(cloud: Cloud, role: str) -> Key:
    return cloud.keys.issue(role)


def may(cloud: Cloud, key: Key, action: str, resource: str = "acs:ecs:cn-hangzhou:1:instance/i-1") -> bool:
    return cloud.ram.decide(key, action, lambda: (resource,))[0].allowed


def test_while_nobody_is_declared_everything_is_allowed_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    cloud = Cloud()
    key = key_of(cloud, "somebody")
    with caplog.at_level("INFO", logger="emulator.ram.model"):
        assert may(cloud, key, "ecs:StopInstance")
        assert may(cloud, key, "ecs:StopInstance")
    assert len([r for r in caplog.records if "not enforced" in r.getMessage()]) == 1


def test_with_the_first_role_declared_the_unknown_are_denied() -> None:
    cloud = Cloud()
    known, unknown = key_of(cloud, "known"), key_of(cloud, "unknown")
    cloud.ram.role("known", policy(allow("ecs:*")))
    assert may(cloud, known, "ecs:StopInstance")
    assert not may(cloud, unknown, "ecs:StopInstance")
    assert may(cloud, cloud.keys.add("root", "s"), "ecs:StopInstance")
    assert may(cloud, cloud.keys.issue("unknown", account="2000000000000002"), "ecs:StopInstance"), "another account"


def test_a_changed_policy_holds_at_once() -> None:
    cloud = Cloud()
    key = key_of(cloud, "r")
    cloud.ram.role("r", policy(allow("ecs:*")))
    assert may(cloud, key, "ecs:StopInstance")
    cloud.ram.role("r", policy(allow("ecs:Describe*")))
    assert not may(cloud, key, "ecs:StopInstance")


def test_a_session_policy_only_takes_away() -> None:
    cloud = Cloud()
    cloud.ram.role("r", policy(allow("ecs:*")))
    session = json.dumps(policy(allow(["ecs:Describe*", "slb:*"])))
    key = cloud.keys.issue("r", policy=session)
    assert may(cloud, key, "ecs:DescribeDisks")
    assert not may(cloud, key, "ecs:StopInstance")
    assert not may(cloud, key, "slb:SetBackendServers")
    decision, _ = cloud.ram.decide(key, "ecs:StopInstance", lambda: ("*",))
    assert decision.policy_type == "SessionPolicy"


def test_what_a_condition_says_of_a_tag_follows_the_tag() -> None:
    cloud = Cloud()
    load_text(SEED, cloud, where="seed", settings={})
    cloud.ram.role("r", policy(allow("ecs:*", Condition={"StringEquals": {"ecs:tag/mine": "yes"}})))
    key, resource = key_of(cloud, "r"), f"acs:ecs:cn-hangzhou:{ACCOUNT}:instance/i-a"
    assert not may(cloud, key, "ecs:StopInstance", resource)
    cloud.ecs.instances["i-a"].tags["mine"] = "yes"
    assert may(cloud, key, "ecs:StopInstance", resource)
    assert not may(cloud, key, "ecs:StopInstance", resource + "-none")


def test_a_destination_is_called_in_the_role_of_its_source() -> None:
    cloud = Cloud()
    target = f"acs:fc:cn-hangzhou:{ACCOUNT}:functions/deadletter"
    assert cloud.ram.may_invoke(None, target), "nothing is enforced yet"
    cloud.ram.role("worker", policy(allow("fc:InvokeFunction", target)))
    assert cloud.ram.may_invoke("worker", target)
    assert not cloud.ram.may_invoke("worker", target + "2")
    assert not cloud.ram.may_invoke("stranger", target)


# Over the wire ----------------------------------------------------------------------------------------------------

SEED = """
zones: [cn-hangzhou-h]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-a}]
images: [{id: m-a, name: a, system_disk_gib: 20}]
instances:
  - {id: i-a, name: a, image: m-a, vswitch: vsw-h, address: 10.0.1.11, type: t, state: Running,
     system_disk: {id: d-a, size_gib: 20, category: cloud_essd}}
load_balancers: [{id: lb-a, name: a, address: 127.0.0.1, listeners: [], backends: []}]
ram:
  fill: {ots: understudy}
  users:
    - name: reader
      access_keys: [{id: READER, secret: s}]
      policies:
        - Version: "1"
          Statement:
            - {Effect: Allow, Action: "ecs:DescribeDisks", Resource: "acs:ecs:@region@:@account@:disk/*"}
            - {Effect: Allow, Action: ["ots:GetRow", "ots:BatchWriteRow"],
               Resource: "acs:ots:@region@:@account@:instance/@ots@/table/open"}
            - {Effect: Allow, Action: "slb:AddBackendServers", Resource: "acs:slb:*:*:loadbalancer/*"}
            - {Effect: Allow, Action: "ecs:RunInstances", Resource: "*"}
  roles:
    - {name: machines, trust: {services: [ecs.aliyuncs.com]}, policies: []}
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("ram") / "seed.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed) as running:
        yield running


def config(local: Local, key: str = "READER") -> Config:
    return Config(access_key_id=key, access_key_secret="s", endpoint=local.host, protocol="http")


def test_a_denied_call_is_told_who_wanted_what(local: Local) -> None:
    with pytest.raises(ClientException) as caught:
        Client(config(local)).delete_disk(models.DeleteDiskRequest(disk_id="d-a"))
    assert (caught.value.status_code, caught.value.code) == (403, "Forbidden.RAM")
    detail = caught.value.access_denied_detail
    assert detail["AuthAction"] == "ecs:DeleteDisk"
    assert (detail["AuthPrincipalType"], detail["NoPermissionType"]) == ("SubUser", "ImplicitDeny")
    assert detail["AuthPrincipalOwnerId"] == ACCOUNT


def test_an_instance_list_is_empty_without_permission_and_other_lists_are_refused(local: Local) -> None:
    ecs = Client(config(local))
    found = ecs.describe_instances(models.DescribeInstancesRequest(region_id="cn-hangzhou")).body
    assert (found.instances.instance, found.total_count) == ([], 0)
    with pytest.raises(ClientException) as caught:
        ecs.describe_snapshots(models.DescribeSnapshotsRequest(region_id="cn-hangzhou"))
    assert caught.value.code == "Forbidden.RAM"
    disks = ecs.describe_disks(models.DescribeDisksRequest(region_id="cn-hangzhou")).body.disks.disk
    assert [disk.disk_id for disk in disks] == ["d-a"]


@pytest.mark.parametrize(
    ("servers", "code"),
    [
        ('[{"ServerId":"i-a","Weight":"100"}]', "Forbidden.RAM"),
        ('  [{"ServerId":"i-a"}]', "Forbidden.RAM"),
        ('[{"ServerId":"i-a","Weight":100,"More":NaN}]', "BackendServersMalformed"),  # what is judged is what is done
        ("[" * 20_000, "BackendServersMalformed"),
    ],
    ids=["plain", "after spaces", "no JSON for one reader", "deep"],
)
def test_a_server_is_added_only_by_who_may_touch_it(local: Local, servers: str, code: str) -> None:
    request = slb_models.AddBackendServersRequest(
        region_id="cn-hangzhou", load_balancer_id="lb-a", backend_servers=servers
    )
    with pytest.raises(ClientException) as caught:
        Slb(config(local)).add_backend_servers(request)
    assert caught.value.code == code


def test_only_who_may_pass_a_role_gives_it_to_a_machine(local: Local) -> None:
    request = models.RunInstancesRequest(
        region_id="cn-hangzhou", image_id="m-a", instance_type="t", v_switch_id="vsw-h", security_group_id="sg-a",
        ram_role_name="machines", dry_run=True,
    )  # fmt: skip
    with pytest.raises(ClientException) as caught:
        Client(config(local)).run_instances(request)
    assert (caught.value.status_code, caught.value.code) == (403, "InvalidUser.PassRoleForbidden")


def test_tablestore_is_open_table_by_table(local: Local) -> None:
    root = sdk.OTSClient(local.url, *local.access_key, local.ots_instance)
    reader = sdk.OTSClient(local.url, "READER", "s", local.ots_instance)
    for name in ("open", "shut"):
        meta = sdk.TableMeta(name, [("k", "STRING")])
        root.create_table(meta, sdk.TableOptions(), sdk.ReservedThroughput(sdk.CapacityUnit(0, 0)))
    assert reader.get_row("open", [("k", "x")], max_version=1)[1] is None

    def batch(*names: str) -> sdk.BatchWriteRowRequest:
        request = sdk.BatchWriteRowRequest()
        for name in names:
            item = sdk.PutRowItem(sdk.Row([("k", "x")], [("v", 1)]), sdk.Condition("IGNORE"))
            request.add(sdk.TableInBatchWriteRowItem(name, [item]))
        return request

    reader.batch_write_row(batch("open"))
    attempts: list[Callable[[], object]] = [
        lambda: reader.get_row("shut", [("k", "x")], max_version=1),
        lambda: reader.put_row("open", sdk.Row([("k", "x")], [])),
        lambda: reader.batch_write_row(batch("open", "shut")),
        lambda: reader.list_table(),
    ]
    for refused in attempts:
        with pytest.raises(sdk.OTSServiceError) as caught:
            refused()
        assert (caught.value.http_status, caught.value.code) == (403, "OTSNoPermissionAccess")
    for client in (root, reader):
        client.connection.pool.clear()


def older_functions_door(cloud: Cloud, key: str, secret: str) -> Caller:
    headers = {"date": format_datetime(datetime.now(UTC), usegmt=True)}
    text = signature.string_to_sign("GET", "/", headers)
    headers["authorization"] = f"FC {key}:{signature.sign(secret, text)}"
    return signature.caller(cloud, method="GET", path="/", headers=headers, source="127.0.0.1")


def test_tablestore_is_shut_to_other_accounts_whatever_they_allow_themselves(local: Local) -> None:
    """Permission on everything is permission on everything of one's own account."""

    def declare() -> None:
        local.cloud.ram.user("stranger", policy(allow("*")), account="2000000000000002")
        local.cloud.keys.add("STRANGER", "s", account="2000000000000002", user="stranger")

    local.run(declare)
    stranger = sdk.OTSClient(local.url, "STRANGER", "s", local.ots_instance)
    with pytest.raises(sdk.OTSServiceError) as caught:
        stranger.list_table()
    assert (caught.value.http_status, caught.value.code) == (403, "OTSNoPermissionAccess")
    stranger.connection.pool.clear()


def test_the_older_functions_door_knows_where_a_call_came_from(local: Local) -> None:
    assert older_functions_door(local.cloud, *local.access_key).source == "127.0.0.1"


def test_no_text_shows_a_secret() -> None:
    key = Cloud().keys.issue("r")
    assert key.token is not None
    assert not {key.secret, key.token} & set(re.split(r"[^A-Za-z0-9]", repr(key)))


def test_a_disabled_key_opens_nothing(local: Local) -> None:
    local.run(lambda: local.cloud.keys.enable("READER", False))
    try:
        with pytest.raises(ClientException) as caught:
            Client(config(local)).describe_disks(models.DescribeDisksRequest(region_id="cn-hangzhou"))
        assert (caught.value.status_code, caught.value.code) == (403, "Forbidden.AccessKeyDisabled")
        reader = sdk.OTSClient(local.url, "READER", "s", local.ots_instance)
        with pytest.raises(sdk.OTSServiceError) as refused:
            reader.get_row("open", [("k", "x")], max_version=1)
        assert (refused.value.http_status, refused.value.code) == (403, "OTSAuthFailed")
        reader.connection.pool.clear()
        with pytest.raises(Refused, match="disabled"):
            older_functions_door(local.cloud, "READER", "s")
    finally:
        local.run(lambda: local.cloud.keys.enable("READER", True))


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"enabled": "no"}'])
def test_a_key_is_switched_by_yes_or_no_only(local: Local, body: bytes) -> None:
    request = urllib.request.Request(f"{local.url}/_emulator/keys/READER", data=body)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=5)


# Declaring them ---------------------------------------------------------------------------------------------------


def test_roles_of_the_command_line_are_filled_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(policy(allow("ots:GetRow", "acs:ots:@region@:@account@:instance/@ots@/table/@table@"))))
    with pytest.raises(SeedError, match="@table@"):
        build_cloud(Options(ram_roles=(("r", (file,)),)))
    cloud = build_cloud(Options(ram_roles=(("r", (file,)),), ram_vars={"table": "t"}))
    resource = f"acs:ots:cn-hangzhou:{ACCOUNT}:instance/understudy/table/t"
    assert may(cloud, key_of(cloud, "r"), "ots:GetRow", resource)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("ram: {rolls: []}", "rolls"),
        ("ram: {roles: [{name: r, polices: []}]}", "polices"),
        ("ram: {roles: [{name: r, policies: [{file: nowhere.json}]}]}", "nowhere.json"),
        ("ram: {roles: [{name: r, policies: [{Version: '1'}]}]}", "Statement"),
    ],
)
def test_a_wrong_section_is_refused_with_the_place(section: str, words: str, tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(section)
    with pytest.raises(SeedError, match=words):
        build_cloud(Options(seed=seed))


def test_keys_can_be_kept_and_brought_back() -> None:
    before, after = Cloud(), Cloud()
    issued = before.keys.issue("r", session="s", policy="{}")
    before.keys.add("A", "B", user="u")
    before.keys.enable("A", False)
    after.keys.restore(json.loads(json.dumps(before.keys.dump())))
    assert after.keys.find(issued.id) == issued
    assert after.keys.find("A") == before.keys.find("A")
