"""Threshold rules on the wire. Pages: api.aliyun.com, Cms 2019-01-01, one per action."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from emulator.cms.alarms import (
    KEEP_LAST,
    LEAST_SILENCE,
    LEVELS,
    OPERATORS,
    SILENCE,
    Condition,
    MetricRule,
    Told,
)
from emulator.cms.api.answers import (
    NOT_FOUND,
    WRONG,
    dimensions,
    done,
    milliseconds,
    moment,
    not_found,
    paged,
    wrong,
)
from emulator.events.alarm import INSUFFICIENT_DATA, OK
from emulator.wire import params
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.cms.model import CloudMonitor

RULE: Final = (
    "RuleId", "RuleName", "Namespace", "MetricName", "Resources", "Period", "Interval", "SilenceTime", "Webhook",
    "SendOK", "NoDataPolicy", "ContactGroups", "EmailSubject",
    *(
        f"Escalations.{level.capitalize()}.{field}"
        for level in LEVELS
        for field in ("ComparisonOperator", "Statistics", "Threshold", "Times")
    ),
)  # fmt: skip


class MetricRulesApi:
    def __init__(self, cms: "CloudMonitor") -> None:
        self._cms = cms
        self._clock = cms.realm.clock
        self._alarms = cms.alarms

    @reads(*RULE)
    @raises(WRONG)
    def PutResourceMetricRule(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A new rule, or another in place of the one with that id.

        Not modelled: composite and Prometheus rules, effective intervals, labels, contacts, comparison with the past.
        """
        self._alarms.put(self._rule(call.params))
        return done()

    @reads(*(f"Rules.N.{name}" for name in RULE))
    @raises()
    def PutResourceMetricRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Each for itself: those that cannot be are listed in the answer of a success."""
        rows = params.objects(call.params, "Rules")
        if not rows:
            raise params.missing("Rules")
        failed = []
        for row in rows:
            try:
                self._alarms.put(self._rule(row))
            except ApiError as error:
                result = {"Code": error.code, "Message": error.message, "Success": False}
                failed.append({"RuleId": row.get("RuleId", ""), "Result": result})
        return done(FailedListResult={"Target": failed})

    def _rule(self, sent: params.Params) -> MetricRule:
        conditions = {
            level: _condition(sent, f"Escalations.{level.capitalize()}")
            for level in LEVELS
            if any(name.startswith(f"Escalations.{level.capitalize()}.") for name in sent)
        }
        if not conditions:
            raise params.missing("Escalations")
        silence = params.integer(sent, "SilenceTime", SILENCE)
        if silence < LEAST_SILENCE:
            raise wrong("SilenceTime", f"at least {LEAST_SILENCE} s, got {silence}")
        no_data = params.text(sent, "NoDataPolicy", KEEP_LAST)
        if no_data not in (KEEP_LAST, INSUFFICIENT_DATA, OK):
            raise wrong("NoDataPolicy", f"{no_data!r} is not {KEEP_LAST}, {INSUFFICIENT_DATA} or {OK}")
        period = params.integer(sent, "Period", 60, low=1) or 60
        old = self._alarms.rules.get(params.required(sent, "RuleId"))
        now = self._clock.now()
        params.required(sent, "Resources")
        return MetricRule(
            id=params.required(sent, "RuleId"),
            name=params.required(sent, "RuleName"),
            namespace=params.required(sent, "Namespace"),
            metric=params.required(sent, "MetricName"),
            resources=dimensions(sent, "Resources"),
            conditions=conditions,
            period=timedelta(seconds=period),
            silence=silence,
            webhook=params.text(sent, "Webhook", ""),
            send_ok=params.boolean(sent, "SendOK", True),
            no_data=no_data,
            contact_groups=params.text(sent, "ContactGroups", ""),
            created=old.created if old is not None else now,
            changed=now,
        )

    @reads("Id.N")
    @raises(NOT_FOUND)
    def DeleteMetricRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """All of them, or none when one is unknown (assumption)."""
        for rule in self._named(call, "Id"):
            self._alarms.remove(rule.id)
        return done()

    @reads("RuleId.N")
    @raises(NOT_FOUND)
    def EnableMetricRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """They look again from now on."""
        for rule in self._named(call, "RuleId"):
            self._alarms.enable(rule, True)
        return done()

    @reads("RuleId.N")
    @raises(NOT_FOUND)
    def DisableMetricRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """They say nothing, and stay."""
        for rule in self._named(call, "RuleId"):
            self._alarms.enable(rule, False)
        return done()

    def _named(self, call: Call, name: str) -> list[MetricRule]:
        ids = params.list_of(call.params, name)
        if not ids:
            raise params.missing(name)
        for one in ids:
            if one not in self._alarms.rules:
                raise not_found(f"The rule {one}")
        return [self._alarms.rules[one] for one in dict.fromkeys(ids)]

    @reads("RuleIds", "RuleName", "Namespace", "MetricName", "AlertState", "EnableState", "Page", "PageSize")
    @raises(WRONG)
    def DescribeMetricRuleList(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Pages by `Page`; `RuleIds` are separated by commas; the code is a number here."""
        ids = [one for one in params.text(call.params, "RuleIds", "").split(",") if one]
        enabled = params.boolean(call.params, "EnableState")
        asked = {
            name: value
            for name in ("RuleName", "Namespace", "MetricName", "AlertState")
            if (value := call.params.get(name))
        }
        found = []
        for rule in self._alarms.rules.values():
            shown = self._show(rule)
            if (
                (not ids or rule.id in ids)
                and (enabled is None or rule.enabled == enabled)
                and all(
                    value in shown[name] if name == "RuleName" else shown[name] == value
                    for name, value in asked.items()
                )
            ):
                found.append(shown)
        page = paged(call, found, number="Page")
        return {"Code": 200, "Success": True, "Message": "", "Total": str(len(found)), "Alarms": {"Alarm": page}}

    def _show(self, rule: MetricRule) -> dict[str, Any]:
        resources = json.dumps([dict(one) for one in rule.resources] or [{"resource": "_ALL"}])
        return {
            "RuleId": rule.id,
            "RuleName": rule.name,
            "Namespace": rule.namespace,
            "MetricName": rule.metric,
            "Resources": resources,
            "Dimensions": resources,
            "Period": str(int(rule.period.total_seconds())),
            "SilenceTime": rule.silence,
            "Webhook": rule.webhook,
            "SendOK": rule.send_ok,
            "NoDataPolicy": rule.no_data,
            "ContactGroups": rule.contact_groups,
            "EnableState": rule.enabled,
            "AlertState": rule.state,
            "SourceType": "METRIC",
            "GmtCreate": milliseconds(rule.created),
            "GmtUpdate": str(milliseconds(rule.changed)),
            "Escalations": {
                level.capitalize(): {
                    "ComparisonOperator": one.comparison,
                    "Statistics": one.statistic,
                    "Threshold": f"{one.threshold:g}",
                    "Times": one.times,
                }
                for level, one in rule.conditions.items()
            },
        }

    @reads(
        "StartTime", "EndTime", "RuleId", "RuleName", "Namespace", "MetricName", "Level", "SendStatus", "PageNumber",
        "PageSize",
    )  # fmt: skip
    @raises(WRONG)
    def DescribeAlertLogList(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What threshold rules told, newest first. SendStatus: 0 sent, 2 muted (assumption: 2 is "in mute period")."""
        since, until = moment(call.params, "StartTime"), moment(call.params, "EndTime")
        asked = {
            name: value
            for name in ("RuleId", "RuleName", "Namespace", "MetricName", "Level", "SendStatus")
            if (value := call.params.get(name))
        }
        found = [
            shown
            for told in reversed(self._alarms.log)
            if (since is None or told.alarm.at >= since) and (until is None or told.alarm.at <= until)
            for shown in (self._show_told(told),)
            if all(shown[name] == value for name, value in asked.items())
        ]
        number = params.integer(call.params, "PageNumber", 1, low=1)
        size = params.integer(call.params, "PageSize", 10, low=1, high=100)
        return done(AlertLogList=paged(call, found), PageNumber=number, PageSize=size)

    def _show_told(self, told: Told) -> dict[str, Any]:
        alarm = told.alarm
        return {
            "AlertTime": str(milliseconds(alarm.at)),
            "RuleId": alarm.rule_id,
            "RuleName": alarm.rule_name,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "InstanceId": alarm.dimensions.get("instanceId", ""),
            "InstanceName": alarm.instance_name,
            "Level": alarm.level,
            "LevelChange": f"{alarm.previous_level}->{alarm.level}",
            "LogId": alarm.id,
            "SendStatus": "2" if told.muted else "0",
            "Dimensions": [{"Key": key, "Value": value} for key, value in alarm.dimensions.items()],
            "Escalation": {"Expression": alarm.expression, "Level": alarm.level},
        }


def _condition(sent: params.Params, prefix: str) -> Condition:
    comparison = params.required(sent, f"{prefix}.ComparisonOperator")
    if comparison not in OPERATORS:
        raise wrong(f"{prefix}.ComparisonOperator", f"the emulator models {', '.join(OPERATORS)}, not {comparison}")
    text = params.required(sent, f"{prefix}.Threshold")
    try:
        threshold = float(text)
    except ValueError:
        raise wrong(f"{prefix}.Threshold", f"{text!r} is not a number") from None
    return Condition(
        comparison=comparison,
        statistic=params.required(sent, f"{prefix}.Statistics").removeprefix("$"),
        threshold=threshold,
        times=params.required_integer(sent, f"{prefix}.Times", low=1),
    )
