"""Signatures, freshness and refusals at the HTTP door."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPConnection

import pytest

from emulator.cloud import Cloud
from emulator.testing import Local
from emulator.wire import acs3, params, v1
from emulator.wire.call import ApiError
from emulator.wire.callers import Callers
from emulator.wire.declare import pattern

NOW = datetime(2026, 11, 22, 8, 7, 30, tzinfo=UTC)

CAPTURED = {
    "accept": "application/json",
    "host": "127.0.0.1:35369",
    "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
    "x-acs-action": "CreateSnapshot",
    "x-acs-content-sha256": sha256(b"").hexdigest(),
    "x-acs-credentials-provider": "static_ak",
    "x-acs-date": "2026-11-22T08:07:27Z",
    "x-acs-signature-nonce": "268319a7242e8af1bcf7c2939fa460e8",
    "x-acs-version": "2014-05-26",
}
CAPTURED_QUERY = "ClientToken=t1&DiskId=d-1&RetentionDays=7&SnapshotName=a+b&Tag.1.Key=k&Tag.1.Value=v"


def signed(
    headers: dict[str, str], *, query: str = "", secret: str = "testsecret", key: str = "testid"
) -> dict[str, str]:
    canonical = acs3.canonical_request("POST", "/", acs3.parse_query(query), headers, headers, b"")
    names = ";".join(sorted(headers))
    signature = acs3.sign(secret, canonical)
    return {
        **headers,
        "authorization": f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}",
    }


def judge(callers: Callers, headers: dict[str, str], query: str = "") -> str:
    """The caller's role or key, or the code of the refusal."""
    try:
        caller = callers.from_acs3(method="POST", path="/", query=acs3.parse_query(query), headers=headers, body=b"")
    except ApiError as error:
        return error.code
    return caller.role or caller.access_key


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud()
    cloud.keys.add("testid", "testsecret")
    return cloud


@pytest.fixture
def callers(cloud: Cloud) -> Callers:
    return Callers(cloud, real_clock=lambda: NOW)


# Golden values ------------------------------------------------------------------------------------------------------


def test_the_captured_call_has_the_captured_canonical_request() -> None:
    canonical = acs3.canonical_request("POST", "/", acs3.parse_query(CAPTURED_QUERY), CAPTURED, CAPTURED, b"")

    assert sha256(canonical.encode()).hexdigest() == "2732357d06bd1fad7f680648c77373c149f2ad6c8fdc5b67637cb274414acb7c"
    assert acs3.sign("testsecret", canonical).startswith("169c5e43")


def test_the_documented_acs3_vector() -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = [("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"), ("RegionId", "cn-shanghai")]

    canonical = acs3.canonical_request("POST", "/", query, headers, headers, b"")

    assert acs3.sign("YourAccessKeySecret", canonical) == (
        "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


V1_PARAMETERS = {
    "Timestamp": "2016-02-23T12:46:24Z",
    "Format": "XML",
    "AccessKeyId": "testid",
    "Action": "DescribeRegions",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
    "Version": "2014-05-26",
    "SignatureVersion": "1.0",
}


def test_the_documented_v1_vector() -> None:
    assert v1.sign("testsecret", "GET", V1_PARAMETERS) == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


def test_a_plus_sign_in_a_v1_signature_survives_a_careless_client(cloud: Cloud) -> None:
    callers = Callers(cloud, real_clock=lambda: datetime(2016, 2, 23, 12, 47, tzinfo=UTC))

    caller = callers.from_v1(method="GET", params={**V1_PARAMETERS, "Signature": "OLeaidS1JvxuMvnyHOwuJ uX5qY="})

    assert caller.access_key == "testid"


# Who may come in ----------------------------------------------------------------------------------------------------


def test_a_signed_call_is_believed_once(callers: Callers) -> None:
    headers = signed(CAPTURED, query=CAPTURED_QUERY)

    assert judge(callers, headers, CAPTURED_QUERY) == "testid"
    assert judge(callers, headers, CAPTURED_QUERY) == "SignatureNonceUsed"


def test_a_changed_parameter_breaks_the_signature(callers: Callers) -> None:
    headers = signed(CAPTURED, query=CAPTURED_QUERY)

    assert judge(callers, headers, CAPTURED_QUERY.replace("d-1", "d-2")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param(CAPTURED, "IncompleteSignature", id="unsigned"),
        pytest.param(signed(CAPTURED, key="nobody"), "InvalidAccessKeyId.NotFound", id="unknown key"),
        pytest.param(signed(CAPTURED, secret="wrong"), "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param(
            signed({**CAPTURED, "x-acs-date": "2026-11-22T07:52:29Z"}), "InvalidTimeStamp.Expired", id="a slow clock"
        ),
        pytest.param(
            signed({**CAPTURED, "x-acs-date": "2026-11-22T08:22:31Z"}), "InvalidTimeStamp.Expired", id="a fast clock"
        ),
        pytest.param(signed({**CAPTURED, "x-acs-date": "today"}), "InvalidTimeStamp.Format", id="no time"),
        pytest.param(
            {**signed({k: v for k, v in CAPTURED.items() if k != "x-acs-date"}), "x-acs-date": CAPTURED["x-acs-date"]},
            "IncompleteSignature",
            id="a date that is not signed",
        ),
    ],
)
def test_who_is_refused(callers: Callers, headers: dict[str, str], code: str) -> None:
    assert judge(callers, headers) == code


