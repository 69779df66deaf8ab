"""Metrics: what was put by hand or by programs, and what the emulated services show of themselves.

Source: CloudMonitor API 2019-01-01 (SDK 4.0.10), DescribeMetricLast, DescribeMetricList, PutCustomMetric.
An instance that does not run has no data, which is how its death looks from here. Only these show themselves:
`acs_ecs_dashboard` CPUUtilization (an idle value unless a gauge says otherwise) and `acs_slb_dashboard`
HeathyServerCount (sic) and UnhealthyServerCount, the latter as they are now (their past is not modelled).
"""

import json
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.instances import Instance
from emulator.slb.model import ABNORMAL, NORMAL

if TYPE_CHECKING:
    from emulator.realm import Realm

ECS: Final = "acs_ecs_dashboard"
SLB: Final = "acs_slb_dashboard"
HEALTHY: Final = "HeathyServerCount"  # the cloud's own spelling
UNHEALTHY: Final = "UnhealthyServerCount"
CPU: Final = "CPUUtilization"
IDLE_PERCENT: Final = 5.0  # assumption
PERIOD: Final = timedelta(seconds=60)
KEPT: Final = timedelta(days=31)
OLD_CHANGES: Final = 64
STATISTICS: Final = ("Average", "Minimum", "Maximum", "Sum", "Value", "Count")

Dimensions = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    at: datetime
    dimensions: Dimensions
    values: Mapping[str, float]  # by statistic

    def value(self, statistic: str) -> float | None:
        """A single value answers for every statistic."""
        found = self.values.get(statistic)
        return found if found is not None else self.values.get("Value")


@dataclass(slots=True)
class _Life:
    """When an instance ran: changes in order, with whether it ran from then on."""

    changes: list[tuple[datetime, bool]]

    def change(self, at: datetime, runs: bool) -> None:
        self.changes.append((at, runs))
        old = bisect_right(self.changes, at - KEPT, key=lambda change: change[0])
        if old > OLD_CHANGES:
            del self.changes[: old - 1]  # the last of them says how it was when what is kept begins

    def runs(self, at: datetime) -> bool:
        place = bisect_right(self.changes, at, key=lambda change: change[0])
        return place > 0 and self.changes[place - 1][1]


