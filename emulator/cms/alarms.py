"""Threshold rules and their state, evaluated on the emulated clock.

A rule looks once a period. A level is reached when its condition held so many times in a row (Times); then one ALERT
is sent, and no other for that resource within the mute period (SilenceTime, a day unless said otherwise, an hour at
least) while it lasts; a recovery sends OK. One lost callback can so mean a day of silence.
Source: CloudMonitor API PutResourceMetricRule (SDK 4.0.10) and documentation on alarm callbacks. Assumptions: a change
of level is told at once; a recovery is told unless SendOK is false; after it a new alarm is not muted.
Not modelled: composite expressions, Prometheus rules, contacts, effective intervals, comparison with the past.
"""

import json
import operator
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.clock import Due
from emulator.cms.metrics import ECS, SLB, Dimensions, Metrics, Point
from emulator.events.alarm import ALERT, INSUFFICIENT_DATA, OK, Alarm
from emulator.events.target import THRESHOLD, Webhook

if TYPE_CHECKING:
    from emulator.realm import Realm

SILENCE: Final = 86_400
LEAST_SILENCE: Final = 3_600
KEEP_LAST: Final = "KEEP_LAST_STATE"
LEVELS: Final = ("CRITICAL", "WARN", "INFO")
OPERATORS: Final[Mapping[str, tuple[str, Callable[[float, float], bool]]]] = {
    "GreaterThanOrEqualToThreshold": (">=", operator.ge),
    "GreaterThanThreshold": (">", operator.gt),
    "LessThanOrEqualToThreshold": ("<=", operator.le),
    "LessThanThreshold": ("<", operator.lt),
    "NotEqualToThreshold": ("!=", operator.ne),
    "EqualToThreshold": ("==", operator.eq),
}
LOG_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    comparison: str
    statistic: str
    threshold: float
    times: int

    def holds(self, value: float) -> bool:
        return OPERATORS[self.comparison][1](value, self.threshold)

    @property
    def expression(self) -> str:
        return f"${self.statistic}{OPERATORS[self.comparison][0]}{self.threshold:g}"


