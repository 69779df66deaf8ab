"""Traps of events and alarms, each sprung: what a receiver must expect, and what it must not rely on."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from emulator.bus import CloudEvent
from emulator.cloud import Cloud
from emulator.cms.api.answers import VERSION
from emulator.cms.metrics import Point
from emulator.cms.rpc import operations
from emulator.events import shapes
from emulator.events.alarm import Alarm
from emulator.events.deeds import publish
from emulator.events.oddities import OddityError
from emulator.events.target import THRESHOLD, FunctionTarget, TargetError, Webhook, webhook
from emulator.fc.eventbridge import cloud_event
from emulator.seed import load_text
from emulator.testing import Local, mock_aliyun
from emulator.wire.call import ApiError, Call, Caller
from emulator.wire.declare import check_error, check_parameters
from tests.emulator.scaling_stage import WORLD
from tests.emulator.webhook import Receiver, receiver

FAILURE = {
    "eventId": "e-1",
    "instanceId": "i-one",
    "eventType": "SystemFailure.Reboot",
    "eventStatus": "Executing",
}


class Stage:
    """A world whose deliveries are kept instead of sent."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        load_text(WORLD, self.cloud, where="world", settings={})
        self.sent: list[str] = []
        posting = self.cloud.deliveries._posting
        posting.post = lambda target, body, *_, **__: self.sent.append(body)  # type: ignore[method-assign]

    def ask(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        realm = self.cloud.home
        flat = {name: str(value) for name, value in {**(given or {}), **more}.items()}
        operation = operations(realm)[VERSION, action]
        check_parameters(operation, flat, action)
        caller = Caller(account=realm.account, access_key="testid", role=None)
        call = Call(version=VERSION, action=action, region=realm.region, params=flat, caller=caller)
        try:
            return operation(call)
        except ApiError as error:
            check_error(operation, error, action)
            raise

    def advance(self, seconds: float) -> None:
        self.cloud.clock.advance(timedelta(seconds=seconds))

    def hook(self, **body: object) -> None:
        self.cloud.deliveries.add_webhook(webhook({"url": "http://127.0.0.1:1/hook", **body}))

    def rule(self, **more: object) -> None:
        wanted = {
            "RuleId": "dr-cpu", "RuleName": "busy", "Namespace": "acs_ecs_dashboard", "MetricName": "CPUUtilization",
            "Resources": '[{"instanceId": "i-one"}]', "Webhook": "http://127.0.0.1:1/hook",
            "Escalations.Critical.ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Escalations.Critical.Statistics": "Average", "Escalations.Critical.Threshold": 95,
            "Escalations.Critical.Times": 3,
        }  # fmt: skip
        self.ask("PutResourceMetricRule", {**wanted, **more})

    def gauge(self, value: float) -> None:
        self.cloud.cms.metrics.set_gauge("acs_ecs_dashboard", "CPUUtilization", "i-one", value)

    def alarms(self) -> list[dict[str, str]]:
        return [{name: values[0] for name, values in parse_qs(body).items()} for body in self.sent]


# Names and contents --------------------------------------------------------------------------------------------------


def test_the_second_notification_may_keep_the_suffix_of_the_first() -> None:
    stage = Stage()
    stage.cloud.events_oddities = {"stale_status"}
    stage.hook(shape="raw", filter={"name": "Instance:SystemFailure*"})

    stage.cloud.ecs.fail("i-one", recovers=True)
    stage.advance(900)

    told = [json.loads(body) for body in stage.sent]
    assert [one["name"].split(":")[2] for one in told] == ["Executing", "Executing"]
    assert [one["content"]["eventStatus"] for one in told] == ["Executing", "Executed"]


def test_a_cloud_event_has_no_status_in_its_type() -> None:
    stage = Stage()
    told: list[CloudEvent] = []
    stage.cloud.bus.subscribe(told.append)

    stage.cloud.ecs.fail("i-one", recovers=True)
    failure = next(event for event in told if "SystemFailure" in event.name)

    assert failure.name == "Instance:SystemFailure.Reboot:Executing"
    assert cloud_event(failure, published=failure.at)["type"] == "ecs:Instance:SystemFailure.Reboot"


def test_a_state_change_names_its_resource_bare_and_not_by_arn() -> None:
    stage = Stage()
    stage.hook(shape="raw", filter={"name": "Instance:StateChange"})

    stage.cloud.ecs.lifecycle.stop(stage.cloud.ecs.find_instance("i-one"))
    stage.advance(1)

    told = json.loads(stage.sent[0])
    assert told["content"]["resourceId"] == "i-one"
    assert told["resourceId"].endswith(":instance/i-one")


def test_content_may_be_a_text() -> None:
    stage = Stage()
    stage.cloud.events_oddities = {"content_as_text"}
    stage.hook(shape="raw")

    publish(stage.cloud, name="Instance:SystemFailure.Reboot:Executing", content=FAILURE)
    stage.advance(1)

    content = json.loads(stage.sent[0])["content"]
    assert isinstance(content, str)
    assert json.loads(content) == FAILURE


def test_the_same_event_may_come_twice_with_one_id() -> None:
    stage = Stage()
    stage.cloud.events_oddities = {"doubled"}
    stage.hook(shape="raw")

    publish(stage.cloud, name="Instance:SystemFailure.Reboot:Executing", content=FAILURE)
    stage.advance(1)

    assert len(stage.sent) == 2
    assert stage.sent[0] == stage.sent[1]


def test_a_test_event_has_no_id_version_user_or_time() -> None:
    stage = Stage()
    stage.ask("PutEventRule", {"RuleName": "dr", "EventPattern.1.Product": "ECS"})
    stage.ask(
        "PutEventRuleTargets",
        {"RuleName": "dr", "WebhookParameters.1.Id": "1", "WebhookParameters.1.Url": "http://127.0.0.1:1/hook"},
    )

    stage.ask(
        "SendDryRunSystemEvent",
        Product="ECS",
        EventName="Instance:SystemFailure.Reboot:Executing",
        EventContent=json.dumps(FAILURE),
    )
    stage.advance(1)

    told = json.loads(stage.sent[0])
    assert not {"id", "ver", "userId", "eventTime"} & told.keys()
    assert told["content"] == FAILURE


def test_a_form_of_the_subscription_holds_its_objects_as_json_texts() -> None:
    stage = Stage()
    stage.hook(shape="cms-form")

    publish(stage.cloud, name="Instance:SystemFailure.Reboot:Executing", content=FAILURE)
    stage.advance(1)

    fields = {name: values[0] for name, values in parse_qs(stage.sent[0]).items()}
    assert json.loads(fields["alert"])["eventContentMap"] == FAILURE
    assert fields["time"].isdigit()


def test_a_snapshot_that_failed_is_told_as_completed_and_only_its_result_says_so() -> None:
    stage = Stage()
    stage.hook(shape="raw", filter={"name": "Snapshot:*"})
    snapshots = stage.cloud.ecs.snapshots
    snapshots.fail_next("d-one")

    made = snapshots.create("d-one", name="dr-1")
    stage.advance(7200)
    snapshots.delete(made.id)
    stage.advance(1)

    told = [json.loads(body) for body in stage.sent]
    assert [one["name"] for one in told] == [
        "Snapshot:CreateSnapshotInitiated",
        "Snapshot:CreateSnapshotCompleted",
        "Snapshot:SnapshotDeleted",
    ]
    assert (told[1]["level"], told[1]["content"]["result"]) == ("INFO", "failed")
    assert "status" not in told[1]["content"]


def test_a_stalled_disk_has_no_status_and_is_over_when_it_has_a_finish_time() -> None:
    stage = Stage()
    stage.hook(shape="raw", filter={"name": "Disk:Stalled*"})
    ecs = stage.cloud.ecs

    ecs.events.trouble(ecs.disks.find("d-one"), "Stalled")
    stage.advance(60)
    ecs.events.over("d-one")
    stage.advance(1)

    begun, over = [json.loads(body)["content"] for body in stage.sent]
    assert "eventStatus" not in begun | over
    assert "executeFinishTime" not in begun
    assert "executeFinishTime" in over


# Threshold alarms -----------------------------------------------------------------------------------------------------


def test_one_alert_in_a_day_however_long_it_lasts() -> None:
    stage = Stage()
    stage.rule()
    stage.gauge(99)

    stage.advance(86_000)
    in_a_day = len(stage.sent)
    stage.advance(3_600)

    assert in_a_day == 1, "one lost callback is a day of silence"
    assert [alarm["alertState"] for alarm in stage.alarms()] == ["ALERT", "ALERT"]


def test_the_mute_period_cannot_be_below_an_hour() -> None:
    stage = Stage()
    with pytest.raises(ApiError) as refused:
        stage.rule(SilenceTime=600)
    assert refused.value.code == "ParameterInvalid"

    stage.rule(SilenceTime=3600)
    stage.gauge(99)
    stage.advance(2 * 3600 + 300)
    assert len(stage.sent) == 3


def test_a_peak_shorter_than_the_evaluation_count_says_nothing() -> None:
    stage = Stage()
    stage.rule()

    stage.gauge(99)
    stage.advance(120)
    stage.gauge(5)
    stage.advance(600)

    assert stage.sent == []


def test_recovery_is_a_call_of_its_own() -> None:
    stage = Stage()
    stage.rule()
    stage.gauge(99)
    stage.advance(600)
    stage.gauge(5)
    stage.advance(600)

    assert [(one["alertState"], one["triggerLevel"], one["preTriggerLevel"]) for one in stage.alarms()] == [
        ("ALERT", "CRITICAL", "OK"),
        ("OK", "OK", "CRITICAL"),
    ]


def test_a_dead_instance_has_no_data_and_so_by_default_no_alarm() -> None:
    stage = Stage()
    stage.rule(**{"Escalations.Critical.ComparisonOperator": "LessThanThreshold", "Escalations.Critical.Threshold": 1})

    stage.cloud.ecs.fail("i-one", recovers=False)
    stage.advance(7200)

    assert stage.sent == [], "nothing is below the line, there is simply nothing"
    answer = stage.ask("DescribeMetricLast", Namespace="acs_ecs_dashboard", MetricName="CPUUtilization",
                       Dimensions='{"instanceId": "i-one"}')  # fmt: skip
    assert json.loads(answer["Datapoints"]) == []


def test_missing_data_alarm_only_where_the_rule_asks_for_it() -> None:
    stage = Stage()
    stage.rule(NoDataPolicy="INSUFFICIENT_DATA")

    stage.cloud.ecs.fail("i-one", recovers=False)
    stage.advance(7200)

    assert [alarm["alertState"] for alarm in stage.alarms()] == ["INSUFFICIENT_DATA"]


def test_missing_data_of_one_is_missed_also_by_a_rule_for_all() -> None:
    stage = Stage()
    stage.rule(Resources='[{"resource": "_ALL"}]', NoDataPolicy="INSUFFICIENT_DATA")
    stage.advance(300)

    stage.cloud.ecs.lifecycle.stop(stage.cloud.ecs.find_instance("i-one"))
    stage.advance(900)

    told = [(one["alertState"], one["triggerLevel"]) for one in stage.alarms()]
    assert told == [("INSUFFICIENT_DATA", "CRITICAL")]


def test_a_rule_for_all_forgets_who_is_gone_instead_of_alarming_for_ever() -> None:
    stage = Stage()
    stage.rule(Resources='[{"resource": "_ALL"}]')
    stage.gauge(99)
    stage.advance(600)
    assert stage.cloud.cms.alarms.rules["dr-cpu"].state == "ALERT"

    stage.cloud.ecs.lifecycle.release(stage.cloud.ecs.find_instance("i-one"))
    stage.advance(600)

    assert stage.cloud.cms.alarms.rules["dr-cpu"].state == "OK"


def test_metrics_of_who_is_gone_are_kept_for_a_month_and_no_longer() -> None:
    stage = Stage()
    stage.gauge(50)
    stage.cloud.ecs.lifecycle.release(stage.cloud.ecs.find_instance("i-one"))
    stage.advance(32 * 86_400)

    stage.cloud.ecs.lifecycle.release(stage.cloud.ecs.find_instance("i-two"))

    metrics = stage.cloud.cms.metrics
    assert ("i-one" in metrics._lives, len(metrics._gauges)) == (False, 0)


def test_values_that_come_late_stand_at_their_own_time() -> None:
    stage = Stage()
    now = stage.cloud.clock.now()
    metrics = stage.cloud.cms.metrics
    for minutes in (0, -3, -1, -60 * 24 * 40):
        at = now + timedelta(minutes=minutes)
        metrics.put("acs_customMetric_1", "depth", Point(at=at, dimensions={}, values={"Value": float(minutes)}))

    found = metrics.points(
        "acs_customMetric_1", "depth", [], since=now - timedelta(days=100), until=now, period=timedelta(minutes=1)
    )

    assert [point.values["Value"] for point in found] == [-3, -1, 0]


def test_dimensions_are_not_json_and_time_is_in_milliseconds_or_not() -> None:
    stage = Stage()
    stage.rule()
    stage.gauge(99)
    stage.advance(600)
    stage.cloud.events_oddities = {"stray_bracket", "seconds", "null_texts"}
    stage.gauge(5)
    stage.advance(600)

    plain, odd = stage.alarms()
    assert plain["dimensions"] == "{userId=1000000000000001, instanceId=i-one}"
    assert odd["dimensions"] == "{userId=1000000000000001, instanceId=i-one)}"
    assert (len(plain["timestamp"]), len(odd["timestamp"])) == (13, 10)
    assert odd["unit"] == "null"
    assert plain["metricProject"] == plain["namespace"] == "acs_ecs", "not the metric API's acs_ecs_dashboard"


def test_the_count_of_healthy_servers_is_spelt_as_the_cloud_spells_it() -> None:
    stage = Stage()
    stage.cloud.slb.get("lb-a").health |= {(80, "i-one"): "normal", (80, "i-two"): "abnormal"}
    stage.advance(60)

    def count(metric: str) -> list[float]:
        answer = stage.ask("DescribeMetricLast", Namespace="acs_slb_dashboard", MetricName=metric)
        return [point["Average"] for point in json.loads(answer["Datapoints"])]

    assert count("HeathyServerCount") == [1.0]
    assert count("UnhealthyServerCount") == [1.0]
    assert count("HealthyServerCount") == []


def test_a_balancer_publishes_no_event_when_its_servers_sicken() -> None:
    stage = Stage()
    stage.hook(shape="raw", filter={"product": "SLB"})
    stage.cloud.slb.get("lb-a").health |= {(80, "i-one"): "abnormal"}

    stage.advance(3600)

    assert stage.sent == []


# Webhooks, by real requests -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver() as box:
        yield box


@pytest.fixture(scope="module")
def server() -> Iterator[Local]:
    with mock_aliyun() as local:
        yield local


@pytest.fixture
def local(server: Local, hook: Receiver) -> Local:
    hook.got.clear()
    hook.statuses.clear()
    server.run(server.cloud.deliveries.webhooks.clear)
    server.run(server.cloud.deliveries.log.clear)
    server.run(lambda: server.cloud.deliveries.add_webhook(webhook({"url": hook.url, "shape": "raw"})))
    return server


def fire(local: Local) -> None:
    local.run(lambda: publish(local.cloud, name="Instance:SystemFailure.Reboot:Executing", content=FAILURE))


def test_a_receiver_that_fails_is_asked_three_times_more_and_then_never_again(local: Local, hook: Receiver) -> None:
    hook.statuses[:] = [500] * 10

    fire(local)
    local.advance(3600)

    assert len(hook.got) == 4
    assert [one.outcome for one in local.cloud.deliveries.log] == ["HTTP 500"] * 4


def test_a_receiver_that_recovers_gets_it_once_more_and_only_once(local: Local, hook: Receiver) -> None:
    hook.statuses[:] = [503]

    fire(local)
    local.advance(3600)

    assert len(hook.got) == 2
    assert hook.bodies[0] == hook.bodies[1]


def test_nobody_there_is_noted_and_given_up(local: Local) -> None:
    local.run(lambda: local.cloud.deliveries.webhooks.clear())
    local.run(lambda: local.cloud.deliveries.add_webhook(webhook({"url": "http://127.0.0.1:1/", "shape": "raw"})))

    fire(local)
    local.advance(3600)

    outcomes = [one.outcome for one in local.cloud.deliveries.log]
    assert len(outcomes) == 4
    assert all("Connect" in outcome for outcome in outcomes)


def test_time_does_not_pass_a_request_that_is_under_way(local: Local, hook: Receiver) -> None:
    fire(local)
    local.advance(1)

    assert len(hook.got) == 1, "the jump answered only when the receiver had"


# What is refused ------------------------------------------------------------------------------------------------------


def test_an_unknown_oddity_is_refused_by_name() -> None:
    with pytest.raises(OddityError, match="no such oddity: upside_down; there are stale_status"):
        Cloud().events_oddities = {"upside_down"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "url: an http"),
        ({"url": "ftp://x"}, "url: an http"),
        ({"url": "http://x", "shape": "yaml"}, "shape: 'yaml' is not one of"),
        ({"url": "http://x", "filter": {"colour": "red"}}, "filter: an object with keys among"),
    ],
)
def test_a_webhook_that_makes_no_sense_is_refused(body: dict[str, object], why: str) -> None:
    with pytest.raises(TargetError, match=why):
        webhook(body)


def test_an_alarm_has_no_other_shape_than_its_form() -> None:
    cloud = Cloud()
    alarm = Alarm(
        id="1", rule_id="r", rule_name="r", state="ALERT", level="CRITICAL", previous_level="OK", value=1.0,
        expression="$Average>=1", namespace="acs_ecs", metric="m", dimensions={}, instance_name="",
        at=cloud.clock.now(), since=cloud.clock.now(), account="1", region="cn-hangzhou",
    )  # fmt: skip

    with pytest.raises(ValueError, match="only the shape threshold"):
        cloud.deliveries.deliver(alarm, FunctionTarget(function="f", trigger="t"))
    assert "alertState=ALERT" in shapes.threshold(alarm)
    assert not Webhook(url="http://x", shape=THRESHOLD).takes(_event(cloud))


def _event(cloud: Cloud) -> CloudEvent:
    return CloudEvent(
        id="1",
        product="ECS",
        name="x",
        level="INFO",
        region="r",
        account="a",
        resource="",
        at=cloud.clock.now(),
        content={},
    )
