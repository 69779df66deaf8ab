"""Small s.yaml files for tests, and a running Function Compute over them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from emulator.cloud import Cloud
from emulator.fc.service import FunctionCompute

CODE = Path(__file__).parent / "fc_code"
START = datetime(2026, 3, 2, tzinfo=UTC)


def props(name: str, **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "region": "cn-hangzhou",
        "functionName": name,
        "runtime": "python3.12",
        "handler": "probe.handler",
        "code": "./code",
        "timeout": 20,
        "role": "Probe-Role",
        "environmentVariables": {"PYTHONPATH": "/code/python", "COLOUR": "blue"},
    }
    return {**base, **more}


def timer(name: str, cron: str, payload: str = "") -> dict[str, Any]:
    return {
        "triggerName": name,
        "triggerType": "timer",
        "triggerConfig": {"cronExpression": cron, "enable": True, "payload": payload},
    }


def rule(name: str, pattern: Mapping[str, Any], schema: str = "CloudEvents") -> dict[str, Any]:
    return {
        "triggerName": name,
        "triggerType": "eventbridge",
        "triggerConfig": {
            "triggerEnable": True,
            "asyncInvocationType": True,
            "eventRuleFilterPattern": json.dumps(pattern),
            "eventSourceConfig": {"eventSourceType": "Default", "eventSourceParameters": {}},
            "eventSinkConfig": {"deliveryOption": {"eventSchema": schema}},
            "runOptions": {"mode": "event-driven"},
        },
    }


def web_trigger(name: str, *, auth: str = "anonymous", methods: tuple[str, ...] = ("GET", "POST")) -> dict[str, Any]:
    return {
        "triggerName": name,
        "triggerType": "http",
        "triggerConfig": {"authType": auth, "methods": list(methods)},
    }


def destination(name: str) -> dict[str, Any]:
    return {"onFailure": {"destination": f"acs:fc:cn-hangzhou:1000000000000001:functions/{name}"}}


def write(path: Path, *functions: dict[str, Any], domains: Sequence[dict[str, Any]] = (), **top: Any) -> Path:
    document = {
        "edition": "3.0.0",
        "name": "probe",
        "access": "default",
        "resources": {
            **{f["functionName"].replace("-", "_"): {"component": "fc3", "props": f} for f in functions},
            **{d["domainName"].replace(".", "_"): {"component": "fc3-domain", "props": d} for d in domains},
        },
        **top,
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


class World:
    """A cloud with functions, and what they noted down."""

    def __init__(self, cloud: Cloud, fc: FunctionCompute, notes: Path) -> None:
        self.cloud = cloud
        self.fc = fc
        self._notes = notes

    def notes(self) -> list[dict[str, Any]]:
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text().splitlines()]

    def outcomes(self, function: str | None = None) -> list[str]:
        return [r.outcome for r in self.fc.records if function in (None, r.function)]

    async def advance(self, **by: float) -> None:
        async with asyncio.timeout(20):
            await self.cloud.clock.jump(self.cloud.clock.now() + timedelta(**by))


@asynccontextmanager
async def running(
    tmp_path: Path,
    *functions: dict[str, Any],
    code: tuple[Path, ...] = (CODE,),
    domains: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> AsyncIterator[World]:
    cloud = Cloud(start=START)
    vswitches = {"vsw-h": SimpleNamespace(zone="cn-hangzhou-h"), "vsw-i": SimpleNamespace(zone="cn-hangzhou-i")}
    cloud.home.__dict__["ecs"] = SimpleNamespace(vswitches=vswitches, zones=())
    notes = tmp_path / "notes.jsonl"
    fc = FunctionCompute(
        cloud,
        write(tmp_path / "s.yaml", *functions, domains=domains),
        code=code,
        environment={"NOTES": str(notes)},
        workdir=tmp_path / "fc",
        **options,
    )
    cloud.fc = fc
    await fc.start()
    try:
        yield World(cloud, fc, notes)
    finally:
        await fc.stop()
        assert cloud.clock.held_by == ()


def tell(tmp_path: Path, story: Callable[[World], Awaitable[None]], *functions: dict[str, Any], **options: Any) -> None:
    async def whole() -> None:
        async with running(tmp_path, *functions, **options) as world:
            await story(world)

    asyncio.run(whole())


def event(**asked: Any) -> bytes:
    return json.dumps(asked).encode()
