"""What the doors of Function Compute share: its service, its answers, its triggers as they are shown."""

import json
from typing import Any

from aiohttp import web

from emulator.cloud import Cloud
from emulator.fc.project import EventRule, Http, Timer, Trigger
from emulator.fc.queue import Refused
from emulator.fc.service import FunctionCompute


def service(cloud: Cloud) -> FunctionCompute:
    fc: FunctionCompute | None = cloud.fc
    if fc is None:
        raise Refused(404, "FunctionNotFound", "this emulator was started without an s.yaml (--fc)")
    return fc


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    packed = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=packed, status=status, headers=headers, content_type="application/json")


def describe(trigger: Trigger, on: bool) -> tuple[str, dict[str, Any]]:
    """Type and configuration, as `triggerConfig` says them."""
    match trigger:
        case Timer():
            return "timer", {"cronExpression": trigger.cron.expression, "enable": on, "payload": trigger.payload}
        case EventRule():
            schema = "RawData" if trigger.raw_data else "CloudEvents"
            return "eventbridge", {
                "triggerEnable": on,
                "asyncInvocationType": True,
                "eventRuleFilterPattern": trigger.pattern_text,
                "eventSourceConfig": {"eventSourceType": "Default", "eventSourceParameters": {}},
                "eventSinkConfig": {"deliveryOption": {"eventSchema": schema}},
                "runOptions": {"mode": "event-driven"},
            }
        case Http():
            return "http", {"authType": trigger.auth, "methods": list(trigger.methods)}


def item(trigger: Trigger, on: bool) -> dict[str, Any]:
    """As an s.yaml has it."""
    kind, config = describe(trigger, on)
    return {"triggerName": trigger.name, "triggerType": kind, "triggerConfig": config}
