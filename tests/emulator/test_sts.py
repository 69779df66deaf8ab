"""Roles taken on for a while: who may, how long the keys last, what is left of the role, and who one is."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import tablestore as sdk
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ecs20140526.models import DescribeDisksRequest, DescribeZonesRequest
from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

HOME, OTHER = "1000000000000001", "2000000000000002"
MAY_ASSUME = '{Version: "1", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}'
SEED = f"""
region: cn-hangzhou
zones: [cn-hangzhou-h]
vpc: {{id: vpc-a, cidr: "127.${{net}}.0.0/16"}}
vswitches: [{{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${{net}}.1.0/24", gateway: "127.${{net}}.1.1"}}]
security_groups: [{{id: sg-a}}]
images:
  - {{id: m-a, name: a, system_disk_gib: 20, guest: {{command: [sleep, "600"]}}}}
instances:
  - {{id: i-a, name: a, image: m-a, vswitch: vsw-h, address: "127.${{net}}.1.11", type: t, state: Running,
     system_disk: {{id: d-a, size_gib: 20, category: cloud_essd}}}}
ram:
  users:
    - {{name: ann, access_keys: [{{id: ANN, secret: s}}], policies: [{MAY_ASSUME}]}}
    - {{name: bob, access_keys: [{{id: BOB, secret: s}}], policies: [{MAY_ASSUME}]}}
    - {{name: eve, access_keys: [{{id: EVE, secret: s}}]}}
  roles:
    - name: operator
      trust: {{users: [ann, eve]}}
      max_session_seconds: 7200
      policies:
        - {MAY_ASSUME}
        - {{Version: "1", Statement: [{{Effect: Allow, Action: ["ecs:Describe*", "ots:*"], Resource: "*"}}]}}
    - {{name: chained, trust: {{roles: [operator]}}, max_session_seconds: 7200, policies: [{MAY_ASSUME}]}}
    - {{name: partner, trust: {{Version: "1", Statement: [{{Effect: Allow, Action: "sts:AssumeRole",
       Principal: {{RAM: ["acs:ram::{OTHER}:root"]}}, Condition: {{StringEquals: {{"sts:ExternalId": "e-1"}}}}}}]}}}}
    - {{name: machine, trust: {{services: [ecs.aliyuncs.com]}},
       policies: [{{Version: "1", Statement: [{{Effect: Allow, Action: "ecs:Describe*", Resource: "*"}}]}}]}}
    - {{name: function, trust: {{services: [fc.aliyuncs.com]}}}}
elsewhere:
  - account: "{OTHER}"
    ram: {{users: [{{name: zoe, access_keys: [{{id: ZOE, secret: s}}], policies: [{MAY_ASSUME}]}}]}}
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("sts") / "seed.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, settings={"net": str(free_network())}) as running:
        yield running


def config(local: Local, id: str, secret: str = "s", token: str | None = None) -> Config:
    return Config(
        access_key_id=id, access_key_secret=secret, security_token=token, endpoint=local.host, protocol="http"
    )


def of(local: Local, keys: Any) -> Config:
    return config(local, keys.access_key_id, keys.access_key_secret, keys.security_token)


def assume(local: Local, caller: Config, role: str = "operator", **more: Any) -> Any:
    asked = {"role_session_name": "night", **more}
    request = models.AssumeRoleRequest(role_arn=f"acs:ram::{HOME}:role/{role}", **asked)
    return Client(caller).assume_role(request).body


def refused(local: Local, caller: Config, role: str = "operator", **more: Any) -> tuple[int, str]:
    with pytest.raises(ClientException) as caught:
        assume(local, caller, role, **more)
    return caught.value.status_code, caught.value.code


@pytest.mark.parametrize(
    ("caller", "role", "more", "answer"),
    [
        pytest.param("testid", "operator", {}, (403, "NoPermission"), id="an account's own key"),
        pytest.param("EVE", "operator", {}, (403, "NoPermission"), id="trusted, but not permitted"),
        pytest.param("BOB", "operator", {}, (403, "NoPermission"), id="permitted, but not trusted"),
        pytest.param("ANN", "nobody", {}, (404, "EntityNotExist.Role"), id="no such role"),
        pytest.param("ANN", "no body", {}, (400, "InvalidParameter.RoleArn"), id="not an ARN"),
        pytest.param(
            "ANN", "operator", {"role_session_name": "x"}, (400, "InvalidParameter.RoleSessionName"), id="short"
        ),
        pytest.param(
            "ANN", "operator", {"role_session_name": "a b"}, (400, "InvalidParameter.RoleSessionName"), id="odd"
        ),
        pytest.param(
            "ANN", "operator", {"duration_seconds": 899}, (400, "InvalidParameter.DurationSeconds"), id="brief"
        ),
        pytest.param(
            "ANN", "operator", {"duration_seconds": 7201}, (400, "InvalidParameter.DurationSeconds"), id="long"
        ),
        pytest.param("ANN", "operator", {"policy": "{"}, (400, "InvalidParameter.PolicyGrammar"), id="not a policy"),
        pytest.param("ANN", "operator", {"policy": " " * 2049}, (400, "InvalidParameter.PolicySize"), id="a large one"),
        pytest.param("ZOE", "operator", {}, (403, "NoPermission"), id="another account"),
        pytest.param("ZOE", "partner", {}, (403, "NoPermission"), id="without the external id"),
        pytest.param("ZOE", "partner", {"external_id": "e-2"}, (403, "NoPermission"), id="with a wrong one"),
        pytest.param("ANN", "function", {}, (403, "NoPermission"), id="a service's role"),
    ],
)
def test_a_role_is_refused(local: Local, caller: str, role: str, more: dict[str, Any], answer: tuple[int, str]) -> None:
    secret = local.access_key[1] if caller == "testid" else "s"
    assert refused(local, config(local, caller, secret), role, **more) == answer


def test_a_users_key_becomes_the_roles_for_an_hour(local: Local) -> None:
    body = assume(local, config(local, "ANN"))
    assert body.assumed_role_user.assumed_role_id.endswith(":night")
    began = local.run(local.cloud.clock.now)
    assert body.credentials.expiration == f"{began.replace(hour=began.hour + 1):%Y-%m-%dT%H:%M:%SZ}"

    ecs = Ecs(of(local, body.credentials))
    assert ecs.describe_disks(DescribeDisksRequest(region_id="cn-hangzhou")).body.disks.disk[0].disk_id == "d-a"

    local.advance(3600)
    with pytest.raises(ClientException) as caught:
        ecs.describe_disks(DescribeDisksRequest(region_id="cn-hangzhou"))
    assert caught.value.code == "InvalidSecurityToken.Expired"
    store = sdk.OTSClient(
        local.url, body.credentials.access_key_id, body.credentials.access_key_secret, local.ots_instance,
        sts_token=body.credentials.security_token,
    )  # fmt: skip
    with pytest.raises(sdk.OTSServiceError) as expired:
        store.list_table()
    assert (expired.value.http_status, expired.value.code) == (403, "OTSAuthFailed")
    store.connection.pool.clear()


def test_a_session_policy_leaves_only_what_both_allow(local: Local) -> None:
    narrow = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ecs:DescribeZones", "Resource": "*"}]}
    body = assume(local, config(local, "ANN"), policy=json.dumps(narrow))
    ecs = Ecs(of(local, body.credentials))
    assert ecs.describe_zones(DescribeZonesRequest(region_id="cn-hangzhou")).status_code == 200
    with pytest.raises(ClientException) as caught:
        ecs.describe_disks(DescribeDisksRequest(region_id="cn-hangzhou"))
    assert caught.value.code == "Forbidden.RAM"
    assert caught.value.access_denied_detail["PolicyType"] == "SessionPolicy"


def test_a_role_takes_on_another_for_an_hour_at_most(local: Local) -> None:
    operator = of(local, assume(local, config(local, "ANN"), duration_seconds=7200).credentials)
    assert refused(local, operator, "chained", duration_seconds=7200) == (400, "InvalidParameter.DurationSeconds")
    assert assume(local, operator, "chained").credentials.security_token
    assert refused(local, config(local, "ANN"), "chained") == (403, "NoPermission")


def test_another_account_gets_in_with_the_external_id(local: Local) -> None:
    body = assume(local, config(local, "ZOE"), "partner", external_id="e-1")
    identity = Client(of(local, body.credentials)).get_caller_identity().body
    assert (identity.account_id, identity.identity_type) == (HOME, "AssumedRoleUser")


def test_everybody_may_ask_who_they_are(local: Local) -> None:
    def identity(caller: Config) -> dict[str, str]:
        told: dict[str, str] = Client(caller).get_caller_identity().body.to_map()
        return told

    root = identity(config(local, *local.access_key))
    assert (root["IdentityType"], root["Arn"], root["UserId"]) == ("Account", f"acs:ram::{HOME}:root", HOME)
    eve = identity(config(local, "EVE"))
    assert (eve["IdentityType"], eve["Arn"]) == ("RAMUser", f"acs:ram::{HOME}:user/eve")
    night = identity(of(local, assume(local, config(local, "ANN")).credentials))
    assert (night["IdentityType"], night["PrincipalId"]) == ("AssumedRoleUser", f"{night['RoleId']}:night")
    assert "UserId" not in night


# The metadata service ---------------------------------------------------------------------------------------------


def fetch(base: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(base + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_a_machine_gets_the_keys_of_its_role_and_new_ones_in_time(local: Local) -> None:
    local.advance(1)

    def metadata() -> str:
        assert local.cloud.hypervisor is not None
        return local.cloud.hypervisor.guests["i-a"].environment()["GUEST_METADATA"]

    base, instance = local.run(metadata), local.cloud.ecs.instances["i-a"]
    assert fetch(base, "latest/meta-data/instance-id") == (200, "i-a")
    credentials = "latest/meta-data/ram/security-credentials/"
    assert fetch(base, credentials)[0] == 404, "it has no role yet"
    instance.ram_role = "function"
    assert fetch(base, credentials)[0] == 404, "that one does not trust machines"
    instance.ram_role = "machine"
    assert fetch(base, credentials) == (200, "machine")
    assert fetch(base, credentials + "operator")[0] == 404

    first = json.loads(fetch(base, credentials + "machine")[1])
    assert first["Code"] == "Success"
    ecs = Ecs(config(local, first["AccessKeyId"], first["AccessKeySecret"], first["SecurityToken"]))
    assert ecs.describe_disks(DescribeDisksRequest(region_id="cn-hangzhou")).body.disks.disk[0].disk_id == "d-a"
    local.advance(3600)
    assert json.loads(fetch(base, credentials + "machine")[1]) == first
    local.advance(5 * 3600)
    assert json.loads(fetch(base, credentials + "machine")[1])["AccessKeyId"] != first["AccessKeyId"]
