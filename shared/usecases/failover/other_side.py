"""What is known of the side that is to take over, beyond its answering: its data, its room, its protection; and whether
now is a time at which the pair may move by itself. Nothing here asks anybody in the round: it is what was seen anyway,
what the failover's row says, and what hooks answered aside.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from shared.domain.blackout import covering, windows
from shared.domain.failover_situation import SiteFacts, Situation
from shared.domain.ids import SiteName
from shared.domain.pair import Pair
from shared.domain.protection import lacking
from shared.ports.clock import Clock
from shared.state.failovers import Failover
from shared.usecases.failover.data_seen import DataSeen
from shared.usecases.failover.vetoes import Vetoes
from shared.usecases.failover.witness import Seen


class OtherSide:
    def __init__(self, pair: Pair, *, vetoes: Vetoes, clock: Clock) -> None:
        self._pair, self._vetoes, self._clock = pair, vetoes, clock
        self._data = DataSeen()

    def added(self, found: Situation, failover: Failover, seen: Seen, *, well: bool) -> Situation:
        """`found`, with all of it. When all is not `well`, hooks are asked: they answer later rounds."""
        self._data.note(seen)
        if not well:
            self._vetoes.ask()
        return replace(
            found,
            sites=self._sites(found, failover, seen.at),
            maintenance=self._maintenance(found),
            vetoes=() if well else self._vetoes.standing,
            asking="" if well else self._vetoes.waiting,
        )

    def _sites(self, found: Situation, failover: Failover, now: float) -> Mapping[SiteName, SiteFacts]:
        sites = dict(found.sites)
        for site in found.agreed.sites:
            facts = sites.get(site, SiteFacts())
            lost = failover.unprotected == site
            told = replace(
                facts,
                loss=self._data.loss(site, now) if site != found.active else None,
                short=failover.short.get(site, ""),
                unprotected=lacking(site, facts, found.agreed) if lost else "",
            )
            if site in sites or told != SiteFacts():
                sites[site] = told
        return sites

    def _maintenance(self, found: Situation) -> str:
        if not self._pair.maintenance:
            return ""
        ahead = found.now + timedelta(seconds=1)
        open_ = covering(windows(self._pair.maintenance, after=found.now - timedelta(days=1), until=ahead), found.now)
        return "" if open_ is None else f"maintenance {open_.because.removeprefix('blackout ')}"
