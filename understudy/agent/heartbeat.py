"""Tells the store who is here, every few seconds, and learns from the other sites' rows where their agents are.

In a thread of its own with a store client of its own: a slow heartbeat must not delay a renewal. What was learnt once
stays known while the store is away; that is when it is needed.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from shared.domain.errors import DrError
from shared.domain.ids import PairName, Place, SiteName
from shared.domain.pledge import place_of
from shared.state.heartbeats import Heartbeat, Heartbeats

log = logging.getLogger("understudy.agent")

BEAT_EVERY: Final = timedelta(seconds=5)
FIRST: Final = timedelta(milliseconds=500)  # so that the first beat tells what the first step brought


class Beating:
    def __init__(
        self,
        heartbeats: Heartbeats,
        *,
        pair: PairName,
        site: SiteName,
        now: Callable[[int], Heartbeat],
        learn: Callable[[Mapping[SiteName, Place], frozenset[Place]], None],
        given: Mapping[SiteName, Place],
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """`now(sequence)` gives the beat to write. `learn(places, pledging)` gets the other sites' agents, and those of
        them that give pledges. `given`: places that an operator named, which count instead of what is read. `also` is
        done with each beat, and never raises."""
        self._heartbeats, self._pair, self._site = heartbeats, pair, site
        self._now, self._learn, self._given, self._also = now, learn, dict(given), also
        self._ended = threading.Event()

    def run(self) -> None:
        if self._given:
            self._learn(self._given, frozenset(self._given.values()))
        sequence = 0
        while not self._ended.wait((BEAT_EVERY if sequence else FIRST).total_seconds()):
            sequence += 1
            self.once(sequence)

    def once(self, sequence: int) -> None:
        try:
            self._heartbeats.beat(self._pair, self._now(sequence))
            self._read()
        except DrError as error:
            log.warning("agent.heartbeat_lost", extra={"because": str(error)})
        self._also()

    def stop(self) -> None:
        self._ended.set()

    def _read(self) -> None:
        others = {site: beat for site, beat in self._heartbeats.of(self._pair).items() if site != self._site}
        places = {site: place_of(beat.address, beat.agent_port) for site, beat in others.items() if beat.agent_port}
        pledging = {places[site] for site, beat in others.items() if site in places and beat.pledges}
        for site, place in self._given.items():
            pledging.discard(places.get(site, place))
            pledging.add(place)
        self._learn({**places, **self._given}, frozenset(pledging))
