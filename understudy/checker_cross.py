"""Accept logs against the recorded decisions and the cloud's trail. For what it claims see `understudy.checker`.

Moments of different sources are wall clocks that differ. An order between two sources is claimed only beyond the skew
that the caller allows for; what lies within it is not claimed, and never counts as broken.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from understudy.checker_exports import Change, Decided, Export

LATE: Final = 60.0
"""Seconds that a decision may be written after what it tells of, where it does not say when that began."""
DAY: Final = 86_400.0
"""Seconds. What comes that much too early or too late was stamped by a clock of another calendar."""
BOUND: Final = "failover.confirming"  # the decision that a name reads back as bound
OURS: Final = frozenset({"update"})
MADE: Final = "add"
"""Understudy makes no record. Where the trail begins with one that somebody made, that is the record itself."""
SILENT: Final = frozenset({"update_remark"})
"""What Understudy does to a record, and what it does to its remark, which answers nobody."""


class Accepted(Protocol):
    """An accepted command, as `understudy.checker.Line`."""

    @property
    def where(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def wall(self) -> float | None: ...


@dataclass
class Findings:
    violations: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        self.violations += other.violations
        self.unproved += other.unproved
        self.foreign += other.foreign
        self.notes += other.notes


@dataclass(frozen=True)
class Grant:
    """An epoch and the one site that had it, by everything that was recorded."""

    site: str
    decision: Decided
    began: float | None


def grants(export: Export[Decided]) -> tuple[Mapping[int, Grant], Findings]:
    """Who had which epoch. An epoch of two sites is a violation."""
    found = Findings()
    known: dict[int, Grant] = {}
    for one in sorted(export.lines, key=lambda line: not line.granted_to):
        site = one.granted_to or one.held_by
        if one.epoch is None or not site:
            continue
        before = known.get(one.epoch)
        if before is None:
            known[one.epoch] = Grant(site, one, one.began if one.granted_to else None)
        elif before.site != site:
            found.violations.append(
                f"epoch {one.epoch} was granted to two sites: {before.site} ({before.decision.where}) and {site} "
                f"({one.where})"
            )
        elif one.granted_to and one.began is not None:
            began = one.began if before.began is None else min(before.began, one.began)
            known[one.epoch] = Grant(site, before.decision, began)
    moves = sorted({one.move for one in export.lines if one.move is not None})
    gone = moves[-1] - moves[0] + 1 - len(moves) if moves else 0
    if gone:
        found.notes.append(
            f"{gone} of {moves[-1] - moves[0] + 1} writes of the failover's row are no recorded move: what is kept "
            "beside it (weights, sizes, warnings), or moves whose record was lost"
        )
    return known, found


def granted(accepted: Sequence[Accepted], export: Export[Decided], *, skew: float) -> Findings:
    """Each epoch under which something was accepted was given to that site before."""
    known, found = grants(export)
    unknown: set[tuple[int, str]] = set()
    wrong: set[tuple[int, str]] = set()
    without_wall = 0
    for one in accepted:
        grant = known.get(one.epoch)
        if grant is None:
            unknown.add((one.epoch, one.site))
            continue
        if grant.site != one.site:
            if (one.epoch, one.site) not in wrong:
                wrong.add((one.epoch, one.site))
                found.violations.append(
                    f"{one.site} accepted {one.id} under epoch {one.epoch} ({one.where}), which was granted to "
                    f"{grant.site} ({grant.decision.event}, {grant.decision.where})"
                )
            continue
        if one.wall is None:
            without_wall += 1
        elif grant.began is not None and one.wall + skew < grant.began:
            found.violations.append(
                f"{one.site} accepted {one.id} under epoch {one.epoch} at {told(one.wall)} ({one.where}), "
                f"{grant.began - one.wall:.1f} s before it was granted ({grant.decision.where}); clocks differ by "
                f"{skew:g} s at most"
            )
    for epoch, site in sorted(unknown):
        why = export.missing("decisions") or "its record was lost, or somebody wrote the lease row"
        found.unproved.append(f"no recorded decision grants epoch {epoch}, under which {site} accepted: {why}")
    if without_wall:
        found.notes.append(
            f"{without_wall} accepted commands carry no wall clock to go by: not compared in time with decisions"
        )
    return found


def of_another_calendar(accepted: Sequence[Accepted], export: Export[Decided]) -> tuple[Collection[int], list[str]]:
    """Which of the commands bear moments that cannot be: a day after the decisions were exported, or a day before their
    epoch was granted. And why nothing is proved, in a sentence for each site."""
    known, _ = grants(export)
    strange: dict[int, float] = {}
    for index, one in enumerate(accepted):
        grant = known.get(one.epoch)
        since = None if grant is None or grant.site != one.site else grant.began
        if one.wall is not None and one.wall > export.until + DAY:
            strange[index] = one.wall - export.until
        elif one.wall is not None and since is not None and one.wall + DAY < since:
            strange[index] = one.wall - since
    why = []
    for site in sorted({accepted[index].site for index in strange}):
        first, *more = (index for index in strange if accepted[index].site == site)
        apart = strange[first] / DAY
        than = "after the decisions were exported" if apart > 0 else "before their epoch was granted"
        why.append(
            f"clocks disagree: {len(more) + 1} accepted commands of {site} are stamped by more than a day {than} (the "
            f"first by {abs(apart):.1f} days: {accepted[first].where}), and are not compared in time; if all masters' "
            "wall clocks are off by the same, give it as --wall-shift SECONDS; else export the decisions anew"
        )
    return strange.keys(), why


def absent(sites: Collection[str], export: Export[Decided]) -> Findings:
    """`sites`: of all lines, refusals too. A site that was given an epoch and has no line at all left its log out."""
    known, _ = grants(export)
    found = Findings()
    for site in sorted({grant.site for grant in known.values()} - set(sites)):
        epochs = ", ".join(str(epoch) for epoch, grant in sorted(known.items()) if grant.site == site)
        found.unproved.append(
            f"no log has a line of {site}, which was given epoch {epochs}: add its log, also that of a lost machine"
        )
    return found


def named(decisions: Export[Decided], trail: Export[Change], *, skew: float) -> Findings:
    """Each change of a name has a decision with that value, and none is of an epoch lower than one before."""
    found = Findings()
    known: dict[str, list[Decided]] = {}
    for one in decisions.lines:
        for name in one.names:
            known.setdefault(name.lower(), []).append(one)
    first = min((one.at for one in decisions.lines), default=decisions.until)
    for name in sorted(set(trail.names) | {change.name for change in trail.lines}):
        changes = [one for one in trail.lines if one.name == name and one.action not in SILENT and one.moves]
        if trail.since is None and changes and changes[0].action == MADE:
            found.notes.append(f"{name} was made at {told(changes[0].at)} ({changes[0].where})")
            changes = changes[1:]
        earlier = [one for one in changes if one.at + skew < first]
        if earlier:
            found.notes.append(f"{len(earlier)} changes of {name} are older than all decisions: not judged")
        _in_order(name, changes[len(earlier) :], known.get(name, []), decisions, found, skew=skew)
        _all_there(name, [one for one in trail.lines if one.name == name], known.get(name, []), trail, found, skew=skew)
    covered = set(trail.names) | {change.name for change in trail.lines}
    for name in sorted(set(known) - covered):
        one = known[name][-1]
        found.unproved.append(
            f"the trail does not cover {name}, which the decision of {told(one.at)} ({one.where}) gave "
            f"{_value(one, name)}: it is of other names"
        )
    if not trail.complete:
        found.unproved.append(trail.missing("changes"))
    return found


def _in_order(
    name: str,
    changes: Iterable[Change],
    decided: Sequence[Decided],
    decisions: Export[Decided],
    found: Findings,
    *,
    skew: float,
) -> None:
    highest: tuple[int, Change] | None = None
    for change in changes:
        if change.action in OURS and not change.value:
            found.unproved.append(f"{change.where}: the trail does not say what {name} was changed to: {change.text!r}")
            continue
        epoch = epoch_of(change, name, decided, skew=skew) if change.action in OURS else None
        if epoch is None:
            whose = f" by {change.by}" if change.by else ""
            text = f"{change.action} of {name} at {told(change.at)}{whose} ({change.where}: {change.text})"
            if not decisions.complete and (decisions.since is None or change.at < decisions.since + skew):
                found.unproved.append(f"{text}: {decisions.missing('decisions')}")
            elif change.at > decisions.until - skew:
                found.unproved.append(
                    f"{text}: the decisions were exported before it; export them again, then the trail"
                )
            else:
                found.foreign.append(f"{text} follows from no recorded decision")
            continue
        if highest is not None and epoch < highest[0]:
            found.violations.append(
                f"{name} was changed to {change.value} at {told(change.at)} ({change.where}) under epoch {epoch}, "
                f"after it had been changed under epoch {highest[0]} ({highest[1].where}): a late write"
            )
        elif highest is None or epoch > highest[0]:
            highest = (epoch, change)


def epoch_of(change: Change, name: str, decided: Sequence[Decided], *, skew: float) -> int | None:
    """The newest epoch under which that value had been decided by then; None: none."""
    return max(
        (
            one.epoch
            for one in decided
            if one.epoch is not None
            and _value(one, name) == change.value
            and (one.at - LATE if one.began is None else one.began) <= change.at + skew
        ),
        default=None,
    )


def _all_there(
    name: str,
    changes: Sequence[Change],
    decided: Sequence[Decided],
    trail: Export[Change],
    found: Findings,
    *,
    skew: float,
) -> None:
    """What is recorded as bound stands in the trail, unless the name pointed there before. Else the trail is not
    whole, and then it proves nothing about what it lacks."""
    stood: Decided | None = None
    for one in sorted((line for line in decided if line.event == BOUND), key=lambda line: line.at):
        value = _value(one, name)
        if stood is None or _value(stood, name) != value:
            since = float("-inf") if stood is None else stood.at - skew
            shown = any(change.value == value and since < change.at <= one.at + skew for change in changes)
            bound = f"{name} was bound to {value} by the decision of {told(one.at)} ({one.where})"
            if not shown and trail.until < one.at:
                found.unproved.append(f"{bound}, after the trail was exported: export it again")
            elif not shown and trail.since is not None and trail.since > one.at - skew:
                found.unproved.append(f"{bound}, and the trail begins later, at {told(trail.since)}")
            elif not shown and stood is None:
                found.notes.append(f"{bound}, and no change to that is in the trail: by it, the name gave that before")
            elif not shown:
                found.unproved.append(
                    f"{bound}, and the trail shows no such change: it is not whole, or of another record"
                )
        stood = one


def _value(one: Decided, name: str) -> str:
    return next((value for key, value in one.names.items() if key.lower() == name), "")


def silenced(
    accepted: Sequence[Accepted], decisions: Export[Decided], trail: Export[Change], *, skew: float
) -> Findings:
    """Once a name was moved under an epoch, by the cloud's own clock, nothing is accepted under an older one."""
    found = Findings()
    moved: list[tuple[int, Change]] = []
    for change in (one for one in trail.lines if one.moves):
        decided = [one for one in decisions.lines if change.name in {key.lower() for key in one.names}]
        epoch = epoch_of(change, change.name, decided, skew=skew) if change.action in OURS and change.value else None
        if epoch is not None:
            moved.append((epoch, change))
    first = {epoch: min((change for of, change in moved if of == epoch), key=lambda one: one.at) for epoch, _ in moved}
    said: set[tuple[str, int, int]] = set()
    for one in accepted:
        for epoch, change in sorted(first.items()):
            if one.wall is None or one.epoch >= epoch or one.wall <= change.at + skew:
                continue
            if (one.site, one.epoch, epoch) not in said:
                said.add((one.site, one.epoch, epoch))
                found.violations.append(
                    f"{one.site} accepted {one.id} under epoch {one.epoch} at {told(one.wall)} ({one.where}), "
                    f"{one.wall - change.at:.1f} s after {change.name} had been moved under epoch {epoch} "
                    f"({change.where}); clocks differ by {skew:g} s at most"
                )
    return found


def told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
