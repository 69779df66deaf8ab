"""Masters without agents, looked at as if they had one: their own service answers for them.

Such a master knows of no epoch, so what it says is put together with the lease row: it is "active" when its service is
well and the row names its site. Nothing here stops a master: `shared.usecases.failover.fencing` does.
"""

from collections.abc import Callable
from datetime import timedelta

from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import Sighting
from shared.domain.pair import Member, Pair
from shared.ports.probes import AgentReport, Probes, Sight


class ServiceMasters:
    """Agents port."""

    def __init__(
        self,
        pair: Pair,
        *,
        probes: Probes,
        address: Callable[[SiteName], str | None],
        sighting: Callable[[], Sighting | None],
        read: Callable[[], Sighting | None],
    ) -> None:
        """`sighting`: the lease row as read last; `read`: reads it anew."""
        self._pair, self._probes = pair, probes
        self._address, self._sighting, self._read = address, sighting, read

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:  # noqa: ARG002  the agent's port: there is none
        member = self._member(address)
        if member is None:
            return AgentReport(sight=Sight.SILENT, detail=f"{address} belongs to no master of {self._pair.name}")
        tried = self._probes.tries(address, member.port, path=self._pair.probe, timeout=timeout)
        sighting = self._sighting()
        lease = sighting.lease if sighting else None
        owns = lease is not None and lease.owner == member.site
        return AgentReport(
            sight=tried.sight,
            active=owns and tried.well,
            epoch=lease.epoch if lease is not None and owns else None,
            site=member.site,
            ready=tried.well,
            detail=tried.detail,
        )

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        """There is nobody to tell: it is promoted when the row names it and its service is well."""
        sighting = self._sighting()
        if sighting is None or sighting.lease.epoch < epoch:
            self._read()
        return self.look(address, port, timeout=timeout)

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:  # noqa: ARG002  nobody is asked
        return AgentReport(sight=Sight.SILENT, detail="no agent stands beside it: it is fenced instead")

    def _member(self, address: str) -> Member | None:
        return next((one for one in self._pair.members if self._address(one.site) == address), None)
