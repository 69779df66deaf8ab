"""This agent's view of the other sites' agents: it stands beside its own master, so its eyes are the standby's side.

One thread asks their GET /status; `/status` of this agent tells the last answers with their age.
"""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared.domain.ids import Place, SiteName
from shared.domain.pledge import address_of
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport, Agents

EVERY: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(seconds=1)


class PeerViews:
    def __init__(self, agents: Agents, *, clock: Clock) -> None:
        self._agents, self._clock = agents, clock
        self._places: Mapping[SiteName, Place] = {}
        self._views: dict[SiteName, tuple[float, AgentReport]] = {}
        self._ended = threading.Event()

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
            self._views[site] = began, self._agents.look(address, port, timeout=PATIENCE)

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
