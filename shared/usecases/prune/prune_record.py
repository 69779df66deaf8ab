"""The parts of a certificate: what is intended with some instances, and what became of it."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.guardrails import Spared
from shared.domain.ids import InstanceId, SnapshotId
from shared.domain.inventory import SnapshotLock
from shared.domain.place import Place
from shared.domain.pruning import Judged, Rule, Rules
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.certificates import Fate, InstanceLine, LeftoverLine, Part, PointLine, RuleLine, SnapshotLine
from shared.usecases.prune.prune_look import Look

TOUCHED = (Fate.INTENDED, Fate.GONE, Fate.STILL_THERE, Fate.UNKNOWN)
"""A deletion was asked for, or may have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known when all deletions of a part were asked for."""

    at: datetime
    after: Mapping[str, SnapshotLine]
    stopped: str = ""
    pinned: Collection[tuple[InstanceId, str]] = ()
    refused: Mapping[SnapshotId, str] = field(default_factory=dict)
    locks: Mapping[SnapshotId, SnapshotLock] = field(default_factory=dict)  # of what was refused
    asked: Collection[SnapshotId] | None = None  # snapshots whose deletion was; None: nobody knows any more


def blank(run: str, number: int, previous: str, place: Place, looked: datetime) -> Part:
    return {
        "run": run,
        "number": number,
        "previous": previous,
        "state": "begun",
        "region": place.region,
        "account": place.account,
        "looked": codec.moment(looked),
        "read_back": None,
        "instances": [],
        "leftovers": [],
        "before": {},
        "after": {},
        "digest": "",
    }


def intended(part: Part, batch: Collection[Judged], look: Look, spared: Collection[Spared], rules: Rules) -> Part:
    """`spared`: by the guard, of what the plan let go."""
    held = {one.point.key: one for one in spared}
    return {**part, "instances": [_instance(one, held, rules) for one in batch], "before": look.lines}


def concluded(part: Part, ended: Ended) -> Part:
    """What the read-back says of each point that was to go. A read-back that leaves out something that must remain, or
    that nobody asked to delete, was not read to its end, or somebody else deletes beside us: what it does not show is
    not called gone."""
    hidden = sorted(one for one in _untouched(part, ended) if one not in ended.after)
    blind = f"the read-back did not show {hidden[0]} either, which nobody asked to delete" if hidden else ""
    instances: list[InstanceLine] = []
    for instance in part["instances"]:
        points = [
            _became(instance["subject"], one, ended, blind=blind) if one["fate"] == Fate.INTENDED else one
            for one in instance["points"]
        ]
        instances.append({"subject": instance["subject"], "points": points})
    return {
        **part,
        "state": "ended",
        "read_back": codec.moment(ended.at),
        "instances": instances,
        "leftovers": [_left(one, ended, blind) if one["fate"] == Fate.INTENDED else one for one in part["leftovers"]],
        "after": dict(ended.after),
    }


def touched(part: Part) -> set[str]:
    """Snapshots whose deletion was asked for, or may have been."""
    of_points = {snapshot for _, one in points_of(part) if one["fate"] in TOUCHED for _, snapshot in one["disks"]}
    return of_points | {
        snapshot for one in part["leftovers"] if one["fate"] in TOUCHED for snapshot in one["snapshots"]
    }


def witnesses_of(part: Part) -> set[str]:
    """What was shown and must remain."""
    return set(part["before"]) - touched(part)


def _untouched(part: Part, ended: Ended) -> set[str]:
    """What was shown and was not asked to go."""
    if ended.asked is None:
        return witnesses_of(part)
    return {one for one in part["before"] if SnapshotId(one) not in ended.asked}


def points_of(part: Part) -> Iterator[tuple[InstanceId, PointLine]]:
    for instance in part["instances"]:
        for point in instance["points"]:
            yield InstanceId(instance["subject"]), point


def outcomes(part: Part) -> Counter[str]:
    counted = Counter(point["fate"] for _, point in points_of(part))
    counted.update(one["fate"] for one in part["leftovers"])
    counted.update(one["fate"] for one in part.get("images", ()))
    return counted


def rule_line(rule: Rule) -> RuleLine:
    keep = rule.keep
    return RuleLine(
        protection=rule.protection,
        region=rule.place.region,
        account=rule.place.account,
        zone=rule.zone,
        days=keep.days,
        last=keep.last,
        hourly=keep.hourly,
        daily=keep.daily,
        weekly=keep.weekly,
        monthly=keep.monthly,
        yearly=keep.yearly,
        forever=keep.forever,
        locks=rule.locks,
    )


def _instance(one: Judged, held: Mapping[tuple[InstanceId, str], Spared], rules: Rules) -> InstanceLine:
    points = [_line(kept.point, Fate.KEPT, kept.because) for kept in one.keep]
    points += [_line(each.point, Fate.SPARED, (f"{each.rule}: {each.because}",)) for each in one.spared]
    for point in one.expire:
        guarded = held.get(point.key)
        if guarded is not None:
            points.append(_line(point, Fate.SPARED, (f"{guarded.rule}: {guarded.because}",)))
        else:
            points.append(_line(point, Fate.INTENDED, (unsaved(point, rules),)))
    return {"subject": one.subject, "points": sorted(points, key=lambda line: (line["taken"], line["id"]))}


def unsaved(point: RestorePoint, rules: Rules) -> str:
    """Why no rule keeps it."""
    if point.failed:
        return "missing from the cloud" if point.missing_since is not None else "failed"
    rule = rules.of(point)
    return rule.unsaved if rule is not None else ""


def _line(point: RestorePoint, fate: Fate, because: tuple[str, ...]) -> PointLine:
    return {
        "id": point.id,
        "protection": point.protection,
        "slot": codec.moment(point.slot),
        "taken": codec.moment(point.taken),
        "usable": point.usable,
        "complete": point.complete,
        "failed": point.failed,
        "pinned": point.pinned,
        "locked_until": None if point.locked_until is None else codec.moment(point.locked_until),
        "uncopied": list(point.uncopied),
        "adopted": point.adopted,
        "group": point.group,
        "copy_of": point.copy_of,
        "disks": [[disk, snapshot] for disk, snapshot in point.disks],
        "fate": fate.value,
        "because": list(because),
    }


def _became(subject: str, line: PointLine, ended: Ended, *, blind: str) -> PointLine:
    snapshots = [snapshot for _, snapshot in line["disks"]]
    if (InstanceId(subject), line["id"]) in ended.pinned:
        return {**line, "fate": Fate.SPARED.value, "because": ["never pinned: pinned meanwhile"]}
    remains = [one for one in snapshots if one in ended.after or SnapshotId(one) in ended.refused]
    if not remains:
        if blind:
            return {**line, "fate": Fate.UNKNOWN.value, "because": [*line["because"], blind]}
        return {**line, "fate": Fate.GONE.value}
    locked = next((one for one in snapshots if SnapshotId(one) in ended.locks), None)
    if locked is not None and len(remains) == len(snapshots):
        return {**line, "fate": Fate.SPARED.value, "because": [f"never locked: the cloud says that {locked} is locked"]}
    reasons = [ended.refused[SnapshotId(one)] for one in remains if SnapshotId(one) in ended.refused]
    said = ended.stopped or next(iter(reasons), "")
    because = [*line["because"], f"{said + ': ' if said else ''}{', '.join(remains)} still shown"[:300]]
    return {**line, "fate": Fate.STILL_THERE.value, "because": because}


def _left(line: LeftoverLine, ended: Ended, blind: str) -> LeftoverLine:
    """Whether the place shows anything of ours was seen in the comparison, so what is not shown is gone."""
    remains = [one for one in line["snapshots"] if one in ended.after or SnapshotId(one) in ended.refused]
    if not remains and blind:
        return {**line, "fate": Fate.UNKNOWN.value, "because": [*line["because"], blind]}
    if not remains:
        return {**line, "fate": Fate.GONE.value}
    reasons = [ended.refused[SnapshotId(one)] for one in remains if SnapshotId(one) in ended.refused]
    said = ended.stopped or next(iter(reasons), "")
    because = [*line["because"], f"{said + ': ' if said else ''}{', '.join(remains)} still shown"[:300]]
    return {**line, "fate": Fate.STILL_THERE.value, "because": because}
