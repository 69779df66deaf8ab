"""Who is named in the lease row as one on whose pledges its holder may live: nobody who could not be found there."""

import logging
from datetime import timedelta

import pytest

from shared.domain.ids import Epoch, Place, SiteName
from shared.domain.pledge import place_of
from shared.ports.probes import AgentReport, Sight
from tests.agent.test_holder import Hands
from understudy.agent.peer_views import PeerViews

SITE, THERE = SiteName("hz-i"), Place("10.0.2.21:7001")


class Agents:
    """`at`: what answers at which place; nobody anywhere else."""

    def __init__(self) -> None:
        self.at: dict[Place, AgentReport] = {}

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self.at.get(place_of(address, port), AgentReport(sight=Sight.SILENT))

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        raise AssertionError("an agent orders nothing of its peers")

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        raise AssertionError("an agent orders nothing of its peers")


def seen(agents: Agents) -> tuple[PeerViews, Hands]:
    clock = Hands()
    views = PeerViews(agents, clock=clock)
    views.learn({SITE: THERE})
    views.look()
    return views, clock


def test_a_place_where_nobody_answers_is_no_voice() -> None:
    # A mistyped --peer would otherwise leave a row that nobody may ever take over.
    views, _ = seen(Agents())

    assert not views.hears(THERE)


@pytest.mark.parametrize("place", ["10.0.2.22:7001", ""], ids=["reached by a detour", "an older agent"])
def test_an_agent_that_believes_to_be_elsewhere_is_no_voice_and_that_is_said_once(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    agents = Agents()
    agents.at[THERE] = AgentReport(sight=Sight.ANSWERED, place=place)
    with caplog.at_level(logging.WARNING):
        views, _ = seen(agents)
        views.look()

    assert not views.hears(THERE)
    assert [record.message for record in caplog.records] == ["agent.peer_is_elsewhere"]


def test_a_peer_that_fell_silent_is_a_voice_for_a_few_seconds_more() -> None:
    agents = Agents()
    agents.at[THERE] = AgentReport(sight=Sight.ANSWERED, place=THERE)
    views, clock = seen(agents)
    assert views.hears(THERE)
    agents.at.clear()
    clock.at += 4.9
    views.look()
    assert views.hears(THERE)
    clock.at += 0.1

    assert not views.hears(THERE)


def test_each_look_tells_that_the_voices_may_have_changed() -> None:
    agents = Agents()
    views, _ = seen(agents)
    heard: list[bool] = []
    views.on_look = lambda: heard.append(views.hears(THERE))
    views.look()
    agents.at[THERE] = AgentReport(sight=Sight.ANSWERED, place=THERE)
    views.look()

    assert heard == [False, True]
