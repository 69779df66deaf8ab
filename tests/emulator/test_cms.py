"""CloudMonitor as the official SDK sees it: metrics, rules, targets, events."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alibabacloud_cms20190101 import models as m
from alibabacloud_cms20190101.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.seed import load_text
from emulator.testing import Local, mock_aliyun
from tests.emulator.scaling_stage import WORLD
from tests.emulator.webhook import Receiver, receiver

ECS = "acs_ecs_dashboard"


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as cloud:
        cloud.run(lambda: load_text(WORLD, cloud.cloud, where="world", settings={}))
        yield cloud


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver() as box:
        yield box


@pytest.fixture(scope="module")
def cms(local: Local) -> Client:
    key, secret = local.access_key
    return Client(
        Config(
            endpoint=local.host,
            protocol="http",
            access_key_id=key,
            access_key_secret=secret,
            region_id="cn-hangzhou",
        )
    )


def critical(threshold: str, *, times: int = 1) -> m.PutResourceMetricRuleRequestEscalations:
    return m.PutResourceMetricRuleRequestEscalations(
        critical=m.PutResourceMetricRuleRequestEscalationsCritical(
            comparison_operator="GreaterThanOrEqualToThreshold",
            statistics="Average",
            threshold=threshold,
            times=times,
        )
    )


def rule(**over: Any) -> m.PutResourceMetricRuleRequest:
    wanted: dict[str, Any] = {
        "rule_id": "dr-lag",
        "rule_name": "lag",
        "namespace": "acs_customMetric_1000000000000001",
        "metric_name": "lag",
        "resources": '[{"groupId": "0"}]',
        "escalations": critical("60"),
    }
    return m.PutResourceMetricRuleRequest(**{**wanted, **over})


def last(cms: Client, namespace: str, metric: str, dimensions: str = "") -> list[dict[str, Any]]:
    request = m.DescribeMetricLastRequest(namespace=namespace, metric_name=metric, dimensions=dimensions or None)
    found: list[dict[str, Any]] = json.loads(cms.describe_metric_last(request).body.datapoints)
    return found


def test_a_running_instance_has_a_load_and_a_stopped_one_has_nothing(local: Local, cms: Client) -> None:
    assert last(cms, ECS, "CPUUtilization", '{"instanceId": "i-free"}')[0]["Average"] == 5.0

    local.run(lambda: local.cloud.ecs.lifecycle.stop(local.cloud.ecs.find_instance("i-free")))
    local.advance(300)

    assert last(cms, ECS, "CPUUtilization", '{"instanceId": "i-free"}') == []


def test_points_are_asked_for_from_the_beginning_of_time_and_only_kept_ones_come(local: Local, cms: Client) -> None:
    """The server's loop is not held up by half a century of minutes."""
    request = m.DescribeMetricListRequest(
        namespace=ECS, metric_name="CPUUtilization", start_time="0", dimensions='[{"instanceId": "i-one"}]', period="60"
    )

    points = json.loads(cms.describe_metric_list(request).body.datapoints)

    oldest = local.run(local.cloud.clock.now) - timedelta(days=31)
    assert all(point["timestamp"] >= oldest.timestamp() * 1000 for point in points)


def test_points_are_paged_by_token(local: Local, cms: Client) -> None:
    last(cms, ECS, "CPUUtilization")
    local.advance(600)
    request = m.DescribeMetricListRequest(
        namespace=ECS, metric_name="CPUUtilization", dimensions='{"instanceId": "i-one"}', length="4"
    )

    first = cms.describe_metric_list(request).body
    request.next_token = first.next_token
    second = cms.describe_metric_list(request).body

    stamps = [point["timestamp"] for page in (first, second) for point in json.loads(page.datapoints)]
    assert len(stamps) == 8
    assert stamps == sorted(set(stamps))
    assert all(stamp % 60_000 == 0 for stamp in stamps)