@dataclass(slots=True, kw_only=True)
class Standing:
    """How a rule sees one resource."""

    dimensions: Dimensions
    state: str = OK
    level: str = OK
    since: datetime
    told: datetime | None = None  # of the last ALERT
    in_a_row: dict[str, int] = field(default_factory=dict)  # by level
    without_data: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class MetricRule:
    id: str
    name: str
    namespace: str
    metric: str
    resources: list[Dimensions]  # empty: all
    conditions: dict[str, Condition]  # by level
    period: timedelta = timedelta(seconds=60)
    silence: int = SILENCE  # seconds
    webhook: str = ""
    send_ok: bool = True
    no_data: str = KEEP_LAST
    contact_groups: str = ""
    enabled: bool = True
    created: datetime
    changed: datetime
    standing: dict[str, Standing] = field(default_factory=dict)
    due: Due | None = field(default=None, repr=False)

    @property
    def state(self) -> str:
        """The worst of its resources."""
        states = {one.state for one in self.standing.values()}
        return next((state for state in (ALERT, INSUFFICIENT_DATA) if state in states), OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One notification, for DescribeAlertLogList."""

    alarm: Alarm
    muted: bool


class Alarms:
    def __init__(self, realm: "Realm", metrics: Metrics) -> None:
        self._realm = realm
        self._metrics = metrics
        self.rules: dict[str, MetricRule] = {}
        self.log: deque[Told] = deque(maxlen=LOG_KEPT)

    def put(self, rule: MetricRule) -> None:
        """A new rule, or another in place of the one with that id; it starts from OK."""
        self.remove(rule.id)
        self.rules[rule.id] = rule
        self._metrics.watch()
        self._plan(rule)

    def remove(self, id: str) -> bool:
        rule = self.rules.pop(id, None)
        if rule is None:
            return False
        self._unplan(rule)
        return True

    def enable(self, rule: MetricRule, on: bool) -> None:
        rule.enabled = on
        self._unplan(rule)
        self._plan(rule)

    def _plan(self, rule: MetricRule) -> None:
        if rule.enabled:
            rule.due = self._realm.clock.call_later(rule.period, lambda: self._look(rule), f"cms rule {rule.id}")

    def _unplan(self, rule: MetricRule) -> None:
        if rule.due is not None:
            rule.due.cancel()
            rule.due = None

    # Looking --------------------------------------------------------------------------------------------------

    def _look(self, rule: MetricRule) -> None:
        self._plan(rule)
        points = self._metrics.last(rule.namespace, rule.metric, rule.resources, period=rule.period)
        seen = set()
        for dimensions, values in self._by_resource(rule, points):
            key = json.dumps(dict(dimensions), sort_keys=True)
            seen.add(key)
            standing = self._standing(rule, key, dimensions)
            standing.without_data = 0
            self._judge(rule, standing, values)
        for resource in rule.resources:
            self._standing(rule, json.dumps(dict(resource), sort_keys=True), resource)
        for key, standing in list(rule.standing.items()):
            if key in seen:
                continue
            if not rule.resources and self._is_gone(rule, standing):
                del rule.standing[key]  # of all resources it is none any more (assumption: without a word)
            else:
                self._no_data(rule, standing)

    def _is_gone(self, rule: MetricRule, standing: Standing) -> bool:
        resource = standing.dimensions.get("instanceId", "")
        if rule.namespace == ECS:
            return resource not in self._realm.ecs.instances
        return rule.namespace == SLB and resource not in self._realm.slb.balancers

    def _by_resource(self, rule: MetricRule, points: list[Point]) -> list[tuple[Dimensions, list[Point]]]:
        """A resource is what the rule names; without names, what the points name."""
        if not rule.resources:
            return [(point.dimensions, [point]) for point in points]
        found = []
        for resource in rule.resources:
            mine = [p for p in points if all(p.dimensions.get(key) == value for key, value in resource.items())]
            if mine:
                found.append((resource, mine))
        return found

    def _standing(self, rule: MetricRule, key: str, dimensions: Dimensions) -> Standing:
        return rule.standing.setdefault(key, Standing(dimensions=dimensions, since=self._realm.clock.now()))

    def _judge(self, rule: MetricRule, standing: Standing, points: list[Point]) -> None:
        """Of several points of one resource (a balancer's listeners) one that holds suffices (assumption)."""
        reached, shown = "", None
        for level in LEVELS:
            condition = rule.conditions.get(level)
            if condition is None:
                continue
            values = [value for point in points if (value := point.value(condition.statistic)) is not None]
            bad = [value for value in values if condition.holds(value)]
            standing.in_a_row[level] = standing.in_a_row.get(level, 0) + 1 if bad else 0
            if bad and not reached and standing.in_a_row[level] >= condition.times:
                reached, shown = level, bad[0]
            elif shown is None and values:
                shown = values[0]
        self._move(rule, standing, ALERT if reached else OK, reached or OK, shown)

    def _no_data(self, rule: MetricRule, standing: Standing) -> None:
        """After as many looks without data as the most patient condition asks for."""
        standing.in_a_row.clear()
        standing.without_data += 1
        patience = max(condition.times for condition in rule.conditions.values())
        if rule.no_data == KEEP_LAST or standing.without_data < patience:
            return
        state = OK if rule.no_data == OK else INSUFFICIENT_DATA
        worst = next(level for level in LEVELS if level in rule.conditions)
        self._move(rule, standing, state, OK if state == OK else worst, None)

    # Telling --------------------------------------------------------------------------------------------------

    def _move(self, rule: MetricRule, standing: Standing, state: str, level: str, value: float | None) -> None:
        now = self._realm.clock.now()
        same = (state, level) == (standing.state, standing.level)
        previous = standing.level
        if standing.state != state:
            standing.since = now
        standing.state, standing.level = state, level
        if state == OK:
            standing.told = None
            if not same:
                self._tell(rule, standing, previous, value, muted=not rule.send_ok)
            return
        muted = same and standing.told is not None and now - standing.told < timedelta(seconds=rule.silence)
        if muted:
            return
        standing.told = now
        self._tell(rule, standing, previous, value, muted=False)

    def _tell(self, rule: MetricRule, standing: Standing, previous: str, value: float | None, *, muted: bool) -> None:
        condition = rule.conditions.get(standing.level) or rule.conditions.get(previous) or _first(rule)
        alarm = Alarm(
            id=self._realm.chance.request_id(),
            rule_id=rule.id,
            rule_name=rule.name,
            state=standing.state,
            level=standing.level,
            previous_level=previous,
            value=value,
            expression=condition.expression,
            namespace="acs_ecs" if rule.namespace == ECS else rule.namespace,  # as samples show it
            metric=rule.metric,
            dimensions=standing.dimensions,
            instance_name=self._name(standing.dimensions),
            at=self._realm.clock.now(),
            since=standing.since,
            account=self._realm.account,
            region=self._realm.region,
        )
        self.log.append(Told(alarm=alarm, muted=muted))
        if muted:
            return
        deliveries = self._realm.cloud.deliveries
        if rule.webhook:
            deliveries.deliver(alarm, Webhook(url=rule.webhook, shape=THRESHOLD))
        deliveries.alarm_raised(alarm)

    def _name(self, dimensions: Dimensions) -> str:
        instance = self._realm.ecs.instances.get(dimensions.get("instanceId", ""))
        return instance.name if instance is not None else ""


def _first(rule: MetricRule) -> Condition:
    return next(rule.conditions[level] for level in LEVELS if level in rule.conditions)