class Metrics:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._put: dict[tuple[str, str], list[Point]] = {}
        self._gauges: dict[tuple[str, str, str], list[tuple[datetime, float]]] = {}
        self._lives: dict[str, _Life] = {}
        self._buried: deque[tuple[datetime, str]] = deque()  # instances that are gone, in order
        self._watching = False

    # Writing --------------------------------------------------------------------------------------------------

    def put(self, namespace: str, metric: str, point: Point) -> None:
        points = self._put.setdefault((namespace, metric), [])
        insort(points, point, key=_at)
        del points[: bisect_right(points, self._realm.clock.now() - KEPT, key=_at)]

    def set_gauge(self, namespace: str, metric: str, resource: str, value: float) -> None:
        """From now on this metric of the resource (`i-...`, `lb-...`) reads so."""
        self.watch()
        self._gauges.setdefault((namespace, metric, resource), []).append((self._realm.clock.now(), value))

    def watch(self) -> None:
        """Remember from now on who runs when; nothing is remembered before somebody asks for metrics."""
        if self._watching:
            return
        self._watching = True
        for instance in self._realm.ecs.instances.values():
            if instance.state == "Running":
                since = instance.started or instance.created
                self._lives[instance.id] = _Life([(since, True)])
        self._realm.ecs.on_instance(self._changed)

    def _changed(self, instance: Instance, old: str, new: str) -> None:
        now = self._realm.clock.now()
        if "Running" in (old, new):
            self._lives.setdefault(instance.id, _Life([])).change(now, new == "Running")
        if new == "Deleted":
            self._buried.append((now, instance.id))
            self._forget_the_dead(now - KEPT)

    def _forget_the_dead(self, since: datetime) -> None:
        while self._buried and self._buried[0][0] < since:
            _, instance_id = self._buried.popleft()
            self._lives.pop(instance_id, None)
            for key in [key for key in self._gauges if key[2] == instance_id]:
                del self._gauges[key]

    # Reading --------------------------------------------------------------------------------------------------

    def points(
        self,
        namespace: str,
        metric: str,
        wanted: list[Dimensions],
        *,
        since: datetime,
        until: datetime,
        period: timedelta,
    ) -> list[Point]:
        """Oldest first, at full periods, `since` < point <= `until`, of the last 31 days. No wanted dimensions: of
        every resource."""
        self.watch()
        since = max(since, self._realm.clock.now() - KEPT)
        put = self._put.get((namespace, metric), [])
        first, end = bisect_right(put, since, key=_at), bisect_right(put, until, key=_at)
        found = [point for point in put[first:end] if _fits(point.dimensions, wanted)]
        if namespace == ECS:
            found += self._of_instances(metric, wanted, since, until, period)
        elif namespace == SLB and metric in (HEALTHY, UNHEALTHY):
            now = _floor(self._realm.clock.now(), period)
            if since < now <= until:
                found += [point for point in self._of_balancers(metric, now) if _fits(point.dimensions, wanted)]
        return sorted(found, key=lambda point: point.at)

    def last(self, namespace: str, metric: str, wanted: list[Dimensions], *, period: timedelta) -> list[Point]:
        """The newest point of each resource within the last two periods and a bit."""
        now = self._realm.clock.now()
        newest: dict[str, Point] = {}
        for point in self.points(namespace, metric, wanted, since=now - 2 * period, until=now, period=period):
            newest[json.dumps(dict(point.dimensions), sort_keys=True)] = point
        return list(newest.values())

    def _of_instances(
        self, metric: str, wanted: list[Dimensions], since: datetime, until: datetime, period: timedelta
    ) -> Iterator[Point]:
        resources = {one["instanceId"] for one in wanted if "instanceId" in one} or set(self._lives)
        for instance_id in sorted(resources & self._lives.keys()):
            gauge = self._gauges.get((ECS, metric, instance_id), [])
            if metric != CPU and not gauge:
                continue
            life = self._lives[instance_id]
            at = _floor(since, period) + period
            while at <= until:
                value = _gauged(gauge, at, IDLE_PERCENT if metric == CPU else None)
                if at > since and value is not None and life.runs(at):
                    dimensions = {"userId": self._realm.account, "instanceId": instance_id}
                    yield Point(
                        at=at, dimensions=dimensions, values={"Average": value, "Minimum": value, "Maximum": value}
                    )
                at += period

    def _of_balancers(self, metric: str, now: datetime) -> Iterator[Point]:
        """One point per listener whose check is on."""
        slb = self._realm.slb
        wanted = NORMAL if metric == HEALTHY else ABNORMAL
        for balancer in slb.balancers.values():
            for listener in balancer.listeners.values():
                if not listener.check.enabled:
                    continue
                members = slb.members(balancer, listener)
                count = float(sum(slb.health(balancer, listener, member.key) == wanted for member in members))
                yield Point(
                    at=now,
                    dimensions={
                        "userId": self._realm.account,
                        "instanceId": balancer.id,
                        "port": str(listener.port),
                        "protocol": listener.protocol,
                        "vip": balancer.address,
                    },
                    values={"Average": count, "Minimum": count, "Maximum": count},
                )


def _gauged(history: list[tuple[datetime, float]], at: datetime, default: float | None) -> float | None:
    place = bisect_right(history, at, key=lambda entry: entry[0])
    return history[place - 1][1] if place else default


def _at(point: Point) -> datetime:
    return point.at


def _fits(dimensions: Dimensions, wanted: list[Dimensions]) -> bool:
    return not wanted or any(all(dimensions.get(key) == value for key, value in one.items()) for one in wanted)


def _floor(at: datetime, period: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + period * ((at - epoch) // period)
