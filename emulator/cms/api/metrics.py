"""Metrics on the wire. Pages: api.aliyun.com, Cms 2019-01-01, one per action."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from emulator.cms.api.answers import WRONG, dimensions, done, milliseconds, moment, wrong
from emulator.cms.metrics import PERIOD, STATISTICS, Point
from emulator.wire import params, strict_json
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.cms.model import CloudMonitor

QUERY: Final = ("Namespace", "MetricName", "Dimensions", "Period", "StartTime", "EndTime", "Length", "NextToken")
MOST: Final = 1440
HOW_FAR_BACK: Final = timedelta(hours=2)


class MetricsApi:
    def __init__(self, cms: "CloudMonitor") -> None:
        self._cms = cms
        self._clock = cms.realm.clock

    @reads(
        "MetricList.N.MetricName", "MetricList.N.GroupId", "MetricList.N.Dimensions", "MetricList.N.Time",
        "MetricList.N.Type", "MetricList.N.Period", "MetricList.N.Values",
    )  # fmt: skip
    @raises(WRONG)
    def PutCustomMetric(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Up to 21 values; found again in the namespace `acs_customMetric_<account>`.

        Not modelled: aggregation of raw values (Type 0) over a period; every value is a point.
        """
        rows = params.objects(call.params, "MetricList")
        if not rows:
            raise params.missing("MetricList")
        if len(rows) > 21:
            raise wrong("MetricList", f"at most 21 values, got {len(rows)}")
        points = [(params.required(row, "MetricName"), self._point(row)) for row in rows]
        for metric, point in points:
            self._cms.metrics.put(self._cms.custom_namespace, metric, point)
        return {"Code": "200", "Message": "success"}

    def _point(self, row: params.Params) -> Point:
        try:
            read = strict_json.parse(params.required(row, "Values"))
            values = {str(key)[0].upper() + str(key)[1:]: float(value) for key, value in read.items()}
        except (ValueError, AttributeError, TypeError):
            raise wrong("Values", 'a JSON object such as {"value": 1.5} is needed') from None
        if not values or not values.keys() <= set(STATISTICS):
            raise wrong("Values", f"keys are among {', '.join(STATISTICS)}")
        named = dimensions(row, "Dimensions")
        return Point(
            at=moment(row, "Time") or self._clock.now(),
            dimensions={**(named[0] if named else {}), "groupId": row.get("GroupId", "0")},
            values=values,
        )

    @reads(*QUERY)
    @raises(WRONG)
    def DescribeMetricLast(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The newest point of each resource; none for an instance that does not run.

        Not modelled: expressions (`Express`).
        """
        period = _period(call)
        found = self._cms.metrics.last(
            params.required(call.params, "Namespace"),
            params.required(call.params, "MetricName"),
            dimensions(call.params, "Dimensions"),
            period=period,
        )
        return self._shown(found, period)

    @reads(*QUERY)
    @raises(WRONG)
    def DescribeMetricList(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Points of a time span, oldest first, paged by NextToken; two hours back unless asked otherwise.

        Not modelled: expressions (`Express`); the past of a balancer's health.
        """
        period = _period(call)
        until = moment(call.params, "EndTime") or self._clock.now()
        since = moment(call.params, "StartTime") or until - HOW_FAR_BACK
        found = self._cms.metrics.points(
            params.required(call.params, "Namespace"),
            params.required(call.params, "MetricName"),
            dimensions(call.params, "Dimensions"),
            since=since,
            until=min(until, self._clock.now()),
            period=period,
        )
        length = params.integer(call.params, "Length", 1000, low=1, high=MOST)
        start = params.integer(call.params, "NextToken", 0, low=0)
        answer = self._shown(found[start : start + length], period)
        if len(found) > start + length:
            answer["NextToken"] = str(start + length)
        return answer

    def _shown(self, points: list[Point], period: timedelta) -> dict[str, Any]:
        rows = [{"timestamp": milliseconds(one.at), **one.dimensions, **one.values} for one in points]
        return done(Datapoints=json.dumps(rows), Period=str(int(period.total_seconds())))


def _period(call: Call) -> timedelta:
    seconds = params.integer(call.params, "Period", int(PERIOD.total_seconds()), low=1)
    if seconds not in (15, 60, 300, 900, 3600):
        raise wrong("Period", f"15, 60, 300, 900 or 3600 seconds, not {seconds}")
    return timedelta(seconds=seconds)
