"""The balancer's health is asked in every fifth round; where its servers stand is asked once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Health
from shared.state.heartbeats import Heartbeats
from shared.usecases.failover.evidence import Evidence
from tests.simulation.failover_world import TruthStore, pair_policy
from tests.simulation.pair_world import H
from tests.simulation.world import Rows


class Region:
    """An inventory and a balancer of servers in two zones, which counts what it is asked for."""

    def __init__(self, **zones: str) -> None:
        self.zones = zones
        self.ill: set[str] = set()
        self.hidden: set[str] = set()  # from the inventory
        self.listed: list[tuple[InstanceId, ...]] = []

    def instances(self, *, ids: Sequence[InstanceId]) -> Iterator[Any]:
        self.listed.append(tuple(ids))
        return iter([_Server(one, self.zones[one]) for one in ids if one not in self.hidden])

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        return {InstanceId(one): Health.ABNORMAL if one in self.ill else Health.NORMAL for one in self.zones}


class _Server:
    def __init__(self, id: InstanceId, zone: str) -> None:
        self.id, self.zone = id, zone


class _Clock:
    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return 100.0

    def sleep(self, duration: object) -> None:
        raise AssertionError("nothing here sleeps")


def evidence(region: Region) -> Evidence:
    return Evidence(
        replace(pair_policy(), balancer=LoadBalancerId("lb-1")),
        site=H,
        heartbeats=Heartbeats(TruthStore(Rows())),
        inventory=region,  # type: ignore[arg-type]  # what is asked for here
        balancer=region,  # type: ignore[arg-type]
        probes=None,
        views=None,
        clock=_Clock(),
        aside=lambda look: look(),
    )


def test_servers_are_listed_when_they_are_new_and_never_again() -> None:
    region = Region(a="h", b="i")
    looking = evidence(region)
    for _ in range(3):
        looking.look_aside({}, closer=False)
    region.zones["c"] = "i"
    del region.zones["a"]
    looking.look_aside({}, closer=False)

    assert region.listed == [("a", "b"), ("c",)]
    assert looking._servers.newest() == (100.0, {"i": (2, 2)})


def test_health_is_as_new_as_the_look() -> None:
    region = Region(a="h", b="i")
    looking = evidence(region)
    looking.look_aside({}, closer=False)
    region.ill.add("b")
    looking.look_aside({}, closer=False)

    assert looking._servers.newest() == (100.0, {"h": (1, 1), "i": (0, 1)})


def test_a_server_that_the_inventory_does_not_list_is_asked_for_again() -> None:
    region = Region(a="h", b="i")
    region.hidden.add("b")
    looking = evidence(region)
    looking.look_aside({}, closer=False)
    assert looking._servers.newest() == (100.0, {"h": (1, 1)})

    region.hidden.clear()
    looking.look_aside({}, closer=False)

    assert region.listed == [("a", "b"), ("b",)]
    assert looking._servers.newest() == (100.0, {"h": (1, 1), "i": (1, 1)})
