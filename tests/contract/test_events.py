"""From a cause in the cloud to the value that a function acts on, in every shape in which the news can come."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest

from emulator.bus import CloudEvent
from emulator.cms.alarms import Condition, MetricRule
from emulator.events.oddities import ODDITIES
from emulator.events.target import FunctionTarget, webhook
from emulator.seed import load_text
from emulator.testing import Local, mock_aliyun
from shared.triggers.parse import parse, parse_request
from shared.triggers.trigger import (
    AlarmState,
    CloudEvents,
    EventKind,
    EventStatus,
    HttpRequest,
    SystemEventNotice,
    ThresholdAlarm,
)
from tests.contract.conftest import WORLD
from tests.emulator.webhook import Got, Receiver, receiver

SHAPES = ("cloud-event", "cms-json", "cms-form", "raw", "http-cms-form", "get-cms-json")
Cause = Callable[[Local], None]


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver() as box:
        yield box


@pytest.fixture
def local(hook: Receiver) -> Iterator[Local]:
    hook.got.clear()
    with mock_aliyun() as cloud:
        cloud.run(lambda: load_text(WORLD, cloud.cloud, where="world", settings={}))
        yield cloud


def host_fails(local: Local) -> None:
    local.run(lambda: local.cloud.ecs.fail("i-app", recovers=True))


def snapshot_completes(local: Local) -> None:
    snapshots = local.cloud.ecs.snapshots
    local.run(lambda: snapshots.create("d-app-data", name="dr-1"))
    local.advance(3600)


def news(local: Local, hook: Receiver, shape: str, cause: Cause, name: str) -> SystemEventNotice:
    """What a function understands of the first event of that name, when it comes in that shape."""
    if shape == "cloud-event":
        arrived = EventBridge(local, name)
        cause(local)
        local.advance(2)
        return only(parse(arrived.payloads[0]))
    kind = shape.removeprefix("http-").removeprefix("get-")
    method = "GET" if shape.startswith("get-") else "POST"
    wanted = {"url": hook.url, "shape": kind, "method": method, "filter": {"name": name}}
    local.run(lambda: local.cloud.deliveries.add_webhook(webhook(wanted)))
    cause(local)
    local.advance(2)
    return only(understood(hook.got[0], through_fc=shape.startswith("http-")))


class EventBridge:
    """A rule on one name, and a function that keeps what it is given."""

    def __init__(self, local: Local, name: str) -> None:
        self.payloads: list[bytes] = []
        cloud = local.cloud
        target = FunctionTarget(function="alarm", trigger="failures")

        def on_event(event: CloudEvent) -> None:
            if event.name == name:
                cloud.deliveries.deliver(event, target)

        local.run(lambda: cloud.bus.subscribe(on_event))
        cloud.fc = self  # type: ignore[assignment]

    def event_arrived(self, function: str, payload: bytes, *, trigger: str) -> str:
        self.payloads.append(payload)
        return "ok"


def understood(got: Got, *, through_fc: bool) -> object:
    """As the alarm function gets it: by an HTTP trigger, whose form bodies are Base64, or as a body alone."""
    if not through_fc and got.method == "POST":
        return parse(got.body)
    event = {
        "version": "v1",
        "rawPath": "/",
        "headers": {"Content-Type": got.content_type},
        "queryParameters": got.query,
        "body": base64.b64encode(got.body).decode(),
        "isBase64Encoded": True,
        "requestContext": {"http": {"method": got.method, "path": "/"}},
    }
    request = parse(json.dumps(event).encode())
    assert isinstance(request, HttpRequest)
    return parse_request(request)


def only(trigger: object) -> SystemEventNotice:
    assert isinstance(trigger, CloudEvents), trigger
    (notice,) = trigger.notices
    return notice


@pytest.mark.parametrize("odd", [(), tuple(ODDITIES)], ids=["by the book", "with every oddity"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_failed_host_reads_the_same_by_every_route(
    local: Local, hook: Receiver, shape: str, odd: tuple[str, ...]
) -> None:
    local.run(lambda: setattr(local.cloud, "events_oddities", frozenset(odd)))

    notice = news(local, hook, shape, host_fails, "Instance:SystemFailure.Reboot:Executing")

    assert notice.kind is EventKind.INSTANCE_TROUBLE
    assert (notice.type, notice.status, notice.instance) == ("SystemFailure.Reboot", EventStatus.EXECUTING, "i-app")
    assert notice.product == "ECS"
    assert notice.region == "cn-hangzhou"
    assert notice.event_id
    assert notice.started == local.cloud.clock.now() - timedelta(seconds=2)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_completed_snapshot_reads_the_same_by_every_route(local: Local, hook: Receiver, shape: str) -> None:
    notice = news(local, hook, shape, snapshot_completes, "Snapshot:CreateSnapshotCompleted")

    assert notice.kind is EventKind.SNAPSHOT
    assert (notice.outcome, notice.disk) == ("accomplished", "d-app-data")
    assert notice.snapshot is not None
    assert notice.snapshot.startswith("s-")


def test_a_stale_suffix_does_not_hide_that_the_host_is_back(local: Local, hook: Receiver) -> None:
    local.run(lambda: setattr(local.cloud, "events_oddities", frozenset(["stale_status"])))
    wanted = {"url": hook.url, "shape": "raw", "filter": {"name": "Instance:SystemFailure*"}}
    local.run(lambda: local.cloud.deliveries.add_webhook(webhook(wanted)))

    host_fails(local)
    local.advance(900)

    names = [json.loads(body)["name"] for body in hook.bodies]
    statuses = [only(parse(body)).status for body in hook.bodies]
    assert names == ["Instance:SystemFailure.Reboot:Executing"] * 2
    assert statuses == [EventStatus.EXECUTING, EventStatus.EXECUTED]


@pytest.mark.parametrize("odd", [(), ("stray_bracket", "seconds", "null_texts")], ids=["by the book", "oddly"])
@pytest.mark.parametrize("through_fc", [False, True])
def test_a_metric_that_crosses_its_line_reads_as_an_alarm(
    local: Local, hook: Receiver, odd: tuple[str, ...], through_fc: bool
) -> None:
    local.run(lambda: setattr(local.cloud, "events_oddities", frozenset(odd)))
    local.run(lambda: busy_rule(local, hook))

    local.run(lambda: gauge(local, 97.5))
    local.advance(400)
    local.run(lambda: gauge(local, 3))
    local.advance(400)

    alarms = [understood(got, through_fc=through_fc) for got in hook.got]
    assert [type(alarm) for alarm in alarms] == [ThresholdAlarm, ThresholdAlarm], "once, and once when it is over"
    raised, recovered = alarms
    assert isinstance(raised, ThresholdAlarm)
    assert isinstance(recovered, ThresholdAlarm)
    assert (raised.state, raised.level, raised.value) == (AlarmState.ALERT, "critical", "97.5")
    assert (raised.rule, raised.metric, raised.instance) == ("dr-cpu", "CPUUtilization", "i-app")
    assert recovered.state is AlarmState.OK
    assert raised.at is not None
    assert recovered.at is not None
    assert raised.at < recovered.at <= local.cloud.clock.now()


def busy_rule(local: Local, hook: Receiver) -> None:
    now = local.cloud.clock.now()
    condition = Condition(comparison="GreaterThanOrEqualToThreshold", statistic="Average", threshold=95, times=3)
    local.cloud.cms.alarms.put(
        MetricRule(
            id="dr-cpu",
            name="busy",
            namespace="acs_ecs_dashboard",
            metric="CPUUtilization",
            resources=[{"instanceId": "i-app"}],
            conditions={"CRITICAL": condition},
            webhook=hook.url,
            created=now,
            changed=now,
        )
    )


def gauge(local: Local, value: float) -> None:
    local.cloud.cms.metrics.set_gauge("acs_ecs_dashboard", "CPUUtilization", "i-app", value)


def test_an_event_published_by_hand_reaches_the_webhook_that_was_registered_by_hand(
    local: Local, hook: Receiver
) -> None:
    post(local, "webhooks", {"url": hook.url, "shape": "cms-json", "filter": {"name": "*Preemptible*"}})
    post(
        local,
        "events",
        {
            "name": "Instance:PreemptibleInstanceInterruption",
            "level": "WARN",
            "content": {"instanceId": "i-app", "action": "delete"},
        },
    )
    local.advance(2)

    notice = only(parse(hook.bodies[0]))

    assert notice.kind is EventKind.INSTANCE_INTERRUPTION
    assert (notice.instance, notice.outcome) == ("i-app", "delete")


def post(local: Local, path: str, body: dict[str, Any]) -> Any:
    request = Request(f"{local.url}/_emulator/{path}", data=json.dumps(body).encode())
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
