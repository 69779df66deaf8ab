"""What would be lost by moving to a site now: from what its agent measured last, and when the active one was last well.

A lag that was measured before the loss says nothing of what was written since: that time counts as lost too. One that
was measured after the loss grows with the time since, and what is lost does not. Of all that was measured, the least
that follows is told: each is an upper bound.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.domain.failover_safety import HEARD_WITHIN
from shared.domain.ids import Epoch, SiteName
from shared.ports.probes import Sight
from shared.usecases.failover.witness import Seen


@dataclass(frozen=True, slots=True)
class _Measured:
    behind: timedelta
    at: float  # monotonic


class DataSeen:
    """Of one pair, from one watch. Lives from round to round."""

    def __init__(self) -> None:
        self._epoch: Epoch | None = None
        self._well: float | None = None  # when the active site was last seen at work
        self._measured: dict[SiteName, list[_Measured]] = {}

    def note(self, seen: Seen) -> None:
        lease = seen.lease
        if lease is None:
            return
        if lease.epoch != self._epoch:
            self._epoch, self._well, self._measured = lease.epoch, None, {}
        well = seen.at_work(lease.owner)
        if well:
            self._well = seen.at
        for site, report in seen.reports.items():
            if site == lease.owner or report.sight is not Sight.ANSWERED:
                continue
            if report.lag is None:
                # It does not know now. What it knew before a loss is still true of that moment.
                if well:
                    self._measured.pop(site, None)
                continue
            new = _Measured(report.lag, seen.at - (report.lag_age or timedelta(0)).total_seconds())
            before = [] if well else self._measured.get(site, [])
            # Never more than two: the best of before, and the newest.
            self._measured[site] = [*sorted(before, key=self._bound)[:1], new]

    def loss(self, site: SiteName, now: float) -> timedelta | None:
        """At most so much; None: nobody knows."""
        until = now if self._well is None else self._well
        known = [one for one in self._measured.get(site, []) if until - one.at <= HEARD_WITHIN.total_seconds()]
        return timedelta(seconds=round(min(map(self._bound, known)), 3)) if known else None

    def _bound(self, one: _Measured) -> float:
        unmeasured = 0.0 if self._well is None else max(0.0, self._well - one.at)
        return one.behind.total_seconds() + unmeasured