def test_temporary_keys_need_their_token_and_end_on_the_emulated_clock(cloud: Cloud, callers: Callers) -> None:
    key = cloud.keys.issue("understudy-backup", lifetime=timedelta(hours=1))

    def ask(nonce: str, token: str | None) -> str:
        headers = {**CAPTURED, "x-acs-signature-nonce": nonce}
        if token is not None:
            headers["x-acs-security-token"] = token
        return judge(callers, signed(headers, secret=key.secret, key=key.id))

    assert key.token is not None
    assert ask("n1", None) == "MissingSecurityToken"
    assert ask("n2", "other") == "InvalidSecurityToken.MismatchWithAccessKey"
    assert ask("n3", key.token) == "understudy-backup"
    cloud.clock.advance(timedelta(hours=1))
    assert ask("n4", key.token) == "InvalidSecurityToken.Expired"


# Parameters ---------------------------------------------------------------------------------------------------------


def test_flat_parameters_become_lists_and_objects_in_the_order_of_their_numbers() -> None:
    flat = {"Id.10": "j", "Id.2": "b", "Id.1": "a", "Tag.2.Key": "k2", "Tag.1.Key": "k1", "Tag.1.Value": ""}

    assert params.list_of(flat, "Id") == ["a", "b", "j"]
    assert params.objects(flat, "Tag") == [{"Key": "k1", "Value": ""}, {"Key": "k2"}]


@pytest.mark.parametrize(("text", "value"), [("True", True), ("true", True), ("FALSE", False), ("", None)])
def test_booleans_are_read_without_regard_to_case(text: str, value: bool | None) -> None:
    assert params.boolean({"Force": text}, "Force") is value


def test_an_empty_json_array_is_not_an_absent_one() -> None:
    assert params.json_list({"Ids": "[]"}, "Ids") == []
    assert params.json_list({}, "Ids") is None


@pytest.mark.parametrize("text", ["d-1", '{"a": 1}', "[1"])
def test_what_is_not_a_json_array_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="JSON array"):
        params.json_list({"DiskIds": text}, "DiskIds")


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ApiError, match=r"MissingParameter.*DiskId"):
        params.required({"DiskId": ""}, "DiskId")


def test_numbers_in_names_stand_for_any_number() -> None:
    assert pattern("DataDisk.12.SnapshotId") == "DataDisk.N.SnapshotId"


# The door itself ----------------------------------------------------------------------------------------------------


