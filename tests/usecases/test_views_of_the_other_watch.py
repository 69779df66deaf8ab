"""What the other site's watch tells counts while it is alive, and only then."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.detection import Finding, Observation, Source
from shared.domain.errors import Retryable
from shared.domain.ids import Epoch, SiteName
from shared.ports.balancer import Balancer
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.views import View, Views
from shared.usecases.failover.aside import Run
from shared.usecases.failover.evidence import Evidence
from shared.usecases.failover.witness import Witness
from tests.simulation.failover_world import TruthStore, pair_policy
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import Rows


class Clock:
    at = 100.0

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, duration: object) -> None:
        raise AssertionError("nothing here sleeps")


class Looking:
    """From H, where the master of H is active and not seen."""

    def __init__(self, aside: Run = lambda look: look(), beside: Run | None = None) -> None:
        self.rows, self.clock = Rows(), Clock()
        self.views = Views(TruthStore(self.rows))
        self.evidence = Evidence(
            replace(pair_policy(), agents=False),
            site=H,
            heartbeats=Heartbeats(TruthStore(self.rows)),
            inventory=None,  # type: ignore[arg-type]  # not asked here
            balancer=None,
            probes=None,
            views=self.views,
            clock=self.clock,
            aside=aside,
            beside=beside,
        )

    def told(self, sequence: int, **sees: str) -> None:
        self.views.write(
            PAIR, View(site=I, run="i-1", sequence=sequence, sees={SiteName(f"hz-{k}"): v for k, v in sees.items()})
        )

    def round(self, seconds: float) -> list[Observation]:
        self.clock.at += seconds
        self.evidence.share("h-1", {H: Finding.ABSENT})
        seen = self.evidence.observed(H, {}, Epoch(1), self.clock.at)
        return [one for one in seen if one.source is Source.SERVICE]


def test_a_view_that_was_there_before_says_nothing_until_it_changes() -> None:
    """Its writer may have ended an hour ago: nobody's wall clock tells."""
    looking = Looking()
    looking.told(7, h="absent")
    assert [looking.round(1.0) for _ in range(8)] == [[]] * 8

    looking.told(8, h="absent")
    [seen] = looking.round(1.0)
    assert (seen.witness, seen.finding, seen.age.total_seconds()) == (I, Finding.ABSENT, 0.0)
    [seen] = looking.round(2.0)
    assert seen.age.total_seconds() == 2.0
    assert looking.round(4.0) == []


def test_what_changed_while_this_watch_stood_still_is_no_news() -> None:
    """A frozen executor finds another row: perhaps written right after its last look, by a watch that died then."""
    looking = Looking()
    for sequence in (7, 8):
        looking.told(sequence, h="absent")
        looking.round(1.0)
    looking.told(9, h="absent")
    assert looking.round(60.0) == []

    looking.told(10, h="absent")
    [seen] = looking.round(1.0)
    assert seen.age.total_seconds() == 0.0


def test_a_thawed_watch_does_not_tell_as_new_what_it_saw_before() -> None:
    looks: list[Callable[[], None]] = []
    looking = Looking(beside=looks.append)
    looking.round(1.0)
    looking.clock.at += 60
    looks.pop()()
    assert looking.views.of(PAIR) == {}

    looking.round(1.0)
    looks.pop()()
    assert looking.views.of(PAIR)[H].sequence == 1


def test_a_finding_that_a_newer_watch_tells_of_is_passed_over() -> None:
    looking = Looking()
    looking.told(7, h="absent")
    looking.round(1.0)
    looking.told(8, h="drowsy", i="active")

    assert [(one.subject, one.finding) for one in looking.round(1.0)] == [(I, Finding.ACTIVE)]


def test_views_are_exchanged_though_slow_looks_fill_the_pool() -> None:
    """What the watches tell each other is a witness' word: a cloud API that hangs must not make it look silent."""
    looking = Looking(aside=lambda _: None, beside=lambda look: look())
    looking.round(1.0)

    assert looking.views.of(PAIR)[H].sequence == 1


class Unread(Views):
    def of(self, pair: object) -> dict[object, View]:  # type: ignore[override]  # it never answers
        raise Retryable("busy")


def witness(views: Views) -> Witness:
    store = TruthStore(Rows())
    nobody: Balancer | None = None
    return Witness(
        pair=replace(pair_policy(), agents=False),
        site=H,
        leases=Leases(store, tokens=lambda: "t"),
        heartbeats=Heartbeats(store),
        agents=None,  # type: ignore[arg-type]  # not asked here
        inventory=None,  # type: ignore[arg-type]
        balancer=nobody,
        clock=Clock(),
        aside=lambda _: None,
        views=views,
    )


def test_a_store_that_is_busy_does_not_end_a_minute_before_it_began() -> None:
    witness(Unread(TruthStore(Rows()))).learn_addresses()


def test_nobody_writes_a_first_lease_who_could_not_read_whether_there_was_one() -> None:
    with pytest.raises(Retryable):
        witness(Unread(TruthStore(Rows()))).misses_lease()
