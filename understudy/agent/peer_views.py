"""This agent's view of the other sites' agents: it stands beside its own master, so its eyes are the standby's side.

One thread asks their GET /status; `/status` of this agent tells the last answers with their age. Only who was heard
lately at the very place that it gives as its own is worth naming as a voice in the lease row: one that stands there and
is not reached could keep everybody from taking over (a mistyped --peer, a peer that was replaced).
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from shared.domain.ids import Place, SiteName
from shared.domain.pledge import address_of
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport, Agents, Sight

log = logging.getLogger("understudy.agent")

EVERY: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(seconds=1)
HEARD_FOR: Final = timedelta(seconds=5)


class PeerViews:
    def __init__(self, agents: Agents, *, clock: Clock) -> None:
        self._agents, self._clock = agents, clock
        self._places: Mapping[SiteName, Place] = {}
        self._views: dict[SiteName, tuple[float, AgentReport]] = {}
        self._heard: dict[Place, float] = {}
        self._elsewhere: dict[Place, str] = {}
        self._ended = threading.Event()
        self.on_look: Callable[[], object] = lambda: None

    def learn(self, places: Mapping[SiteName, Place]) -> None:
        self._places = dict(places)

    def run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(EVERY.total_seconds())

    def stop(self) -> None:
        self._ended.set()

    def look(self) -> None:
        for site, place in dict(self._places).items():
            began = self._clock.monotonic()  # what the answer says was so at some instant after this
            address, port = address_of(place)
            report = self._agents.look(address, port, timeout=PATIENCE)
            self._views[site] = began, report
            if report.place == place:
                self._heard[place] = began
            elif report.sight is Sight.ANSWERED and self._elsewhere.get(place) != report.place:
                self._elsewhere[place] = report.place
                because = f"the agent at {place} says that it is at {report.place or 'no place'}: it is no voice"
                log.warning("agent.peer_is_elsewhere", extra={"site": site, "because": because})
        self.on_look()

    def hears(self, place: Place) -> bool:
        heard = self._heard.get(place)
        return heard is not None and self._clock.monotonic() - heard < HEARD_FOR.total_seconds()

    def told(self) -> dict[str, dict[str, object]]:
        now = self._clock.monotonic()
        return {
            site: {
                "sight": report.sight.value,
                "active": report.active,
                "epoch": None if report.epoch is None else int(report.epoch),
                "age_s": round(max(0.0, now - began), 3),
            }
            for site, (began, report) in dict(self._views).items()
        }