def ask(local: Local, action: str, query: str, *, nonce: str, method: str = "POST") -> tuple[int, dict[str, object]]:
    real = datetime.now(UTC)
    headers = {
        "host": local.host,
        "x-acs-action": action,
        "x-acs-version": "2014-05-26",
        "x-acs-date": real.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
    }
    canonical = acs3.canonical_request(method, "/", acs3.parse_query(query), headers, headers, b"")
    signature = acs3.sign("testsecret", canonical)
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
    )
    connection = HTTPConnection(local.host, timeout=10)
    try:
        connection.request(method, "/?" + query, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_success_carries_a_request_id(local: Local) -> None:
    status, body = ask(local, "DescribeRegions", "", nonce="r1")

    assert status == 200
    assert len(str(body["RequestId"])) == 36


def test_get_is_answered_too(local: Local) -> None:
    assert ask(local, "DescribeRegions", "", nonce="r2", method="GET")[0] == 200


def test_an_action_that_is_not_modelled_says_so(local: Local) -> None:
    status, body = ask(local, "MakeCoffee", "", nonce="r3")

    assert status == 404
    assert body["Code"] == "InvalidAction.NotFound"
    assert "knows no action 'MakeCoffee'" in str(body["Message"])
    assert set(body) == {"Code", "Message", "RequestId", "HostId", "Recommend"}


def test_an_action_that_the_cloud_has_and_the_emulator_has_not_is_told_apart(local: Local) -> None:
    _, body = ask(local, "CreateLaunchTemplate", "", nonce="r3b")

    assert body["Code"] == "InvalidAction.NotFound"
    assert "The cloud has it, but the emulator does not model" in str(body["Message"])


def test_a_parameter_that_nobody_knows_is_told_apart_from_one_that_is_not_modelled(local: Local) -> None:
    status, body = ask(local, "CreateSnapshot", "DiskId=d-1&StorageLocatoinArn=x", nonce="r4b")

    assert (status, body["Code"]) == (400, "UnsupportedParameter")
    assert "knows no parameter StorageLocatoinArn" in str(body["Message"])


def test_a_parameter_that_is_not_modelled_is_refused_before_any_effect(local: Local) -> None:
    status, body = ask(local, "CreateSnapshot", "DiskId=d-1&StorageLocationArn=x", nonce="r4")

    assert (status, body["Code"]) == (400, "UnsupportedParameter")
    assert "StorageLocationArn of CreateSnapshot" in str(body["Message"])


def test_a_region_that_does_not_exist_is_not_found(local: Local) -> None:
    assert ask(local, "DescribeZones", "RegionId=cn-atlantis", nonce="r5")[1]["Code"] == "InvalidRegionId.NotFound"


@pytest.mark.parametrize(
    ("action", "query"), [("DescribeDisks", ""), ("CopySnapshot", "SnapshotId=s-1&RegionId="), ("TagResources", "")]
)
def test_who_leaves_out_the_region_where_it_is_mandatory_is_told(local: Local, action: str, query: str) -> None:
    status, body = ask(local, action, query, nonce=f"region-{action}")
    assert (status, body["Code"]) == (400, "MissingParameter")
    assert "RegionId" in str(body["Message"])


def test_where_an_action_takes_no_region_the_endpoint_decides(local: Local) -> None:
    assert ask(local, "DescribeRegions", "", nonce="no-region-1")[0] == 200
    assert ask(local, "DeleteDisk", "DiskId=d-0", nonce="no-region-2")[1]["Code"] == "InvalidDiskId.NotFound"


def test_a_role_without_permission_is_refused_but_an_instance_list_is_just_empty(local: Local) -> None:
    local.cloud.ram.deny(None, "ecs:Describe*")
    try:
        status, body = ask(local, "DescribeDisks", "RegionId=cn-hangzhou", nonce="r6")
        assert (status, body["Code"]) == (403, "Forbidden.RAM")
        status, body = ask(local, "DescribeInstances", "RegionId=cn-hangzhou", nonce="r7")
        assert (status, body["Instances"]) == (200, {"Instance": []})
    finally:
        local.cloud.ram.allow_again(None)


def test_one_connection_serves_many_calls_without_delay(local: Local) -> None:
    connection = HTTPConnection(local.host, timeout=10)
    try:
        for _ in range(3):
            connection.request("GET", "/_emulator/clock")
            answer = connection.getresponse()
            answer.read()
            assert answer.version == 11
            assert not answer.will_close
    finally:
        connection.close()


def test_every_call_is_in_the_log(local: Local) -> None:
    ask(local, "DescribeZones", "RegionId=cn-hangzhou", nonce="r8")

    last = local.cloud.requests.entries[-1]
    assert (last.service, last.action, last.caller, last.status) == ("ecs", "DescribeZones", "testid", 200)
