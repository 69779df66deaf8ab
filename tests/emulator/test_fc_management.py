"""What callers can read and change of functions, through the official SDK of API 2023-03-30."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fc2
import pytest
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from emulator.fc.coverage import OPERATIONS, OTHERS
from emulator.testing import Local, mock_aliyun
from tests.emulator.fc_projects import CODE, props, timer, web_trigger, write


def options(tmp_path: Path) -> dict[str, Any]:
    project = write(
        tmp_path / "s.yaml",
        props("probe", asyncInvokeConfig={"asyncTask": True}, triggers=[timer("tick", "@every 1m")]),
        props("plain", concurrencyConfig={"reservedConcurrency": 40}, triggers=[web_trigger("open")]),
        props("spare"),
    )
    return {
        "fc": project,
        "fc_code": (CODE,),
        "fc_env": {"NOTES": str(tmp_path / "notes.jsonl")},
        "fc_workdir": tmp_path / "fc",
    }


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with mock_aliyun(**options(tmp_path)) as opened:
        yield opened


@pytest.fixture
def fc(local: Local) -> Client:
    return client(local)


def client(local: Local) -> Client:
    key = local.access_key
    return Client(Config(access_key_id=key[0], access_key_secret=key[1], endpoint=local.host, protocol="http"))


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(ClientException) as error:
        call()
    return error.value.status_code, error.value.code


def invoke(fc: Client, name: str, body: Any = b"x", **headers: str) -> Any:
    packed = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = models.InvokeFunctionHeaders(common_headers={}, **headers)
    return fc.invoke_function_with_options(name, models.InvokeFunctionRequest(body=packed), told, RuntimeOptions())


def queue(fc: Client, name: str, task: str, body: Any = b"x") -> None:
    assert invoke(fc, name, body, x_fc_invocation_type="Async", x_fc_async_task_id=task).status_code == 202


# -- what the emulator says of itself


def test_every_call_of_the_sdk_is_modelled_or_known_not_to_be() -> None:
    names = {name.removesuffix("_with_options") for name in dir(Client) if name.endswith("_with_options")}
    told = {"".join(part.capitalize() for part in name.split("_")) for name in names}
    assert told <= set(OPERATIONS) | OTHERS
    assert not OTHERS & OPERATIONS.keys()


def test_a_call_that_the_cloud_has_and_the_emulator_has_not_is_told_apart(local: Local, fc: Client) -> None:
    with pytest.raises(ClientException, match="the cloud has ListLayers") as error:
        fc.list_layers(models.ListLayersRequest())
    assert (error.value.status_code, error.value.code) == (400, "PathNotSupported")
    assert refused(lambda: fc.list_aliases("probe", models.ListAliasesRequest())) == (400, "PathNotSupported")
    publish = models.PublishFunctionVersionRequest(body=models.PublishVersionInput())
    assert refused(lambda: fc.publish_function_version("probe", publish)) == (400, "PathNotSupported")


def test_a_parameter_that_is_not_modelled_is_refused(fc: Client) -> None:
    request = models.ListFunctionsRequest(runtime="python3.12")
    assert refused(lambda: fc.list_functions(request)) == (400, "InvalidArgument")
    older = models.GetFunctionRequest(qualifier="1")
    assert refused(lambda: fc.get_function("probe", older)) == (404, "VersionNotFound")


# -- calls


def test_the_tail_of_the_log_comes_with_the_answer(local: Local, fc: Client) -> None:
    answer = invoke(fc, "probe", {"raise": "no luck"}, x_fc_log_type="Tail")
    tail = base64.b64decode(answer.headers["x-fc-log-result"]).decode()
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert "ValueError: no luck" in tail
    assert answer.headers["x-fc-request-id"] in tail
    assert "FC invoke end" in tail
    again = base64.b64decode(invoke(fc, "probe", x_fc_log_type="Tail").headers["x-fc-log-result"]).decode()
    assert "no luck" not in again, "only what this call wrote"
    assert "x-fc-log-result" not in invoke(fc, "probe").headers
    assert refused(lambda: invoke(fc, "probe", x_fc_log_type="All")) == (400, "InvalidArgument")
    old = fc2.Client(endpoint=local.url, accessKeyID="testid", accessKeySecret="testsecret")
    told = old.invoke_function("s", "probe", payload=b"x", headers={"x-fc-log-type": "Tail"})
    assert "FC invoke start" in base64.b64decode(told.headers["x-fc-log-result"]).decode()


def test_a_payload_over_the_limit_is_refused_as_documented(fc: Client) -> None:
    too_much = b"x" * (128 * 1024 + 1)
    assert refused(lambda: invoke(fc, "probe", too_much, x_fc_invocation_type="Async")) == (400, "EntityTooLarge")


def test_a_disabled_function_is_not_called_until_it_is_enabled(local: Local, fc: Client) -> None:
    request = models.DisableFunctionInvocationRequest(reason="drill", abort_ongoing_request=False)
    assert fc.disable_function_invocation("probe", request).body.success is True
    assert refused(lambda: invoke(fc, "probe")) == (403, "AccessDenied")
    assert fc.get_function("probe", models.GetFunctionRequest()).body.invocation_restriction.reason == "drill"
    local.advance(120)
    assert local.run(lambda: [r for r in local.cloud.fc.records if r.outcome == "ok"]) == []  # type: ignore[union-attr]
    assert fc.enable_function_invocation("probe").body.success is True
    assert invoke(fc, "probe").status_code == 200


# -- reserved concurrency


def test_reserved_concurrency_is_set_and_freed(fc: Client) -> None:
    assert fc.get_concurrency_config("plain").body.reserved_concurrency == 40
    assert fc.get_concurrency_config("probe").body.reserved_concurrency is None
    put = models.PutConcurrencyConfigRequest(body=models.PutConcurrencyInput(reserved_concurrency=0))
    assert fc.put_concurrency_config("probe", put).body.reserved_concurrency == 0
    assert refused(lambda: invoke(fc, "probe")) == (429, "ResourceExhausted")
    too_much = models.PutConcurrencyConfigRequest(body=models.PutConcurrencyInput(reserved_concurrency=61))
    assert refused(lambda: fc.put_concurrency_config("probe", too_much)) == (400, "InvalidArgument")
    listed = fc.list_concurrency_configs(models.ListConcurrencyConfigsRequest()).body.configs
    assert [c.reserved_concurrency for c in listed] == [0, 40]
    fc.delete_concurrency_config("probe")
    assert invoke(fc, "probe").status_code == 200


# -- asynchronous calls


def test_asynchronous_settings_are_read_set_and_taken_back(local: Local, fc: Client) -> None:
    get = models.GetAsyncInvokeConfigRequest()
    assert refused(lambda: fc.get_async_invoke_config("plain", get)) == (404, "AsyncConfigNotExists")
    destination = models.DestinationConfig(on_failure=models.Destination(destination=f"acs:fc:x:{1}:functions/spare"))
    wanted = models.PutAsyncInvokeConfigInput(
        max_async_retry_attempts=0, max_async_event_age_in_seconds=60, destination_config=destination
    )
    put = models.PutAsyncInvokeConfigRequest(body=wanted)
    assert fc.put_async_invoke_config("plain", put).body.max_async_retry_attempts == 0
    found = fc.get_async_invoke_config("plain", get).body
    assert (found.async_task, found.max_async_event_age_in_seconds) == (False, 60)
    assert found.destination_config.on_failure.destination.endswith("functions/spare")
    invoke(fc, "plain", {"raise": "no"}, x_fc_invocation_type="Async")
    local.advance(30)
    ran = local.run(lambda: [(r.function, r.outcome) for r in local.cloud.fc.records])  # type: ignore[union-attr]
    assert ("plain", "UnhandledInvocationError") in ran
    assert ran.count(("plain", "UnhandledInvocationError")) == 1, "no retries any more"
    assert ("spare", "ok") in ran
    listed = fc.list_async_invoke_configs(models.ListAsyncInvokeConfigsRequest()).body.configs
    assert len(listed) == 2
    fc.delete_async_invoke_config("plain", models.DeleteAsyncInvokeConfigRequest())
    assert refused(lambda: fc.get_async_invoke_config("plain", get)) == (404, "AsyncConfigNotExists")


@pytest.mark.parametrize(
    "field", [{"max_async_retry_attempts": 9}, {"max_async_event_age_in_seconds": 0}, {"max_async_retry_attempts": -1}]
)
def test_settings_out_of_range_are_refused(fc: Client, field: dict[str, int]) -> None:
    put = models.PutAsyncInvokeConfigRequest(body=models.PutAsyncInvokeConfigInput(**field))
    assert refused(lambda: fc.put_async_invoke_config("probe", put)) == (400, "InvalidArgument")


def test_tasks_are_listed_by_state_prefix_and_time_in_pages(local: Local, fc: Client) -> None:
    for number in range(3):
        queue(fc, "probe", f"a-{number}")
        local.advance(1)
    queue(fc, "probe", "b-0", {"raise": "no"})
    local.advance(1)

    def listed(**query: Any) -> tuple[list[str], str | None]:
        body = fc.list_async_tasks("probe", models.ListAsyncTasksRequest(**query)).body
        return [task.task_id for task in body.tasks], body.next_token

    assert listed() == (["b-0", "a-2", "a-1", "a-0"], None)
    assert listed(sort_order_by_time="asc", limit=3) == (["a-0", "a-1", "a-2"], "b-0")
    assert listed(sort_order_by_time="asc", limit=3, next_token="b-0") == (["b-0"], None)
    assert listed(prefix="b")[0] == ["b-0"]
    assert listed(status="Succeeded", sort_order_by_time="asc")[0] == ["a-0", "a-1", "a-2"]
    second = fc.get_async_task("probe", "a-1", models.GetAsyncTaskRequest()).body
    assert listed(started_time_begin=second.started_time, started_time_end=second.started_time)[0] == ["a-1"]
    assert (second.task_payload, second.already_retried_times) == ("x", 0)
    assert [event.status for event in second.events] == ["Enqueued", "Running", "Succeeded"]
    bare = fc.list_async_tasks("probe", models.ListAsyncTasksRequest(prefix="a-1")).body.tasks[0]
    assert bare.task_payload is None
    for wrong in ({"limit": 0}, {"limit": 101}, {"next_token": "z"}, {"sort_order_by_time": "up"}):
        assert refused(lambda wrong=wrong: listed(**wrong)) == (400, "InvalidArgument")


def test_a_task_that_waits_is_stopped_before_it_runs(local: Local, fc: Client) -> None:
    stop = models.StopAsyncTaskRequest()
    assert refused(lambda: fc.stop_async_task("probe", "no", stop)) == (404, "AsyncTaskNotFound")
    queue(fc, "probe", "t-1", {"raise": "no"})
    local.advance(0.1)
    assert fc.get_async_task("probe", "t-1", models.GetAsyncTaskRequest()).body.status == "Retrying"
    fc.stop_async_task("probe", "t-1", stop)
    local.advance(600)
    task = fc.get_async_task("probe", "t-1", models.GetAsyncTaskRequest()).body
    assert (task.status, task.already_retried_times) == ("Stopped", 0)
    assert refused(lambda: fc.stop_async_task("probe", "t-1", stop)) == (412, "AsyncInvocationStopped")


def test_a_task_that_runs_is_killed_and_not_tried_again(local: Local, fc: Client, tmp_path: Path) -> None:
    queue(fc, "probe", "t-1", {"sleep": 15})
    while not (tmp_path / "notes.jsonl").exists():
        pass
    fc.stop_async_task("probe", "t-1", models.StopAsyncTaskRequest())
    local.advance(60)
    assert fc.get_async_task("probe", "t-1", models.GetAsyncTaskRequest()).body.status == "Stopped"


# -- triggers


def ticks(local: Local) -> list[str]:
    return local.run(lambda: [r.trigger for r in local.cloud.fc.records])  # type: ignore[union-attr]


def test_triggers_come_and_go(local: Local, fc: Client) -> None:
    def create(name: str, kind: str, config: Any) -> Any:
        text = config if isinstance(config, str) else json.dumps(config)
        body = models.CreateTriggerInput(trigger_name=name, trigger_type=kind, trigger_config=text)
        return fc.create_trigger("spare", models.CreateTriggerRequest(body=body)).body

    minute = {"cronExpression": "@every 1m", "enable": True, "payload": "p"}
    for name, kind, wrong in (
        ("t", "timer", {**minute, "cronExpression": "* * * * *"}),
        ("t", "timer", {**minute, "enable": "yes"}),
        ("t", "timer", {**minute, "cronExpression": "0 0 0 31 2 *"}),
        ("t", "timer", {**minute, "cronExpression": f"@every {10**15}m"}),
        ("t", "oss", {}),
        ("t", "http", {"authType": "anonymous", "methods": "GET"}),
        ("t", "timer", "no json"),
        ("", "timer", minute),
    ):
        assert refused(lambda n=name, k=kind, w=wrong: create(n, k, w)) == (400, "InvalidArgument"), wrong
    assert json.loads(create("often", "timer", minute).trigger_config)["payload"] == "p"
    assert refused(lambda: create("often", "timer", minute)) == (409, "TriggerAlreadyExists")
    create("page", "http", {"authType": "anonymous", "methods": ["GET"]})
    listed = fc.list_triggers("spare", models.ListTriggersRequest()).body.triggers
    assert [trigger.trigger_name for trigger in listed] == ["often", "page"]
    local.advance(61)
    assert ticks(local).count("often") == 1
    slower = models.UpdateTriggerInput(trigger_config=json.dumps({"cronExpression": "@every 2m"}))
    fc.update_trigger("spare", "often", models.UpdateTriggerRequest(body=slower))
    local.advance(61)
    assert ticks(local).count("often") == 1
    local.advance(61)
    assert ticks(local).count("often") == 2
    fc.delete_trigger("spare", "often")
    assert refused(lambda: fc.delete_trigger("spare", "often")) == (404, "TriggerNotFound")
    local.advance(600)
    assert ticks(local).count("often") == 2


def test_what_callers_changed_outlives_the_process(tmp_path: Path) -> None:
    kept = {**options(tmp_path), "data": tmp_path / "data"}
    with mock_aliyun(**kept) as local:
        fc = client(local)
        put = models.PutConcurrencyConfigRequest(body=models.PutConcurrencyInput(reserved_concurrency=7))
        fc.put_concurrency_config("probe", put)
        fc.disable_function_invocation("spare", models.DisableFunctionInvocationRequest(reason="r"))
        fc.delete_trigger("probe", "tick")
    with mock_aliyun(**kept) as local:
        fc = client(local)
        assert fc.get_concurrency_config("probe").body.reserved_concurrency == 7
        assert refused(lambda: invoke(fc, "spare")) == (403, "AccessDenied")
        assert fc.list_triggers("probe", models.ListTriggersRequest()).body.triggers == []
