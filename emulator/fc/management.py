"""Reading and changing functions, their triggers, their asynchronous calls and their concurrency: API 2023-03-30.

Functions themselves come from the s.yaml and stay as they are. Lists are in the order of names, pages go on after the
name that `nextToken` is. Statuses that no page documents are assumptions.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from aiohttp import web

from emulator.cloud import Cloud
from emulator.fc import settings
from emulator.fc.answers import answer, describe, item, service
from emulator.fc.project import EventRule, Function, Http, Trigger
from emulator.fc.queue import Refused, TaskRecord
from emulator.fc.service import FunctionCompute
from emulator.fc.settings import body_of, invalid
from emulator.wire.body import read_body
from emulator.wire.params import digits

T = TypeVar("T")
LARGEST_PAGE: Final = 100
ASYNC_FIELDS: Final = ("asyncTask", "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts")
TRIGGER_FIELDS: Final = ("triggerName", "triggerType", "triggerConfig", "qualifier", "description")


class Management:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @property
    def _fc(self) -> FunctionCompute:
        return service(self._cloud)

    def _function(self, request: web.Request) -> Function:
        only_latest(request.query.get("qualifier"))
        return self._fc.function(request.match_info["name"])

    # --- functions --------------------------------------------------------------------------------------------

    async def list_functions(self, request: web.Request) -> web.StreamResponse:
        found = [f for f in self._fc.functions if f.name.startswith(request.query.get("prefix", ""))]
        page, token = paged(request, found, [f.name for f in found])
        return answer({"functions": [self._shown(f) for f in page], **token})

    async def get_function(self, request: web.Request) -> web.StreamResponse:
        return answer(self._shown(self._function(request)))

    def _shown(self, function: Function) -> dict[str, Any]:
        restriction = self._fc.settings(function.name).get("invocationRestriction")
        return {
            "functionName": function.name,
            "functionArn": self._fc.arn(function.name),
            "handler": function.handler,
            "runtime": function.runtime,
            "timeout": int(function.timeout.total_seconds()),
            "memorySize": function.memory_mb,
            "environmentVariables": dict(function.environment),
            "role": f"acs:ram::{self._cloud.account}:role/{function.role}" if function.role else "",
            **({} if restriction is None else {"invocationRestriction": restriction}),
        }

    # --- triggers ---------------------------------------------------------------------------------------------

    async def list_triggers(self, request: web.Request) -> web.StreamResponse:
        function = self._function(request)
        found = [t for t in function.triggers if t.name.startswith(request.query.get("prefix", ""))]
        page, token = paged(request, found, [t.name for t in found])
        return answer({"triggers": [self._trigger(function, trigger) for trigger in page], **token})

    async def get_trigger(self, request: web.Request) -> web.StreamResponse:
        return answer(self._trigger(*named(self._fc, request)))

    async def create_trigger(self, request: web.Request) -> web.StreamResponse:
        function = self._function(request)
        body = body_of(await read_body(request), TRIGGER_FIELDS)
        only_latest(body["qualifier"])
        config = settings.config_of(body["triggerConfig"])
        made = settings.trigger(body["triggerName"], body["triggerType"], config, now=self._cloud.clock.now())
        if any(trigger.name == made.name for trigger in function.triggers):
            raise Refused(409, "TriggerAlreadyExists", f"trigger '{made.name}' already exists")
        if len(function.triggers) >= settings.MOST_TRIGGERS:  # assumption: the code
            raise Refused(400, "LimitExceeded", f"a function has at most {settings.MOST_TRIGGERS} triggers")
        self._replace(function, [*function.triggers, made], made)
        return answer(self._trigger(self._fc.function(function.name), made))

    async def update_trigger(self, request: web.Request) -> web.StreamResponse:
        """What `triggerConfig` does not name stays."""
        function, trigger = named(self._fc, request)
        body = body_of(await read_body(request), TRIGGER_FIELDS[2:])
        only_latest(body["qualifier"])
        on = self._fc.enabled(function.name, trigger.name)
        kind, config = describe(trigger, on)
        changed = config | settings.config_of(body["triggerConfig"])
        made = settings.trigger(trigger.name, kind, changed, now=self._cloud.clock.now())
        switch = "triggerEnable" if isinstance(trigger, EventRule) else "enable"
        if {**changed, switch: on} == {**config, switch: on}:
            if not isinstance(made, Http):
                self._fc.enable(function.name, trigger.name, made.enabled)
        else:
            self._replace(function, [made if t.name == made.name else t for t in function.triggers], made)
        return answer(self._trigger(self._fc.function(function.name), made))

    async def delete_trigger(self, request: web.Request) -> web.StreamResponse:
        function, trigger = named(self._fc, request)
        self._replace(function, [t for t in function.triggers if t is not trigger])
        return web.Response(status=204)

    def _replace(self, function: Function, triggers: Sequence[Trigger], made: Trigger | None = None) -> None:
        name = function.name
        told = [
            item(one, self._fc.enabled(name, one.name) if one is not made or isinstance(one, Http) else one.enabled)
            for one in triggers
        ]
        self._fc.configure(name, triggers=told)

    def _trigger(self, function: Function, trigger: Trigger) -> dict[str, Any]:
        on = self._fc.enabled(function.name, trigger.name)
        kind, config = describe(trigger, on)
        return {
            "triggerName": trigger.name,
            "triggerType": kind,
            "triggerConfig": json.dumps(config),
            "qualifier": "LATEST",
            "targetArn": self._fc.arn(function.name),
        }

    # --- asynchronous calls -----------------------------------------------------------------------------------

    async def get_async_config(self, request: web.Request) -> web.StreamResponse:
        return answer(self._async(self._configured(request)))

    async def put_async_config(self, request: web.Request) -> web.StreamResponse:
        function = self._function(request)
        config = settings.asynchronous(body_of(await read_body(request), ASYNC_FIELDS))
        self._fc.configure(function.name, asyncInvokeConfig={**config, "asyncTask": config.get("asyncTask", False)})
        return answer(self._async(self._fc.function(function.name)))

    async def delete_async_config(self, request: web.Request) -> web.StreamResponse:
        self._fc.configure(self._configured(request).name, asyncInvokeConfig=None)
        return web.Response(status=204)

    async def list_async_configs(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("functionName")
        found = [f for f in self._fc.functions if f.asynchronous.stated and wanted in (None, "", f.name)]
        page, token = paged(request, found, [f.name for f in found])
        return answer({"configs": [self._async(function) for function in page], **token})

    def _configured(self, request: web.Request) -> Function:
        function = self._function(request)
        if not function.asynchronous.stated:
            raise Refused(404, "AsyncConfigNotExists", f"AsyncConfig for {function.name}:LATEST does not exist.")
        return function

    def _async(self, function: Function) -> dict[str, Any]:
        config = function.asynchronous
        ends = {"onSuccess": config.on_success, "onFailure": config.on_failure}
        return {
            "functionArn": self._fc.arn(function.name),
            "asyncTask": config.task,
            "maxAsyncRetryAttempts": config.retries,
            "maxAsyncEventAgeInSeconds": int(config.max_age.total_seconds()),
            "destinationConfig": {end: {"destination": arn} for end, arn in ends.items() if arn},
        }

    async def list_tasks(self, request: web.Request) -> web.StreamResponse:
        """By status, prefix of the id, and the time they were accepted; the newest first unless asked otherwise."""
        name = self._function(request).name
        query = request.query
        since, until = (_milliseconds(query, end) for end in ("startedTimeBegin", "startedTimeEnd"))
        order, with_payload = query.get("sortOrderByTime", "desc"), query.get("includePayload", "false").lower()
        if order not in ("asc", "desc") or with_payload not in ("true", "false"):
            raise invalid("sortOrderByTime is asc or desc, includePayload true or false")
        found = [
            record
            for (function, task), record in self._fc.queue.tasks.items()
            if function == name
            and task.startswith(query.get("prefix", ""))
            and query.get("status") in (None, "", record.state)
            and (since is None or since <= _stamp(record.queued))
            and (until is None or _stamp(record.queued) <= until)
        ]
        found.sort(key=lambda record: record.queued, reverse=order == "desc")
        page, token = paged(request, found, [record.task for record in found])
        return answer({"tasks": [self._task(record, payload=with_payload == "true") for record in page], **token})

    async def get_task(self, request: web.Request) -> web.StreamResponse:
        name, task = self._function(request).name, request.match_info["task"]
        record = self._fc.queue.tasks.get((name, task))
        if record is None:
            raise Refused(404, "AsyncTaskNotFound", f"no task {task!r} of function {name!r}")
        return answer(self._task(record, payload=True))

    async def stop_task(self, request: web.Request) -> web.StreamResponse:
        self._fc.stop_task(self._function(request).name, request.match_info["task"])
        return web.Response(status=200)

    def _task(self, record: TaskRecord, *, payload: bool) -> dict[str, Any]:
        ran = [at for state, at in record.history if state == "Running"]
        ended = record.history[-1][1] if record.state in ("Succeeded", "Failed", "Stopped", "Expired") else None
        return {
            "taskId": record.task,
            "functionArn": self._fc.arn(record.function),
            "qualifier": "LATEST",
            "requestId": record.request_id,
            "status": record.state,
            "startedTime": _stamp(record.queued),
            "alreadyRetriedTimes": max(0, len(ran) - 1),
            "taskErrorMessage": record.returned if record.error else "",
            "events": [{"status": state, "timestamp": _stamp(at)} for state, at in record.history],
            **({} if ended is None else {"endTime": _stamp(ended)}),
            **({} if ended is None or not ran else {"durationMs": _stamp(ended) - _stamp(ran[-1])}),
            **({"taskPayload": record.payload.decode(errors="replace")} if payload else {}),
            **({"returnPayload": record.returned} if payload and not record.error else {}),
        }

    # --- concurrency and the right to be called ---------------------------------------------------------------

    async def get_concurrency(self, request: web.Request) -> web.StreamResponse:
        return answer(self._concurrency(self._function(request)))

    async def put_concurrency(self, request: web.Request) -> web.StreamResponse:
        function = self._function(request)
        others = sum(one.reserved or 0 for one in self._fc.functions if one.name != function.name)
        config = settings.concurrency(body_of(await read_body(request), ("reservedConcurrency",)), others=others)
        self._fc.configure(function.name, concurrencyConfig=config)
        return answer(self._concurrency(self._fc.function(function.name)))

    async def delete_concurrency(self, request: web.Request) -> web.StreamResponse:
        self._fc.configure(self._function(request).name, concurrencyConfig=None)
        return web.Response(status=204)

    async def list_concurrency(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("functionName")
        found = [f for f in self._fc.functions if f.reserved is not None and wanted in (None, "", f.name)]
        page, token = paged(request, found, [f.name for f in found])
        return answer({"configs": [self._concurrency(function) for function in page], **token})

    def _concurrency(self, function: Function) -> dict[str, Any]:
        """A function without one answers so, with nothing reserved (assumption)."""
        reserved = {} if function.reserved is None else {"reservedConcurrency": function.reserved}
        return {"functionArn": self._fc.arn(function.name), **reserved}

    async def disable(self, request: web.Request) -> web.StreamResponse:
        function = self._function(request)
        reason, abort = settings.restriction(body_of(await read_body(request), ("reason", "abortOngoingRequest")))
        told = {"disable": True, "reason": reason, "lastModifiedTime": f"{self._cloud.clock.now():%Y-%m-%dT%H:%M:%SZ}"}
        self._fc.configure(function.name, invocationRestriction=told)
        if abort:
            self._fc.end_executions(function.name)
        return answer({"success": True})

    async def enable(self, request: web.Request) -> web.StreamResponse:
        self._fc.configure(self._function(request).name, invocationRestriction=None)
        return answer({"success": True})


def named(fc: FunctionCompute, request: web.Request) -> tuple[Function, Trigger]:
    """The trigger of the path. Raises Refused."""
    function = fc.function(request.match_info["name"])
    name = request.match_info["trigger"]
    for trigger in function.triggers:
        if trigger.name == name:
            return function, trigger
    raise Refused(404, "TriggerNotFound", f"function '{function.name}' has no trigger '{name}'")


def only_latest(qualifier: Any) -> None:
    """Versions and aliases are not modelled, and none exists."""
    if qualifier not in (None, "", "LATEST"):
        raise Refused(404, "VersionNotFound", f"the emulator has only LATEST, not {str(qualifier)[:80]!r}")


def paged(request: web.Request, found: Sequence[T], names: Sequence[str]) -> tuple[Sequence[T], dict[str, str]]:
    limit = digits(request.query.get("limit") or "20")
    if limit is None or not 1 <= limit <= LARGEST_PAGE:
        raise invalid(f"limit must be 1 to {LARGEST_PAGE}")
    token = request.query.get("nextToken")
    if token and token not in names:
        raise invalid("nextToken is not one that was given out")
    start = names.index(token) if token else 0
    page = found[start : start + limit]
    more = names[start + limit] if start + limit < len(names) else None
    return page, {} if more is None else {"nextToken": more}


def _milliseconds(query: Any, name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    number = digits(text)
    if number is None:
        raise invalid(f"{name} must be milliseconds since 1970")
    return number


def _stamp(at: datetime) -> int:
    return int(at.timestamp() * 1000)
