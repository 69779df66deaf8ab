"""RunCommand, InvokeCommand, CreateCommand, DescribeCommands, DeleteCommand, DescribeInvocations,
DescribeInvocationResults, StopInvocation, DescribeCloudAssistantStatus."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.ecs import commands
from emulator.ecs.api import paging
from emulator.ecs.assistant import ENDED, KEPT, PENDING, Invocation, Result, Sending
from emulator.ecs.commands import Command
from emulator.ecs.instances import Instance
from emulator.ecs.rules import check_tags, iso
from emulator.ecs.shelf import Shelf, carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

PAGE = ("NextToken", "MaxResults", "PageNumber", "PageSize")
STOPPED_AT_MOST = 50
VERSION = "2.2.3.800"
TAG_CODES = ("InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags", "Duplicate.TagKey")
COMMAND_CODES = (
    "InvalidCmdType.NotFound", "CmdName.ExceedLimit", "CmdDesc.ExceedLimit", "CmdContent.ExceedLimit",
    "CmdContent.DecodeError", "InvalidParameter.WorkingDir", "ParameterCount.ExceedLimit",
    "InvalidClientToken.Malformed", "IdempotentParameterMismatch", "IdempotentProcessing", *TAG_CODES,
)  # fmt: skip
SENDING_CODES = (
    "MissingParam.InstanceId", "InstanceIds.ExceedLimit", "InvalidInstance.NotFound", "InvalidInstance.NotMatch",
    "InvalidResourceTag.ConflictWithInstanceIds", "InvalidResourceTag.InstanceNotFound", "Username.ExceedLimit",
    "InvalidParameter.Parameters", "Parameter.Disabled", "Parameter.NotMatched", "ParameterKey.ExceedLimit",
    "ParameterType.NotSupported", "InvalidRepeatMode.NotFound", "InvalidTerminationMode.NotFound",
)  # fmt: skip


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = AssistantApi(ecs)
    return {
        "RunCommand": api.run,
        "InvokeCommand": api.invoke,
        "CreateCommand": api.create,
        "DescribeCommands": api.commands,
        "DeleteCommand": api.delete,
        "DescribeInvocations": api.invocations,
        "DescribeInvocationResults": api.results,
        "StopInvocation": api.stop,
        "DescribeCloudAssistantStatus": api.status,
    }


class AssistantApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._assistant = ecs.assistant

    # Commands and where they go -------------------------------------------------------------------------------

    @reads(
        "Type", "CommandContent", "ContentEncoding", "Name", "Description", "InstanceId.N", "ResourceTag.N.Key",
        "ResourceTag.N.Value", "Timeout", "RepeatMode", "Timed", "Username", "WorkingDir", "EnableParameter",
        "Parameters", "KeepCommand", "TerminationMode", "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(*COMMAND_CODES, *SENDING_CODES)
    def run(self, call: Call) -> dict[str, Any]:
        """Accepted, not executed. Not modelled: schedules, containers, launchers, delivery to OSS, Windows."""
        p = call.params
        command = self._command(call, encoded=p.get("ContentEncoding", "").lower() == "base64")
        keep = params.boolean(p, "KeepCommand", False)
        invocation = self._assistant.run(command, self._sending(call), keep=keep, token=p.get("ClientToken"))
        return {"CommandId": invocation.command.id, "InvokeId": invocation.id}

    @reads(
        "CommandId", "InstanceId.N", "ResourceTag.N.Key", "ResourceTag.N.Value", "Timeout", "RepeatMode", "Timed",
        "Username", "WorkingDir", "Parameters", "TerminationMode", "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidCmdId.NotFound", "InvalidParameter.WorkingDir", "InvalidClientToken.Malformed",
        "IdempotentParameterMismatch", "IdempotentProcessing", *TAG_CODES, *SENDING_CODES,
    )  # fmt: skip
    def invoke(self, call: Call) -> dict[str, Any]:
        """Send a stored command. Not modelled: schedules, containers, launchers, public commands by name."""
        sending = self._sending(call)
        command, token = params.required(call.params, "CommandId"), call.params.get("ClientToken")
        return {"InvokeId": self._assistant.invoke(command, sending, token=token).id}

    @reads(
        "Type", "CommandContent", "ContentEncoding", "Name", "Description", "Timeout", "WorkingDir", "EnableParameter",
        "ClientToken", *paging.TAGS,
    )  # fmt: skip
    @raises(*COMMAND_CODES)
    def create(self, call: Call) -> dict[str, Any]:
        """Unlike RunCommand's, its content is Base64 unless ContentEncoding is PlainText."""
        p = call.params
        params.required(p, "Name")
        command = self._command(call, encoded=p.get("ContentEncoding", "").lower() != "plaintext")
        return {"CommandId": self._assistant.create(command, token=p.get("ClientToken")).id}

    def _command(self, call: Call, *, encoded: bool) -> Command:
        p = call.params
        tags = paging.tags(call)
        check_tags(tags)
        return Command(
            id=self._ecs.chance.id("c"),
            name=p.get("Name", ""),
            type=params.required(p, "Type"),
            content=commands.decoded(params.required(p, "CommandContent"), encoded=encoded),
            created=self._ecs.clock.now(),
            timeout=commands.seconds(params.integer(p, "Timeout"), commands.DEFAULT_TIMEOUT),
            working_dir=p.get("WorkingDir", ""),
            description=p.get("Description", ""),
            parametric=params.boolean(p, "EnableParameter", False),
            tags=tags,
        )

    def _sending(self, call: Call) -> Sending:
        p = call.params
        self._once_only(p)
        if p.get("TerminationMode", "ProcessTree") not in ("Process", "ProcessTree"):
            raise ApiError("InvalidTerminationMode.NotFound", "TerminationMode is Process or ProcessTree.", 404)
        tags = paging.tags(call)
        check_tags(tags)
        return Sending(
            instance_ids=tuple(self._targets(p)),
            timeout=params.integer(p, "Timeout"),
            username=p.get("Username", ""),
            working_dir=p.get("WorkingDir"),
            parameters=p.get("Parameters"),
            tags=tuple(sorted(tags.items())),
        )

    def _once_only(self, p: Mapping[str, str]) -> None:
        mode = p.get("RepeatMode") or "Once"
        if mode not in ("Once", "Period", "NextRebootOnly", "EveryReboot", "DryRun"):
            raise ApiError("InvalidRepeatMode.NotFound", f"The RepeatMode {mode!r} does not exist.", 404)
        if mode != "Once" or params.boolean(p, "Timed", False):
            raise ApiError("UnsupportedParameter", "The emulator models RepeatMode=Once only.")

    def _targets(self, p: Mapping[str, str]) -> list[str]:
        ids, wanted = params.list_of(p, "InstanceId"), params.objects(p, "ResourceTag")
        if ids and wanted:
            raise ApiError("InvalidResourceTag.ConflictWithInstanceIds", "Give InstanceId.N or ResourceTag.N.")
        if not wanted:
            return ids
        tags = [(tag.get("Key", ""), tag.get("Value") or None) for tag in wanted]
        found = [instance.id for instance in self._ecs.shelf if carries(instance.tags, tags)]
        if not found:
            raise ApiError("InvalidResourceTag.InstanceNotFound", "No instance has these tags.")
        return found

    @reads("CommandId", "Name", "Description", "Type", "Provider", "Latest", "ContentEncoding", *PAGE, *paging.TAGS)
    @raises("InvalidParameter.NextToken")
    def commands(self, call: Call) -> dict[str, Any]:
        """Stored ones. Not modelled: public commands (`Provider`), versions."""
        p = call.params
        wanted, name, text, kind = p.get("CommandId"), p.get("Name"), p.get("Description"), p.get("Type")
        tags, plain = paging.tag_filter(call), _plain(p)

        def matches(command: Command) -> bool:
            return (
                (not wanted or command.id == wanted)
                and (not name or command.name == name)
                and (not text or command.description == text)
                and (not kind or command.type == kind)
                and p.get("Provider", "User").lower() == "user"
                and (not tags or carries(command.tags, tags))
            )

        def render(command: Command) -> dict[str, Any]:
            return {
                "CommandId": command.id,
                "Name": command.name,
                "Description": command.description,
                "Type": command.type,
                "CommandContent": commands.encoded(command.content, plain=plain),
                "WorkingDir": command.working_dir,
                "Timeout": command.timeout,
                "EnableParameter": command.parametric,
                "ParameterNames": {"ParameterName": command.parameter_names},
                "InvokeTimes": command.invoked,
                "CreationTime": iso(command.created),
                "Provider": "User",
                "Category": "",
                "Version": 1,
                "Latest": True,
                "Launcher": "",
                "ResourceGroupId": "",
                "Tags": paging.tag_list(command.tags),
            }

        items, fields = paging.listed(call, self._assistant.commands, matches, render, cap=50)
        return {"Commands": {"Command": items}, **fields}

    @reads("CommandId")
    @raises("InvalidCmdId.NotFound")
    def delete(self, call: Call) -> dict[str, Any]:
        """What it was invoked for runs on (assumption)."""
        self._assistant.delete(params.required(call.params, "CommandId"))
        return {}

    # What became of them --------------------------------------------------------------------------------------

    @reads(
        "InvokeId", "CommandId", "CommandName", "CommandType", "InstanceId", "InvokeStatus", "IncludeOutput",
        "RepeatMode", "Timed", "ContentEncoding", *PAGE, *paging.TAGS,
    )  # fmt: skip
    @raises("InvalidParameter.NextToken")
    def invocations(self, call: Call) -> dict[str, Any]:
        """Of the last four weeks, newest first; outputs only with IncludeOutput."""
        p = call.params
        tags, plain, since = paging.tag_filter(call), _plain(p), self._ecs.clock.now() - KEPT
        output = params.boolean(p, "IncludeOutput", False)
        status, instance_id = p.get("InvokeStatus"), p.get("InstanceId")
        exact = {"InvokeId": "id"}
        of_command = {"CommandId": "id", "CommandName": "name", "CommandType": "type"}

        def matches(one: Invocation) -> bool:
            return (
                one.created >= since
                and all(p.get(name) in (None, "", getattr(one, field)) for name, field in exact.items())
                and all(p.get(name) in (None, "", getattr(one.command, field)) for name, field in of_command.items())
                and (not status or one.record_status == status)
                and (not instance_id or instance_id in one.results)
                and p.get("RepeatMode", "Once") == "Once"
                and (not tags or carries(one.tags, tags))
            )

        def render(one: Invocation) -> dict[str, Any]:
            return {
                "InvokeId": one.id,
                "CommandId": one.command.id,
                "CommandName": one.command.name,
                "CommandDescription": one.command.description,
                "CommandType": one.command.type,
                "CommandContent": commands.encoded(one.command.content, plain=plain),
                "Parameters": _parameters(one),
                "InvocationStatus": one.status,
                "InvokeStatus": one.record_status,
                "RepeatMode": "Once",
                "Timed": False,
                "Frequency": "",
                "Timeout": one.timeout,
                "Username": one.username,
                "WorkingDir": one.working_dir,
                "TerminationMode": "ProcessTree",
                "CreationTime": iso(one.created),
                "Tags": paging.tag_list(one.tags),
                "InvokeInstances": {
                    "InvokeInstance": [
                        self._of_instance(result, plain=plain, output=output)
                        for result in one.results.values()
                        if not instance_id or result.instance_id == instance_id
                    ]
                },
            }

        items, fields = paging.listed(call, self._assistant.invocations, matches, render, cap=50)
        return {"Invocations": {"Invocation": items}, **fields}

    def _of_instance(self, result: Result, *, plain: bool, output: bool) -> dict[str, Any]:
        return {
            **self._common(result, plain=plain, output=output),
            "InstanceInvokeStatus": result.record_status,
            "CreationTime": iso(result.created),
            "UpdateTime": iso(result.updated),
            "FinishTime": iso(result.finished) if result.finished else "",
            "Timed": False,
        }

    def _common(self, result: Result, *, plain: bool, output: bool) -> dict[str, Any]:
        return {
            "InstanceId": result.instance_id,
            "InvocationStatus": result.status,
            "ExitCode": result.exit_code,
            "Output": commands.encoded(result.output, plain=plain) if output else "",
            "Dropped": result.dropped,
            "ErrorCode": result.error_code,
            "ErrorInfo": result.error_info,
            "Repeats": 1 if result.status in ENDED and result.started else 0,
            "StartTime": iso(result.started) if result.started else "",
            "StopTime": iso(result.stopped) if result.stopped else "",
        }

    @reads(
        "InvokeId", "InstanceId", "CommandId", "InvokeRecordStatus", "IncludeHistory", "ContentEncoding", *PAGE,
        *paging.TAGS,
    )  # fmt: skip
    @raises("InvalidParameter.NextToken")
    def results(self, call: Call) -> dict[str, Any]:
        """One entry per invocation and instance. Decide on InvocationStatus and ExitCode: InvokeRecordStatus reads
        Finished also after a failure."""
        p = call.params
        tags, plain, since = paging.tag_filter(call), _plain(p), self._ecs.clock.now() - KEPT
        found: Shelf[_Entry] = Shelf()
        for invocation in self._assistant.invocations:
            if invocation.created < since or (tags and not carries(invocation.tags, tags)):
                continue
            if p.get("InvokeId") in (None, "", invocation.id) and p.get("CommandId") in (
                None,
                "",
                invocation.command.id,
            ):
                for result in invocation.results.values():
                    found.add(_Entry(invocation, result))

        def matches(entry: _Entry) -> bool:
            return p.get("InstanceId") in (None, "", entry.result.instance_id) and p.get("InvokeRecordStatus") in (
                None,
                "",
                entry.result.record_status,
            )

        def render(entry: _Entry) -> dict[str, Any]:
            invocation, result = entry.invocation, entry.result
            return {
                **self._common(result, plain=plain, output=True),
                "InvokeId": invocation.id,
                "CommandId": invocation.command.id,
                "InvokeRecordStatus": result.record_status,
                "FinishedTime": iso(result.finished) if result.finished else "",
                "Username": invocation.username,
                "TerminationMode": "ProcessTree",
                "Tags": paging.tag_list(invocation.tags),
            }

        items, fields = paging.listed(call, found, matches, render, cap=50)
        return {"Invocation": {"InvocationResults": {"InvocationResult": items}, **fields}}

    @reads("InvokeId", "InstanceId.N")
    @raises("InvalidInvokeId.NotFound", "InvalidInstanceId.NotFound", "InstanceIds.ExceedLimit")
    def stop(self, call: Call) -> dict[str, Any]:
        """Pending becomes Cancelled; Running becomes Stopping, then Terminated."""
        ids = params.list_of(call.params, "InstanceId")
        if len(ids) > STOPPED_AT_MOST:
            raise ApiError("InstanceIds.ExceedLimit", f"At most {STOPPED_AT_MOST} instances.", 403)
        self._assistant.stop(params.required(call.params, "InvokeId"), ids)
        return {}

    @reads("InstanceId.N", "OSType", *PAGE)
    @raises("InvalidParameter.NextToken")
    def status(self, call: Call) -> dict[str, Any]:
        """Whether the agents are there. Not modelled: installing them (every guest has one), Windows."""
        p = call.params
        ids = params.list_of(p, "InstanceId") or None
        items, fields = paging.listed(
            call, self._ecs.shelf, lambda _: p.get("OSType", "Linux") == "Linux", self._agent, cap=50, ids=ids
        )
        return {"InstanceCloudAssistantStatusSet": {"InstanceCloudAssistantStatus": items}, **fields}

    def _agent(self, instance: Instance) -> dict[str, Any]:
        results = [
            one.results[instance.id] for one in self._assistant.invocations if instance.id in one.results
        ]  # fmt: skip
        begun = [result.started for result in results if result.started]
        heard = self._assistant.last_heard(instance)
        return {
            "InstanceId": instance.id,
            "CloudAssistantStatus": "true" if self._assistant.is_there(instance) else "false",
            "CloudAssistantVersion": VERSION,
            "LastHeartbeatTime": iso(heard) if heard else "",
            "LastInvokedTime": iso(max(begun)) if begun else "",
            "InvocationCount": len(results),
            "ActiveTaskCount": sum(1 for r in results if r.status not in (*ENDED, PENDING)),
            "OSType": "Linux",
            "SupportSessionManager": False,
        }


class _Entry:
    """A result with its invocation, in a shelf of its own for paging."""

    def __init__(self, invocation: Invocation, result: Result) -> None:
        self.invocation = invocation
        self.result = result
        self.id = f"{invocation.id}/{result.instance_id}"
        self.tags: dict[str, str] = {}


def _parameters(invocation: Invocation) -> str:
    return json.dumps(invocation.parameters, separators=(",", ":"))


def _plain(p: Mapping[str, str]) -> bool:
    return p.get("ContentEncoding", "").lower() == "plaintext"