def test_a_value_of_our_own_raises_an_alarm_and_is_logged(local: Local, cms: Client, hook: Receiver) -> None:
    hook.got.clear()
    cms.put_resource_metric_rule(rule(webhook=hook.url))

    cms.put_custom_metric(
        m.PutCustomMetricRequest(
            metric_list=[
                m.PutCustomMetricRequestMetricList(
                    metric_name="lag", group_id="0", type="0", values='{"value": 90}', dimensions='{"role": "master"}'
                )
            ]
        )
    )
    local.advance(70)

    (listed,) = cms.describe_metric_rule_list(m.DescribeMetricRuleListRequest(rule_ids="dr-lag")).body.alarms.alarm
    (logged,) = cms.describe_alert_log_list(m.DescribeAlertLogListRequest(rule_id="dr-lag")).body.alert_log_list
    assert listed.alert_state == "ALERT"
    assert (listed.silence_time, listed.escalations.critical.threshold) == (86_400, "60")
    assert (logged.level, logged.send_status, logged.metric_name) == ("CRITICAL", "0", "lag")
    assert b"alertState=ALERT" in hook.bodies[0]
    assert hook.got[0].content_type == "application/x-www-form-urlencoded; charset=utf-8"
    cms.delete_metric_rules(m.DeleteMetricRulesRequest(id=["dr-lag"]))


def test_a_disabled_rule_says_nothing_until_it_is_enabled_again(local: Local, cms: Client, hook: Receiver) -> None:
    hook.got.clear()
    cms.put_resource_metric_rule(
        rule(namespace=ECS, metric_name="CPUUtilization", resources='[{"instanceId": "i-two"}]',
             escalations=critical("1"), webhook=hook.url)
    )  # fmt: skip
    cms.disable_metric_rules(m.DisableMetricRulesRequest(rule_id=["dr-lag"]))
    local.advance(600)
    silent = len(hook.got)

    cms.enable_metric_rules(m.EnableMetricRulesRequest(rule_id=["dr-lag"]))
    local.advance(600)

    assert (silent, len(hook.got)) == (0, 1)
    cms.delete_metric_rules(m.DeleteMetricRulesRequest(id=["dr-lag"]))
    local.advance(5)


def test_of_several_rules_the_bad_ones_are_named_in_the_answer_of_a_success(cms: Client) -> None:
    good = m.PutResourceMetricRulesRequestRules(
        rule_id="r-good", rule_name="good", namespace=ECS, metric_name="CPUUtilization",
        resources='[{"resource": "_ALL"}]', escalations=m.PutResourceMetricRulesRequestRulesEscalations(
            warn=m.PutResourceMetricRulesRequestRulesEscalationsWarn(
                comparison_operator="LessThanThreshold", statistics="Average", threshold="1", times=3
            )
        ),
    )  # fmt: skip
    bad = m.PutResourceMetricRulesRequestRules(rule_id="r-bad", rule_name="bad")

    answer = cms.put_resource_metric_rules(m.PutResourceMetricRulesRequest(rules=[good, bad])).body

    assert [(one.rule_id, one.result.code) for one in answer.failed_list_result.target] == [
        ("r-bad", "MissingParameter")
    ]
    cms.delete_metric_rules(m.DeleteMetricRulesRequest(id=["r-good"]))


def test_an_event_rule_sends_the_raw_event_to_its_webhook(local: Local, cms: Client, hook: Receiver) -> None:
    hook.got.clear()
    cms.put_event_rule(
        m.PutEventRuleRequest(
            rule_name="dr-failures",
            event_type="SYSTEM",
            event_pattern=[
                m.PutEventRuleRequestEventPattern(
                    product="ECS",
                    level_list=["CRITICAL"],
                    status_list=["Executing"],
                    name_list=["Instance:SystemFailure.Reboot:Executing"],
                )
            ],
        )
    )
    cms.put_event_rule_targets(
        m.PutEventRuleTargetsRequest(
            rule_name="dr-failures",
            webhook_parameters=[
                m.PutEventRuleTargetsRequestWebhookParameters(id="1", url=hook.url, method="POST", protocol="http")
            ],
            fc_parameters=[
                m.PutEventRuleTargetsRequestFcParameters(
                    id="2", region="cn-hangzhou", service_name="understudy", function_name="alarm"
                )
            ],
        )
    )

    local.run(lambda: local.cloud.ecs.fail("i-one", recovers=True))
    local.advance(900)

    (body,) = hook.bodies
    told = json.loads(body)
    assert told["name"] == "Instance:SystemFailure.Reboot:Executing"
    assert told["ver"] == "1.0"
    targets = cms.describe_event_rule_target_list(m.DescribeEventRuleTargetListRequest(rule_name="dr-failures")).body
    assert [one.url for one in targets.webhook_parameters.webhook_parameter] == [hook.url]
    assert [one.function_name for one in targets.fc_parameters.fcparameter] == ["alarm"]
    cms.delete_event_rules(m.DeleteEventRulesRequest(rule_names=["dr-failures"]))


