"""The state of an instance and the events of its host are two calls under two permissions: one that is refused, or has
no answer, takes the other's voice with it no more."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from shared.domain.detection import Finding, Source
from shared.domain.errors import DrError, Forbidden, Retryable
from shared.domain.ids import Epoch, InstanceId
from shared.domain.inventory import InstanceState
from shared.state.heartbeats import Heartbeats
from shared.usecases.failover.evidence import Evidence
from tests.simulation.failover_world import INSTANCE, TruthStore, pair_policy
from tests.simulation.pair_world import H
from tests.simulation.world import Rows

ABSENT, STOPPED, FAILED = Finding.ABSENT, "stopped", "SystemFailure.Reboot executing"


class Platform:
    """Says that the master of H is stopped, and its host broken, unless `states` or `events` says something else."""

    states: DrError | None = None
    events: DrError | None = None

    def instances(self, *, ids: Sequence[InstanceId]) -> Iterator[Any]:
        if self.states is not None:
            raise self.states
        return iter([SimpleNamespace(id=INSTANCE[H], state=InstanceState.STOPPED)])

    def system_events(self, instance: InstanceId) -> Iterator[Any]:
        if self.events is not None:
            raise self.events
        kind, _, status = FAILED.partition(" ")
        found = SimpleNamespace(type=kind, status=status, finished=None)
        return iter([found] if instance == INSTANCE[H] else [])


class Clock:
    at = 100.0

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, duration: object) -> None:
        raise AssertionError("nothing here sleeps")


class Looking:
    def __init__(self) -> None:
        self.platform, self.clock = Platform(), Clock()
        self.evidence = Evidence(
            pair_policy(),
            site=H,
            heartbeats=Heartbeats(TruthStore(Rows())),
            inventory=self.platform,  # type: ignore[arg-type]  # what is asked for here
            balancer=None,
            probes=None,
            views=None,
            clock=self.clock,
            aside=lambda look: look(),
        )

    def voices(self) -> dict[Source, tuple[Finding, str, float]]:
        """What is heard of H, four seconds later."""
        self.clock.at += 4.0
        self.evidence.look_aside({}, closer=True)
        heard = self.evidence.observed(H, {}, Epoch(1), self.clock.at)
        return {one.source: (one.finding, one.detail, one.age.total_seconds()) for one in heard}


@pytest.mark.parametrize("error", [Forbidden("not allowed"), Retryable("no answer")])
def test_without_the_events_the_state_is_heard(error: DrError) -> None:
    looking = Looking()
    looking.platform.events = error

    assert looking.voices() == {Source.ECS: (ABSENT, STOPPED, 0.0)}


@pytest.mark.parametrize("error", [Forbidden("not allowed"), Retryable("no answer")])
def test_without_the_state_the_events_are_heard(error: DrError) -> None:
    looking = Looking()
    looking.platform.states = error

    assert looking.voices() == {Source.EVENT: (ABSENT, FAILED, 0.0)}


def test_each_has_the_age_of_its_own_call() -> None:
    looking = Looking()
    assert looking.voices() == {Source.ECS: (ABSENT, STOPPED, 0.0), Source.EVENT: (ABSENT, FAILED, 0.0)}

    looking.platform.events = Retryable("no answer")
    assert looking.voices() == {Source.ECS: (ABSENT, STOPPED, 0.0), Source.EVENT: (ABSENT, FAILED, 4.0)}
