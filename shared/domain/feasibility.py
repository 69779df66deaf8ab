"""Whether a policy can be kept at all, by arithmetic, before it is enabled.

What would go wrong although every key of it is well-formed is told with numbers, and with what would fit instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.api_waves import Wave, spread, wave_doubts, waves
from shared.domain.assumptions import Known
from shared.domain.capacity import QUOTA, RESERVE, automatic_notes, lock_doubts, most_points, quota_doubts
from shared.domain.copying import copy_doubts, first_copies
from shared.domain.cost import Cost, Prices, base, costs
from shared.domain.covered import Coverage, nominal, positions
from shared.domain.image_room import image_costs, room_doubts, room_notes
from shared.domain.overlap import overlap_doubts
from shared.domain.pair_cost import PairCost, pair_costs
from shared.domain.policy import Policy, Protection, Schedule
from shared.domain.quorum import quorum_doubts, quorum_notes
from shared.domain.recovery_bound import Bound, interval_that_fits, recovery_bound, target_that_fits
from shared.domain.timetable import ORDINARY, longest, ordinary
from shared.domain.wording import length

__all__ = ("QUOTA", "RESERVE", "Study", "doubts", "longest_pause", "most_points", "points_per_week", "study")

PLATFORM_RESTART: Final = timedelta(minutes=5)
"""Within about this, the platform itself restarts the instances of a failed host. A replacement that is built earlier
doubles a server that was coming back. Source: ECS, recovery of instances from failed hosts, read 2026-03."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a check found."""

    refused: tuple[str, ...]
    notes: tuple[str, ...]  # true, and no reason to refuse
    bounds: tuple[Bound, ...]  # by protection, in the policy's order
    waves: tuple[Wave, ...]  # the slowest first
    costs: tuple[Cost, ...] = ()
    base: float = 0.0  # a month, whatever is protected
    pairs: tuple[PairCost, ...] = ()

    @property
    def total(self) -> float:
        return self.base + sum(one.total for one in self.costs) + sum(one.total for one in self.pairs)

    def bound(self, protection: str) -> Bound:
        return next(one for one in self.bounds if one.protection == protection)


def study(
    policy: Policy,
    *,
    coverage: Coverage | None = None,
    known: Known | None = None,
    prices: Prices | None = None,
    since: datetime = ORDINARY,
) -> Study:
    """`coverage`: the real disks by protection; None: some of an assumed size and kind for each protection.
    `since`: from when on the coming year is looked at."""
    known = known or Known()
    disks = nominal(policy, known.assumptions) if coverage is None else coverage
    found = waves(policy, disks)
    bounds = tuple(_bound(policy, one, disks, known, found, since) for one in policy.protections)
    refused = [
        *quota_doubts(policy, disks, known),
        *lock_doubts(policy),
        *_overlaps(policy, disks, known),
        *(doubt for one in policy.protections for doubt in copy_doubts(one, disks.get(one.name, ()), known)),
        *wave_doubts(policy, found),
        *(doubt for bound in bounds for doubt in _target(policy, bound)),
        *_patience(policy),
        *room_doubts(policy),
        *quorum_doubts(policy),
    ]
    notes = [
        *automatic_notes(disks),
        *room_notes(policy),
        *quorum_notes(policy),
        *(note for one in policy.protections for note in first_copies(one, disks.get(one.name, ()), known)),
    ]
    return Study(
        refused=tuple(refused),
        notes=tuple(notes),
        bounds=bounds,
        waves=found,
        costs=() if prices is None else costs(policy, disks, known, prices) + image_costs(policy, known, prices),
        base=0.0 if prices is None else base(known, prices),
        pairs=() if prices is None else pair_costs(policy.pairs, prices),
    )


def doubts(policy: Policy) -> tuple[str, ...]:
    """Without a cloud, and with nothing measured."""
    return study(policy).refused


def points_per_week(schedules: tuple[Schedule, ...]) -> int:
    return len(ordinary(schedules, weeks=1))


def longest_pause(schedules: tuple[Schedule, ...]) -> timedelta:
    """The longest time between two due times of ordinary weeks."""
    widest = longest(ordinary(schedules, weeks=3))
    assert widest is not None, "every schedule is due at least once a week"
    return widest.length


def _bound(
    policy: Policy, protection: Protection, coverage: Coverage, known: Known, found: tuple[Wave, ...], since: datetime
) -> Bound:
    together = {name for one in positions(coverage) if protection.name in one.protections for name in one.protections}
    return recovery_bound(
        protection,
        disks=coverage.get(protection.name, ()),
        known=known,
        spread=spread(protection.name, found),
        since=since,
        together=[one for one in policy.protections if one.name in together],
    )


def _overlaps(policy: Policy, coverage: Coverage, known: Known) -> Iterator[str]:
    for position in positions(coverage):
        protections = [one for one in policy.protections if one.name in position.protections]
        yield from overlap_doubts(protections, position.largest, known)


def _target(policy: Policy, bound: Bound) -> Iterator[str]:
    if bound.holds or bound.length is None or bound.widest is None:
        return
    target = length(bound.target)
    subject = f"protection {bound.protection}: its schedules leave {length(bound.widest.length)} between two points"
    slower = interval_that_fits(bound)
    fits = f"{target_that_fits(bound)}{f', or {slower}' if slower else ''}"
    if bound.widest.length > bound.target:
        protection = policy.protection(bound.protection)
        assert protection is not None
        once = bound.widest.length > longest_pause(protection.schedules)
        when = (
            f" (once: from {bound.widest.since:%Y-%m-%d %H:%M}Z to {bound.widest.until:%m-%d %H:%M}Z)" if once else ""
        )
        yield f"{subject}{when}, more than rpo_target {target}. What fits: {fits}"
        return
    yield f"protection {bound.protection}: it is {bound}; that is more than rpo_target {target}. What fits: {fits}"


def _patience(policy: Policy) -> Iterator[str]:
    for rule in policy.rebuilds:
        if rule.patience < PLATFORM_RESTART:
            yield (
                f"rebuild {rule.name}: patience {int(rule.patience.total_seconds())} s is shorter than the platform's "
                f"own restart of a failed host, {length(PLATFORM_RESTART)}: the server would stand twice. Use 6m or "
                "more"
            )