def test_event_rules_are_listed_switched_and_stripped_of_targets(cms: Client) -> None:
    pattern = m.PutEventRuleRequestEventPattern(product="ECS", event_type_list=["Exception"], name_list=["x"])
    cms.put_event_rule(m.PutEventRuleRequest(rule_name="dr-one", event_pattern=[pattern], silence_time=60))
    target = m.PutEventRuleTargetsRequestMnsParameters(id="q", region="cn-hangzhou", queue="events")
    cms.put_event_rule_targets(m.PutEventRuleTargetsRequest(rule_name="dr-one", mns_parameters=[target]))

    cms.disable_event_rules(m.DisableEventRulesRequest(rule_names=["dr-one"]))
    (off,) = cms.describe_event_rule_list(m.DescribeEventRuleListRequest(name_prefix="dr-")).body.event_rules.event_rule
    cms.enable_event_rules(m.EnableEventRulesRequest(rule_names=["dr-one"]))
    one = cms.describe_event_rule_attribute(m.DescribeEventRuleAttributeRequest(rule_name="dr-one")).body.result
    cms.delete_event_rule_targets(m.DeleteEventRuleTargetsRequest(rule_name="dr-one", ids=["q"]))
    left = cms.describe_event_rule_target_list(m.DescribeEventRuleTargetListRequest(rule_name="dr-one")).body

    assert (off.name, off.state, off.silence_time) == ("dr-one", "DISABLED", 60)
    assert off.event_pattern.event_pattern[0].name_list.name_list == ["x"]
    assert (one.state, one.event_pattern.event_type_list.event_type_list) == ("ENABLED", ["Exception"])
    assert left.mns_parameters.mns_parameter == []
    cms.delete_event_rules(m.DeleteEventRulesRequest(rule_names=["dr-one"]))


def test_recent_events_are_listed_and_counted(local: Local, cms: Client) -> None:
    local.run(lambda: local.cloud.ecs.fail("i-two", recovers=True))
    request = m.DescribeSystemEventAttributeRequest(product="ecs", name="Instance:SystemFailure.Reboot:Executing")

    (newest, *_) = cms.describe_system_event_attribute(request).body.system_events.system_event
    counts = cms.describe_system_event_count(
        m.DescribeSystemEventCountRequest(product="ecs", name="Instance:SystemFailure.Reboot:Executing")
    ).body.system_event_counts.system_event_count

    assert (newest.level, newest.status) == ("CRITICAL", "Executing")
    assert newest.resource_id.endswith("instance/i-two")
    assert json.loads(newest.content)["instanceId"] == "i-two"
    assert newest.time == int(local.cloud.clock.now().timestamp() * 1000)
    assert all(one.num >= 1 for one in counts)


def test_custom_events_are_kept(cms: Client) -> None:
    cms.put_custom_event(
        m.PutCustomEventRequest(
            event_info=[m.PutCustomEventRequestEventInfo(event_name="drill", group_id="0", content="passed")]
        )
    )

    (found,) = cms.describe_custom_event_attribute(
        m.DescribeCustomEventAttributeRequest(name="drill")
    ).body.custom_events.custom_event

    assert (found.name, found.content) == ("drill", "passed")


# What is refused ------------------------------------------------------------------------------------------------------


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(ClientException) as error:
        call()
    return error.value.status_code, error.value.code


def test_a_rule_without_a_level_is_refused(cms: Client) -> None:
    assert refused(lambda: cms.put_resource_metric_rule(rule(escalations=None))) == (400, "MissingParameter")


def test_an_unknown_comparison_is_refused(cms: Client) -> None:
    odd = critical("1")
    odd.critical.comparison_operator = "GreaterThanYesterday"
    assert refused(lambda: cms.put_resource_metric_rule(rule(escalations=odd))) == (400, "ParameterInvalid")


def test_unknown_rules_are_not_found(cms: Client) -> None:
    assert refused(lambda: cms.delete_metric_rules(m.DeleteMetricRulesRequest(id=["none"]))) == (
        404,
        "ResourceNotFound",
    )
    assert refused(lambda: cms.delete_event_rules(m.DeleteEventRulesRequest(rule_names=["none"]))) == (
        404,
        "ResourceNotFound",
    )


def test_content_of_a_test_event_must_be_an_object(cms: Client) -> None:
    request = m.SendDryRunSystemEventRequest(product="ECS", event_name="x", event_content="[1]")
    assert refused(lambda: cms.send_dry_run_system_event(request)) == (400, "ParameterInvalid")
