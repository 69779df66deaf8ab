"""Function Compute on the wire: refusals, both invocation paths, HTTP triggers and the admin door."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fc2
import pytest
import requests
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from emulator.fc.http import http_reply
from emulator.fc.queue import Outcome
from emulator.testing import Local, mock_aliyun
from tests.emulator.fc_projects import CODE, props, rule, timer, web_trigger, write


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    project = write(
        tmp_path / "s.yaml",
        props(
            "probe",
            asyncInvokeConfig={"asyncTask": True},
            triggers=[timer("tick", "@every 1m"), rule("failures", {"source": ["acs.ecs"]})],
        ),
        props("page", triggers=[web_trigger("open"), web_trigger("closed", auth="function", methods=("POST",))]),
    )
    environment = {"NOTES": str(tmp_path / "notes.jsonl"), "URL": "{url}/_emulator/clock"}
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env=environment, fc_workdir=tmp_path / "fc") as opened:
        yield opened


def client(local: Local, secret: str = "testsecret") -> Client:
    key = local.access_key[0]
    return Client(Config(access_key_id=key, access_key_secret=secret, endpoint=local.host, protocol="http"))


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(ClientException) as error:
        call()
    return error.value.status_code, error.value.code


def test_a_wrong_signature_is_refused_on_every_path(local: Local) -> None:
    wrong = client(local, "wrong")
    assert refused(lambda: wrong.invoke_function("probe", models.InvokeFunctionRequest()))[1] == "SignatureDoesNotMatch"
    old = fc2.Client(endpoint=local.url, accessKeyID="testid", accessKeySecret="wrong")
    with pytest.raises(fc2.FcError) as error:
        old.invoke_function("any", "probe")
    assert (error.value.status_code, error.value.err_code) == (403, "SignatureNotMatch")
    unsigned = requests.post(f"{local.url}/2023-03-30/functions/probe/invocations", timeout=5)
    assert unsigned.json()["Code"] == "IncompleteSignature"
    older = requests.post(f"{local.url}/2016-08-15/services/s/functions/probe/invocations", timeout=5)
    assert (older.status_code, older.json()["ErrorCode"]) == (401, "Unauthorized")


def test_what_is_not_there_is_not_found(local: Local) -> None:
    fc = client(local)
    request = models.InvokeFunctionRequest()
    assert refused(lambda: fc.invoke_function("nobody", request)) == (404, "FunctionNotFound")
    assert refused(lambda: fc.get_trigger("probe", "no")) == (404, "TriggerNotFound")
    assert refused(lambda: fc.get_async_task("probe", "no", models.GetAsyncTaskRequest())) == (404, "AsyncTaskNotFound")
    assert refused(lambda: fc.list_layers(models.ListLayersRequest())) == (400, "PathNotSupported")
    odd = models.InvokeFunctionRequest(qualifier="v7")
    assert refused(lambda: fc.invoke_function("probe", odd)) == (404, "VersionNotFound")


def test_a_denied_role_is_forbidden(local: Local) -> None:
    local.run(lambda: local.cloud.ram.deny(None, "fc:InvokeFunction"))
    fc = client(local)
    assert refused(lambda: fc.invoke_function("probe", models.InvokeFunctionRequest()))[0] == 403


def test_a_function_error_is_a_200_that_only_a_header_gives_away(local: Local) -> None:
    answer = client(local).invoke_function("probe", models.InvokeFunctionRequest(body=b'{"raise": "no"}'))
    assert answer.status_code == 200
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert json.loads(answer.body.read())["errorMessage"] == "no"


def test_a_service_of_the_older_kind_reaches_the_same_functions(local: Local) -> None:
    old = fc2.Client(endpoint=local.url, accessKeyID="testid", accessKeySecret="testsecret")
    answer = old.invoke_function("any.LATEST", "probe", payload=b"over there")
    assert json.loads(answer.data)["event"] == "over there"
    queued = old.invoke_function("any", "probe", payload=b"x", headers={"x-fc-invocation-type": "Async"})
    assert queued.data == b""
    with pytest.raises(fc2.FcError) as error:
        old.invoke_function("any", "probe", payload=b'{"raise": "no"}')
    assert error.value.status_code == 200


def test_functions_triggers_and_tasks_can_be_read(local: Local) -> None:
    fc = client(local)
    listed = fc.list_functions(models.ListFunctionsRequest(prefix="p")).body.functions
    assert [f.function_name for f in listed] == ["probe", "page"]
    assert fc.get_function("probe", models.GetFunctionRequest()).body.timeout == 20
    headers = models.InvokeFunctionHeaders(x_fc_invocation_type="Async", x_fc_async_task_id="t-1", common_headers={})
    sent = fc.invoke_function_with_options("probe", models.InvokeFunctionRequest(body=b"x"), headers, RuntimeOptions())
    assert sent.status_code == 202
    local.advance(1)
    assert fc.get_async_task("probe", "t-1", models.GetAsyncTaskRequest()).body.status == "Succeeded"
    assert len(fc.list_async_tasks("probe", models.ListAsyncTasksRequest()).body.tasks) == 1


def test_a_trigger_can_be_switched_off_by_the_official_call(local: Local) -> None:
    fc = client(local)
    off = models.UpdateTriggerInput(trigger_config=json.dumps({"cronExpression": "@every 1m", "enable": False}))
    fc.update_trigger("probe", "tick", models.UpdateTriggerRequest(body=off))
    assert json.loads(fc.get_trigger("probe", "tick").body.trigger_config)["enable"] is False
    local.advance(180)
    assert admin(local, "invocations", function="probe")["invocations"] == []


def test_a_web_trigger_maps_the_request_to_an_event(local: Local) -> None:
    url = f"{local.url}/_fc/http/page/open/cms/hook?token=t"
    form = requests.post(url, data={"alertName": "cpu"}, headers={"user-agent": "cms"}, timeout=10)
    event = json.loads(form.json()["event"])
    assert event["version"] == "v1"
    assert event["rawPath"] == "/cms/hook"
    assert event["queryParameters"] == {"token": "t"}
    assert event["isBase64Encoded"] is True  # form bodies arrive encoded
    assert base64.b64decode(event["body"]) == b"alertName=cpu"
    assert event["headers"]["User-Agent"] == "cms"
    assert event["requestContext"]["http"]["method"] == "POST"
    plain = json.loads(requests.post(url, json={"a": 1}, timeout=10).json()["event"])
    assert (plain["isBase64Encoded"], json.loads(plain["body"])) == (False, {"a": 1})


def test_a_web_answer_is_mapped_back() -> None:
    encoded = base64.b64encode(b"\x00\x01").decode()
    reply = {"statusCode": 418, "headers": {"X-Tea": "green"}, "isBase64Encoded": True, "body": encoded}
    mapped = http_reply(Outcome(body=json.dumps(reply).encode(), error=None, seconds=0))
    assert (mapped.status, mapped.body, mapped.headers["X-Tea"]) == (418, b"\x00\x01", "green")
    assert http_reply(Outcome(body=b"just text", error=None, seconds=0)).body == b"just text"
    assert http_reply(Outcome(body=b"{}", error="UnhandledInvocationError", seconds=0)).status == 500


def test_only_what_the_trigger_says_is_open_to_everybody(local: Local) -> None:
    closed = requests.post(f"{local.url}/_fc/http/page/closed", timeout=5)
    assert closed.json()["Code"] == "IncompleteSignature"
    assert requests.get(f"{local.url}/_fc/http/page/closed", timeout=5).status_code == 405
    assert requests.get(f"{local.url}/_fc/http/probe/tick", timeout=5).status_code == 404


def admin(local: Local, what: str, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{local.url}/_emulator/fc/{what}", params=query, timeout=5).json()
    return answer


def test_the_admin_door_lists_switches_breaks_and_kills(local: Local) -> None:
    base = f"{local.url}/_emulator/fc"
    assert requests.post(f"{base}/probe/triggers/no", json={"enable": False}, timeout=5).status_code == 404
    assert requests.post(f"{base}/faults", json={"kind": "odd"}, timeout=5).status_code == 400
    requests.post(f"{base}/faults", json={"kind": "twice", "function": "probe"}, timeout=5)
    local.advance(61)
    ran = admin(local, "invocations", function="probe")["invocations"]
    assert [(r["trigger"], r["outcome"]) for r in ran] == [("tick", "ok")] * 2
    assert ran[0]["request_id"] == ran[1]["request_id"]
    assert ran[0]["at"] == "2026-03-02T00:01:00+00:00"
    assert requests.post(f"{base}/probe/triggers/tick", json={"enable": False}, timeout=5).status_code == 200
    functions = {f["name"]: f for f in admin(local, "functions")["functions"]}
    assert functions["probe"]["triggers"][0] == {"name": "tick", "type": "timer", "enabled": False}
    count = len(functions["probe"]["instances"])
    assert requests.post(f"{base}/kill", json={"function": "probe"}, timeout=5).json() == {"killed": count}
    assert requests.post(f"{base}/kill", json={"random": True}, timeout=5).json() == {"killed": None}


def test_the_emulators_address_reaches_the_functions(local: Local) -> None:
    answer = client(local).invoke_function("probe", models.InvokeFunctionRequest())
    assert json.loads(answer.body.read())["env"]["URL"] == f"{local.url}/_emulator/clock"


def test_calls_are_in_the_request_log_under_their_action(local: Local) -> None:
    client(local).invoke_function("probe", models.InvokeFunctionRequest())
    assert local.run(lambda: [e.action for e in local.cloud.requests.entries]) == ["InvokeFunction"]


def test_an_emulator_without_functions_says_so() -> None:
    with mock_aliyun() as local:
        fc = client(local)
        assert refused(lambda: fc.invoke_function("probe", models.InvokeFunctionRequest()))[0] == 404
        assert requests.get(f"{local.url}/_emulator/fc/functions", timeout=5).status_code == 404
