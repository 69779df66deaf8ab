"""Event rules and events on the wire. Pages: api.aliyun.com, Cms 2019-01-01, one per action."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from emulator.bus import CloudEvent
from emulator.cms.api.answers import NOT_FOUND, WRONG, done, milliseconds, moment, not_found, paged, wrong
from emulator.cms.event_rules import TARGET_KINDS, EventRule, Pattern
from emulator.cms.model import CustomEvent
from emulator.events.shapes import arn, kind
from emulator.wire import params, strict_json
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.cms.model import CloudMonitor

LISTS: Final = ("NameList", "LevelList", "EventTypeList", "StatusList")
FIELDS: Final = {
    "ContactParameters": ("Id", "ContactGroupName", "Level"),
    "FcParameters": ("Id", "Region", "ServiceName", "FunctionName"),
    "MnsParameters": ("Id", "Region", "Queue", "Topic"),
    "OpenApiParameters": ("Id", "Region", "Product", "Action", "Version", "Role", "Arn", "JsonParams"),
    "SlsParameters": ("Id", "Region", "Project", "LogStore"),
    "WebhookParameters": ("Id", "Url", "Protocol", "Method"),
}
ONE: Final = {
    "ContactParameters": "ContactParameter",
    "FcParameters": "FCParameter",
    "MnsParameters": "MnsParameter",
    "OpenApiParameters": "OpenApiParameters",
    "SlsParameters": "SlsParameter",
    "WebhookParameters": "WebhookParameter",
}
FILTERS: Final = (
    "Product",
    "Name",
    "Level",
    "Status",
    "EventType",
    "StartTime",
    "EndTime",
    "SearchKeywords",
    "GroupId",
)


class EventsApi:
    def __init__(self, cms: "CloudMonitor") -> None:
        self._cms = cms
        self._rules = cms.event_rules
        self._clock = cms.realm.clock

    # Rules ----------------------------------------------------------------------------------------------------

    @reads(
        "RuleName", "Description", "EventType", "GroupId", "SilenceTime", "State", "EventPattern.N.Product",
        "EventPattern.N.CustomFilters", *(f"EventPattern.N.{one}.N" for one in LISTS),
    )  # fmt: skip
    @raises(WRONG)
    def PutEventRule(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A new rule, or another in place of the one of that name, which keeps its targets.

        Not modelled: SQL filters.
        """
        rows = params.objects(call.params, "EventPattern")
        if not rows:
            raise params.missing("EventPattern")
        sort = params.text(call.params, "EventType", "SYSTEM")
        if sort not in ("SYSTEM", "CUSTOM"):
            raise wrong("EventType", f"{sort!r} is neither SYSTEM nor CUSTOM")
        state = params.text(call.params, "State", "ENABLED")
        if state not in ("ENABLED", "DISABLED"):
            raise wrong("State", f"{state!r} is neither ENABLED nor DISABLED")
        self._rules.put(
            EventRule(
                name=params.required(call.params, "RuleName"),
                description=params.text(call.params, "Description", ""),
                kind=sort,
                group_id=params.text(call.params, "GroupId", ""),
                state=state,
                silence=params.integer(call.params, "SilenceTime", 0, low=0),
                patterns=tuple(_pattern(row) for row in rows),
            )
        )
        return done(Data="1")

    @reads("RuleName", *(f"{sort}.N.{field}" for sort, fields in FIELDS.items() for field in fields))
    @raises(NOT_FOUND, WRONG)
    def PutEventRuleTargets(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Adds, or replaces those with the same id. Only functions and webhooks are really sent to."""
        rule = self._rule(call)
        added = 0
        for sort in TARGET_KINDS:
            for row in params.objects(call.params, sort):
                rule.targets.setdefault(sort, {})[params.required(row, "Id")] = dict(row)
                added += 1
        if not added:
            raise wrong("PutEventRuleTargets", f"give at least one of {', '.join(TARGET_KINDS)}")
        return done(FailedParameterCount="0")

    @reads("RuleName")
    @raises(NOT_FOUND)
    def DescribeEventRuleTargetList(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """All targets of one rule, by kind."""
        rule = self._rule(call)
        region, account = self._cms.realm.region, self._cms.realm.account
        answer: dict[str, Any] = {"Code": "200", "Message": ""}
        for sort in TARGET_KINDS:
            rows = []
            for fields in rule.targets.get(sort, {}).values():
                shown = {name: fields[name] for name in FIELDS[sort] if name in fields and name != "JsonParams"}
                if sort == "FcParameters":
                    where = fields.get("Region", region)
                    service, name = fields.get("ServiceName", ""), fields.get("FunctionName", "")
                    shown["Arn"] = f"acs:fc:{where}:{account}:services/{service}/functions/{name}"
                rows.append(shown)
            answer[sort] = {ONE[sort]: rows}
        return answer

    @reads("RuleName", "Ids.N")
    @raises(NOT_FOUND)
    def DeleteEventRuleTargets(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Ids that are not there are silently fine (assumption)."""
        rule = self._rule(call)
        for targets in rule.targets.values():
            for one in params.list_of(call.params, "Ids"):
                targets.pop(one, None)
        return done()

    @reads("NamePrefix", "IsEnable", "GroupId", "PageNumber", "PageSize")
    @raises()
    def DescribeEventRuleList(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Without targets: those have a call of their own."""
        prefix, group = params.text(call.params, "NamePrefix", ""), params.text(call.params, "GroupId")
        enabled = params.boolean(call.params, "IsEnable")
        found = [
            rule
            for rule in self._rules.rules.values()
            if rule.name.startswith(prefix)
            and (not group or rule.group_id == group)
            and (enabled is None or enabled == (rule.state == "ENABLED"))
        ]
        return done(EventRules={"EventRule": [_show(rule) for rule in paged(call, found)]}, Total=len(found))

    @reads("RuleName", "SilenceTime")
    @raises(NOT_FOUND)
    def DescribeEventRuleAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One rule, with its first pattern."""
        rule = self._rule(call)
        first = rule.patterns[0]
        return done(
            Result={
                "Name": rule.name,
                "Description": rule.description,
                "EventType": rule.kind,
                "GroupId": rule.group_id,
                "State": rule.state,
                "EventPattern": {
                    "Product": first.product,
                    "NameList": {"NameList": list(first.names)},
                    "LevelList": {"LevelList": list(first.levels)},
                    "EventTypeList": {"EventTypeList": list(first.kinds)},
                    "StatusList": {"StatusList": list(first.statuses)},
                },
            }
        )

    @reads("RuleNames.N")
    @raises(NOT_FOUND)
    def EnableEventRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """They send from now on."""
        for rule in self._named(call):
            rule.state = "ENABLED"
        return done()

    @reads("RuleNames.N")
    @raises(NOT_FOUND)
    def DisableEventRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """They stay, and send nothing."""
        for rule in self._named(call):
            rule.state = "DISABLED"
        return done()

    @reads("RuleNames.N")
    @raises(NOT_FOUND)
    def DeleteEventRules(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With their targets."""
        for rule in self._named(call):
            del self._rules.rules[rule.name]
        return done()

    def _rule(self, call: Call) -> EventRule:
        name = params.required(call.params, "RuleName")
        rule = self._rules.rules.get(name)
        if rule is None:
            raise not_found(f"The rule {name}")
        return rule

    def _named(self, call: Call) -> list[EventRule]:
        names = params.list_of(call.params, "RuleNames")
        if not names:
            raise params.missing("RuleNames")
        for name in names:
            if name not in self._rules.rules:
                raise not_found(f"The rule {name}")
        return [self._rules.rules[name] for name in dict.fromkeys(names)]

    # Events ---------------------------------------------------------------------------------------------------

    @reads("Product", "EventName", "EventContent", "GroupId")
    @raises(WRONG)
    def SendDryRunSystemEvent(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Tries the targets of event rules: what they get has no id, ver, userId and eventTime."""
        content: Any = {}
        if text := params.text(call.params, "EventContent"):
            try:
                content = strict_json.parse(text)
            except ValueError:
                content = None
            if not isinstance(content, dict):
                raise wrong("EventContent", "the text of a JSON object is needed")
        product = params.required(call.params, "Product")
        self._cms.dry_run(product.upper(), params.required(call.params, "EventName"), content)
        return {**done(), "Success": "true"}

    @reads(*FILTERS, "PageNumber", "PageSize")
    @raises(WRONG)
    def DescribeSystemEventAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """System events of this account and region, newest first, as long as the emulator keeps them."""
        rows = [_show_event(event) for event in paged(call, self._found(call))]
        return {**done(), "Success": "true", "SystemEvents": {"SystemEvent": rows}}

    @reads(*FILTERS)
    @raises(WRONG)
    def DescribeSystemEventCount(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """How often each event came to each resource."""
        found = self._found(call)
        counts = Counter((event.name, event.resource) for event in found)
        newest: dict[tuple[str, str], CloudEvent] = {}
        for event in found:
            newest.setdefault((event.name, event.resource), event)
        rows = []
        for key, event in newest.items():
            shown = {name: value for name, value in _show_event(event).items() if name != "Id"}
            rows.append({**shown, "Num": counts[key]})
        return {**done(), "Success": "true", "SystemEventCounts": {"SystemEventCount": rows}}

    def _found(self, call: Call) -> list[CloudEvent]:
        sent = call.params
        since, until = moment(sent, "StartTime"), moment(sent, "EndTime")
        product, name, level = (params.text(sent, one) for one in ("Product", "Name", "Level"))
        status, sort, words = (params.text(sent, one) for one in ("Status", "EventType", "SearchKeywords"))
        return [
            event
            for event in self._cms.events()
            if (not product or event.product.lower() == product.lower())
            and (not name or event.name == name)
            and (not level or event.level == level)
            and (not status or event.status == status)
            and (not sort or kind(event) == sort)
            and (not words or words in event.name or words in json.dumps(dict(event.content)))
            and (since is None or event.at >= since)
            and (until is None or event.at <= until)
        ]

    # Custom events --------------------------------------------------------------------------------------------

    @reads("EventInfo.N.EventName", "EventInfo.N.GroupId", "EventInfo.N.Time", "EventInfo.N.Content")
    @raises(WRONG)
    def PutCustomEvent(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Kept and listed.

        Not modelled: rules on custom events.
        """
        rows = params.objects(call.params, "EventInfo")
        if not rows:
            raise params.missing("EventInfo")
        for row in rows:
            self._cms.custom_events.append(
                CustomEvent(
                    id=self._cms.realm.chance.request_id(),
                    name=params.required(row, "EventName"),
                    group_id=row.get("GroupId", "0"),
                    content=row.get("Content", ""),
                    at=moment(row, "Time") or self._clock.now(),
                )
            )
        return {"Code": "200", "Message": "success"}

    @reads("EventId", "Name", "GroupId", "StartTime", "EndTime", "SearchKeywords", "PageNumber", "PageSize")
    @raises(WRONG)
    def DescribeCustomEventAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Custom events, newest first."""
        sent = call.params
        since, until = moment(sent, "StartTime"), moment(sent, "EndTime")
        event_id, name, group = (params.text(sent, one) for one in ("EventId", "Name", "GroupId"))
        words = params.text(sent, "SearchKeywords", "")
        found = [
            event
            for event in reversed(self._cms.custom_events)
            if (not event_id or event.id == event_id)
            and (not name or event.name == name)
            and (not group or event.group_id == group)
            and (words in event.name or words in event.content)
            and (since is None or event.at >= since)
            and (until is None or event.at <= until)
        ]
        rows = [
            {
                "Id": event.id,
                "Name": event.name,
                "GroupId": event.group_id,
                "Content": event.content,
                "Time": str(milliseconds(event.at)),
            }
            for event in paged(call, found)
        ]
        return {**done(), "Success": "true", "CustomEvents": {"CustomEvent": rows}}


def _pattern(row: params.Params) -> Pattern:
    names, levels, kinds, statuses = (tuple(params.list_of(row, one)) for one in LISTS)
    return Pattern(
        product=row.get("Product", ""),
        names=names,
        levels=levels,
        kinds=kinds,
        statuses=statuses,
        keyword=row.get("CustomFilters", ""),
    )


def _show(rule: EventRule) -> dict[str, Any]:
    return {
        "Name": rule.name,
        "Description": rule.description,
        "EventType": rule.kind,
        "GroupId": rule.group_id,
        "State": rule.state,
        "SilenceTime": rule.silence,
        "EventPattern": {
            "EventPattern": [
                {
                    "Product": one.product,
                    "NameList": {"NameList": list(one.names)},
                    "LevelList": {"LevelList": list(one.levels)},
                    "EventTypeList": {"EventTypeList": list(one.kinds)},
                    "CustomFilters": one.keyword,
                }
                for one in rule.patterns
            ]
        },
    }


def _show_event(event: CloudEvent) -> dict[str, Any]:
    return {
        "Id": event.id,
        "Name": event.name,
        "Product": event.product,
        "Level": event.level,
        "Status": event.status,
        "RegionId": event.region,
        "ResourceId": arn(event),
        "InstanceName": "",
        "GroupId": "",
        "Content": json.dumps(dict(event.content)),
        "Time": milliseconds(event.at),
    }
