"""Cloud Assistant: an accepted command is not a command that ran, and one that ran is not one that succeeded."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

from emulator.ecs.assistant import Answer, Errand
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD, Stage

HERE = "cn-hangzhou"


class Guests(Stage):
    def send(self, text: str, *instances: str, **more: object) -> str:
        ids = {f"InstanceId.{number + 1}": one for number, one in enumerate(instances or ("i-app",))}
        given = {"Type": "RunShellScript", "CommandContent": text, **ids, **more}
        return str(self.ask("RunCommand", given)["InvokeId"])

    def result(self, invocation: str, instance: str = "i-app", **more: object) -> dict[str, Any]:
        found = self.ask("DescribeInvocationResults", {"InvokeId": invocation, "InstanceId": instance, **more})
        [one] = found["Invocation"]["InvocationResults"]["InvocationResult"]
        return dict(one)

    def outcome(self, invocation: str, instance: str = "i-app") -> tuple[str, int, str]:
        one = self.result(invocation, instance)
        return one["InvocationStatus"], one["ExitCode"], one["ErrorCode"]

    def overall(self, invocation: str) -> tuple[str, str]:
        [one] = self.ask("DescribeInvocations", InvokeId=invocation)["Invocations"]["Invocation"]
        return one["InvocationStatus"], one["InvokeStatus"]


@pytest.fixture
def stage() -> Guests:
    return Guests()


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_command_to_a_stopped_machine_is_accepted_and_aborted(stage: Guests) -> None:
    sent = stage.send("true", "i-old")
    assert stage.outcome(sent, "i-old")[0] == "Pending"
    stage.advance(3)

    assert stage.outcome(sent, "i-old") == ("Aborted", 0, "InstanceNotRunning")
    assert stage.result(sent, "i-old")["InvokeRecordStatus"] == "Failed"


def test_a_machine_in_a_dark_zone_keeps_a_command_pending_for_a_minute(stage: Guests) -> None:
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    sent = stage.send("true")
    stage.advance(59)
    assert stage.outcome(sent)[0] == "Pending"
    stage.advance(2)
    assert stage.outcome(sent) == ("Aborted", 0, "DeliveryTimeout")


def test_a_guest_that_hangs_takes_no_command_until_it_is_well_again(stage: Guests) -> None:
    stage.ecs.assistant.silence("i-app")
    lost, late = stage.send("true"), stage.send("true")
    stage.advance(61)
    assert stage.outcome(lost) == ("Aborted", 0, "ClientNotRunning")

    late = stage.send("true")
    stage.advance(30)
    stage.ecs.assistant.silence("i-app", silent=False)
    stage.advance(10)
    assert stage.outcome(late)[0] == "Success"


def test_a_failed_command_reads_finished_in_the_old_word(stage: Guests) -> None:
    stage.ecs.assistant.behave("mysqldump", Answer(exit_code=3, output="no such database"))
    sent = stage.send("mysqldump shop")
    stage.advance(5)

    assert stage.outcome(sent) == ("Failed", 3, "ExitCodeNonzero")
    shown = stage.result(sent)
    assert shown["InvokeRecordStatus"] == "Finished"
    assert b64decode(shown["Output"]) == b"no such database"
    assert stage.result(sent, ContentEncoding="PlainText")["Output"] == "no such database"
    assert stage.overall(sent) == ("Failed", "Finished")


def test_a_command_that_takes_too_long_times_out_after_a_minute_or_what_was_said(stage: Guests) -> None:
    stage.ecs.assistant.behave("slow", Answer(seconds=100))
    default, patient, brief = stage.send("slow"), stage.send("slow", Timeout=200), stage.send("slow", Timeout=1)
    stage.advance(13)
    assert stage.outcome(brief)[0] == "Timeout"  # less than ten seconds is taken for ten
    stage.advance(50)
    assert stage.outcome(default) == ("Timeout", 0, "ExecutionTimeout")
    assert stage.result(default)["InvokeRecordStatus"] == "Failed"
    stage.advance(60)
    assert stage.outcome(patient)[0] == "Success"


def test_a_machine_that_goes_off_takes_its_command_with_it(stage: Guests) -> None:
    stage.ecs.assistant.behave("slow", Answer(seconds=50))
    sent = stage.send("slow")
    stage.advance(5)
    stage.ask("StopInstance", InstanceId="i-app")
    assert stage.outcome(sent) == ("Error", 0, "ExecutionInterrupted")

    stage.advance(60)
    stage.ask("StartInstance", InstanceId="i-app")
    stage.advance(60)
    sent = stage.send("slow")
    stage.advance(5)
    stage.ask("DeleteInstance", InstanceId="i-app", Force="true")
    assert stage.outcome(sent) == ("Error", 0, "InstanceReleased")


def test_a_command_that_runs_when_its_zone_falls_dark_is_heard_of_afterwards(stage: Guests) -> None:
    stage.ecs.assistant.behave("slow", Answer(seconds=20, output="done"))
    sent = stage.send("slow")
    stage.advance(5)
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.advance(600)
    assert stage.outcome(sent)[0] == "Running"
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    assert stage.outcome(sent)[0] == "Success"


REFUSALS: list[tuple[dict[str, object], tuple[int, str]]] = [
    ({"InstanceId.1": "i-none"}, (404, "InvalidInstance.NotFound")),
    ({"InstanceId.1": ""}, (404, "InvalidInstance.NotFound")),
    ({f"InstanceId.{n}": "i-app" for n in range(1, 102)}, (403, "InstanceIds.ExceedLimit")),
    ({"CommandContent": "x" * 18_433}, (403, "CmdContent.ExceedLimit")),  # 24,580 bytes in Base64
    ({"CommandContent": "%%%", "ContentEncoding": "Base64"}, (400, "CmdContent.DecodeError")),
    ({"Type": "RunPythonScript"}, (403, "InvalidCmdType.NotFound")),
    ({"Type": "RunPowerShellScript"}, (400, "InvalidInstance.NotMatch")),
    ({"Name": "n" * 129}, (403, "CmdName.ExceedLimit")),
    ({"Description": "n" * 513}, (403, "CmdDesc.ExceedLimit")),
    ({"WorkingDir": "/" * 201}, (400, "InvalidParameter.WorkingDir")),
    ({"Username": "u" * 256}, (403, "Username.ExceedLimit")),
    ({"Timeout": 0}, (400, "InvalidParameter")),
    ({"Parameters": "[]"}, (400, "InvalidParameter.Parameters")),
    ({"Parameters": '{"a": 1}'}, (400, "Parameter.Disabled")),
    ({"Parameters": '{"b": 1}', "EnableParameter": "true", "CommandContent": "{{a}}"}, (403, "Parameter.NotMatched")),
    ({"RepeatMode": "Sometimes"}, (404, "InvalidRepeatMode.NotFound")),
    ({"RepeatMode": "EveryReboot"}, (400, "UnsupportedParameter")),
    ({"TerminationMode": "Gently"}, (404, "InvalidTerminationMode.NotFound")),
    ({"ResourceTag.1.Key": "role"}, (400, "InvalidResourceTag.ConflictWithInstanceIds")),
    ({"ClientToken": "x" * 65}, (403, "InvalidClientToken.Malformed")),
    ({"Frequency": "rate(5m)"}, (400, "UnsupportedParameter")),
]


@pytest.mark.parametrize(("given", "expected"), REFUSALS, ids=[code for _, (_, code) in REFUSALS])
def test_a_wrong_command_is_refused(stage: Guests, given: dict[str, object], expected: tuple[int, str]) -> None:
    base = {"Type": "RunShellScript", "CommandContent": "true", "InstanceId.1": "i-app"}
    assert stage.refusal("RunCommand", {**base, **given}) == expected


def test_nobody_to_send_to_is_refused(stage: Guests) -> None:
    base = {"Type": "RunShellScript", "CommandContent": "true"}
    assert stage.refusal("RunCommand", base) == (400, "MissingParam.InstanceId")
    assert stage.refusal("RunCommand", {**base, "ResourceTag.1.Key": "role", "ResourceTag.1.Value": "none"}) == (
        400,
        "InvalidResourceTag.InstanceNotFound",
    )
    assert stage.refusal("InvokeCommand", {"CommandId": "c-none", "InstanceId.1": "i-app"}) == (
        404,
        "InvalidCmdId.NotFound",
    )
    assert stage.refusal("StopInvocation", InvokeId="t-none") == (404, "InvalidInvokeId.NotFound")


# What goes well -------------------------------------------------------------------------------------------------------


def test_a_command_without_a_behaviour_succeeds_without_output(stage: Guests) -> None:
    sent = stage.send("sync")
    stage.advance(5)
    assert stage.outcome(sent) == ("Success", 0, "")
    assert stage.result(sent)["Output"] == ""
    assert stage.overall(sent) == ("Success", "Finished")


def test_the_same_token_sends_once(stage: Guests) -> None:
    first = stage.send("true", ClientToken="once")
    assert stage.send("true", ClientToken="once") == first
    assert stage.refusal(
        "RunCommand", {"Type": "RunShellScript", "CommandContent": "false", "InstanceId.1": "i-app"}, ClientToken="once"
    ) == (403, "IdempotentParameterMismatch")
    stage.advance(5)
    [agent] = stage.ask("DescribeCloudAssistantStatus", {"InstanceId.1": "i-app"})["InstanceCloudAssistantStatusSet"][
        "InstanceCloudAssistantStatus"
    ]
    assert agent["InvocationCount"] == 1


def test_parameters_and_built_in_values_fill_the_text(stage: Guests) -> None:
    seen: list[Errand] = []

    def note(errand: Errand) -> Answer:
        seen.append(errand)
        return Answer()

    stage.ecs.assistant.behave("^mount", note)
    text = "mount {{ Disk }} {{ACS::InstanceId}}"
    stage.send(text, EnableParameter="true", Parameters='{"disk": "/dev/vdb"}', Username="app", WorkingDir="/srv")
    stage.advance(5)

    [errand] = seen
    assert errand.text == "mount /dev/vdb i-app"
    assert (errand.username, errand.working_dir, errand.timeout) == ("app", "/srv", 60)


def test_a_stored_command_is_base64_unless_it_says_otherwise(stage: Guests) -> None:
    given = {"Name": "freeze", "Type": "RunShellScript"}
    assert stage.refusal("CreateCommand", {**given, "CommandContent": "fsfreeze -f /"}) == (
        400,
        "CmdContent.DecodeError",
    )
    content = b64encode(b"fsfreeze -f /").decode()
    made = stage.ask("CreateCommand", {**given, "CommandContent": content})["CommandId"]
    [shown] = stage.ask("DescribeCommands", ContentEncoding="PlainText")["Commands"]["Command"]
    assert (shown["CommandId"], shown["CommandContent"]) == (made, "fsfreeze -f /")

    sent = stage.ask("InvokeCommand", {"CommandId": made, "InstanceId.1": "i-app"})["InvokeId"]
    stage.ask("DeleteCommand", CommandId=made)
    stage.advance(5)
    assert stage.outcome(sent)[0] == "Success"
    assert stage.refusal("DeleteCommand", CommandId=made) == (404, "InvalidCmdId.NotFound")


def test_runcommand_keeps_its_command_only_when_asked(stage: Guests) -> None:
    stage.send("true")
    stage.send("true", KeepCommand="true", Name="kept")
    assert [c["Name"] for c in stage.ask("DescribeCommands")["Commands"]["Command"]] == ["kept"]


def test_what_waits_is_cancelled_and_what_runs_is_terminated(stage: Guests) -> None:
    stage.ecs.assistant.behave("slow", Answer(seconds=50))
    stage.ask("StartInstance", InstanceId="i-old")
    stage.advance(60)
    stage.ecs.assistant.silence("i-old")
    sent = stage.send("slow", "i-app", "i-old")
    stage.advance(5)
    stage.ask("StopInvocation", InvokeId=sent)
    assert [stage.outcome(sent, one)[0] for one in ("i-app", "i-old")] == ["Stopping", "Cancelled"]
    stage.advance(2)
    assert [stage.outcome(sent, one)[0] for one in ("i-app", "i-old")] == ["Terminated", "Cancelled"]
    assert stage.overall(sent) == ("Stopped", "Stopped")


def test_some_succeed_and_some_fail(stage: Guests) -> None:
    sent = stage.send("true", "i-app", "i-old")
    stage.advance(5)
    assert stage.overall(sent) == ("PartialFailed", "PartialFailed")


def test_results_page_and_are_forgotten_after_four_weeks(stage: Guests) -> None:
    sent = [stage.send("true", ClientToken=str(number)) for number in range(23)]
    stage.advance(5)
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = stage.ask("DescribeInvocationResults", {"NextToken": token} if token else {})["Invocation"]
        seen += [one["InvokeId"] for one in page["InvocationResults"]["InvocationResult"]]
        token = page["NextToken"]
    assert (sorted(seen), token) == (sorted(sent), "")

    stage.cloud.clock.advance(timedelta(weeks=4))
    assert stage.ask("DescribeInvocationResults")["Invocation"]["InvocationResults"]["InvocationResult"] == []
    assert stage.ask("DescribeInvocations")["Invocations"]["Invocation"] == []


def test_an_agent_is_there_until_two_minutes_of_silence(stage: Guests) -> None:
    def there(instance: str) -> str:
        found = stage.ask("DescribeCloudAssistantStatus", {"InstanceId.1": instance})
        return str(found["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]["CloudAssistantStatus"])

    assert (there("i-app"), there("i-old")) == ("true", "false")
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.advance(119)
    assert there("i-app") == "true"
    stage.advance(1)
    assert there("i-app") == "false"


def test_output_beyond_24_kib_is_dropped_and_counted(stage: Guests) -> None:
    stage.ecs.assistant.behave("loud", Answer(output="x" * 30_000))
    sent = stage.send("loud")
    stage.advance(5)
    shown = stage.result(sent, ContentEncoding="PlainText")
    assert (len(shown["Output"]), shown["Dropped"]) == (24_576, 30_000 - 24_576)


# Over HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("assistant") / "seed.yaml"
    seed.write_text(WORLD.replace("guest: {command: [run], ports: [80]}", "used_gib: 0"))
    with mock_aliyun(seed=seed, regions=(HERE,)) as cloud:
        yield cloud


def test_the_sdk_runs_a_command_and_reads_its_result(local: Local) -> None:
    key, secret = local.access_key[:2]
    sdk = Client(
        Config(endpoint=local.host, protocol="http", region_id=HERE, access_key_id=key, access_key_secret=secret)
    )
    local.run(lambda: local.cloud.ecs.assistant.behave("date", Answer(output="Mon")))
    sent = sdk.run_command(
        ecs.RunCommandRequest(
            region_id=HERE,
            type="RunShellScript",
            command_content=b64encode(b"date").decode(),
            content_encoding="Base64",
            instance_id=["i-app", "i-old"],
            keep_command=True,
            name="date",
            timeout=30,
            tag=[ecs.RunCommandRequestTag(key="for", value="test")],
        )
    ).body
    local.advance(5)

    request = ecs.DescribeInvocationResultsRequest(region_id=HERE, invoke_id=sent.invoke_id, max_results=50)
    found = sdk.describe_invocation_results(request).body.invocation.invocation_results.invocation_result
    by_instance = {one.instance_id: one for one in found}
    good, bad = by_instance["i-app"], by_instance["i-old"]
    assert (good.invocation_status, good.exit_code, b64decode(good.output)) == ("Success", 0, b"Mon")
    assert (bad.invocation_status, bad.error_code) == ("Aborted", "InstanceNotRunning")
    assert bad.error_info == "the instance is not running when create task"
    overview = ecs.DescribeInvocationsRequest(region_id=HERE, invoke_id=sent.invoke_id, include_output=True)
    [one] = sdk.describe_invocations(overview).body.invocations.invocation
    assert (one.invocation_status, one.command_id, one.timeout) == ("PartialFailed", sent.command_id, 30)
    assert len(one.invoke_instances.invoke_instance) == 2

    again = sdk.invoke_command(
        ecs.InvokeCommandRequest(region_id=HERE, command_id=sent.command_id, instance_id=["i-app"])
    ).body.invoke_id
    sdk.stop_invocation(ecs.StopInvocationRequest(region_id=HERE, invoke_id=again, instance_id=["i-app"]))
    stopped = ecs.DescribeInvocationResultsRequest(region_id=HERE, invoke_id=again)
    [cancelled] = sdk.describe_invocation_results(stopped).body.invocation.invocation_results.invocation_result
    assert (cancelled.invocation_status, cancelled.invoke_record_status) == ("Cancelled", "Stopped")
    [stored] = sdk.describe_commands(ecs.DescribeCommandsRequest(region_id=HERE)).body.commands.command
    assert (stored.name, stored.invoke_times) == ("date", 2)
    sdk.delete_command(ecs.DeleteCommandRequest(region_id=HERE, command_id=stored.command_id))
    status = sdk.describe_cloud_assistant_status(
        ecs.DescribeCloudAssistantStatusRequest(region_id=HERE, instance_id=["i-app"])
    ).body
    [agent] = status.instance_cloud_assistant_status_set.instance_cloud_assistant_status
    assert (agent.cloud_assistant_status, agent.invocation_count) == ("true", 2)
