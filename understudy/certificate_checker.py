"""Accepts or rejects the certificate of a prune. `python -m understudy.certificate_checker FILE...`

It shares no code with what plans, guards and carries out a prune, and asks nobody: it reads the certificate and does
its own arithmetic. What it accepts says:

1. nothing was altered, left out or cut off since it was written (the digests of terms, parts and head make a chain);
2. what was deleted was ours, not pinned, not waiting for a copy, not locked, not in use, and saved by no rule of the
   policy (its own buckets, cut in the calendar of the rule's zone);
3. the caps were kept, or an operator allowed this very plan;
4. every disk of which something went has, read back afterwards, a usable snapshot, and a complete one if it had one;
5. what is called gone was not shown any more, and every point has one end;
6. of images: of each family and region the newest usable versions stayed, as many as its rule says and one at least,
   and are read back as usable; what went was ours, not in use, held by nothing, not pinned, and was out of its family
   for a week before it was deleted.

What it cannot know is whether the records that the run worked from were true, and who wrote the certificate: the
digest is no signature. `understudy verify-certificate` therefore compares it with the decision that told of it.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FORMAT = "understudy prune certificate 2"
ENDS = ("kept", "spared", "gone", "still there", "unknown")
TOUCHED = ("gone", "still there", "unknown", "intended")
IMAGE_ENDS = ("kept", "retired", "gone", "still there", "unknown")
OUT_OF_FAMILY = timedelta(days=7)
STATES = ("ended", "refused")


class Unreadable(Exception):
    """What was given is no certificate; the message says where."""


@dataclass
class Verdict:
    run: str
    summary: str = ""
    reasons: list[str] = field(default_factory=list)  # why it is rejected

    @property
    def accepted(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        if self.accepted:
            return f"accepted: run {self.run}: {self.summary}"
        return "\n".join([f"REJECTED: run {self.run}: {self.summary}", *(f"  ! {one}" for one in self.reasons)])


def verify(document: Any) -> Verdict:
    """Raises Unreadable."""
    try:
        return _verified(document)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise Unreadable(f"not a certificate of a prune: {type(error).__name__} {error}") from error


def _verified(document: Mapping[str, Any]) -> Verdict:
    head, parts = document["head"], document["parts"]
    terms = head["terms"]
    if terms["format"] != FORMAT:
        raise Unreadable(f"its format is {terms['format']!r}, not {FORMAT!r}")
    verdict = Verdict(run=str(terms["run"]))
    say = verdict.reasons.append
    _chain(head, parts, say)
    ends = Counter(point["fate"] for part in parts for _, point in _points(part))
    ends.update(one["fate"] for part in parts for one in part["leftovers"])
    touched = sum(point["fate"] in TOUCHED for part in parts for _, point in _points(part))
    ends.update(one["fate"] for part in parts for one in _images_of(part))
    images = sum(one["fate"] in TOUCHED for part in parts for one in part["leftovers"])
    versions = sum(one["wanted"] != "keep" for part in parts for one in _images_of(part))
    verdict.summary = (
        f"policy {terms['policy']}, {terms['points']} points judged, {terms['going']} to go; "
        + (", ".join(f"{count} {fate}" for fate, count in sorted(ends.items())) or "nothing was touched")
        + (f"; stopped: {head['stopped']}" if head["stopped"] else "")
    )
    _head(head, parts, ends, touched + images + versions, say)
    _caps(terms, touched, images, say)
    if versions > terms["max_items"]:
        say(f"cap: {versions} versions of image families were touched, more than max_items {terms['max_items']}")
    seen: set[tuple[str, str, str]] = set()
    for part in parts:
        if "images" in part:
            family = (f"image family {part['family']}", part["region"], part["account"])
            if family in seen:
                say(f"{family[0]} in {part['region']} is judged twice: neither part shows all of it")
            seen.add(family)
        for instance in part["instances"]:
            unit = (instance["subject"], part["region"], part["account"])
            if unit in seen:
                say(f"{instance['subject']} in {part['region']} is judged twice: neither part shows all of it")
            seen.add(unit)
        _part(part, terms, say)
    return verdict


# -- nothing altered ---------------------------------------------------------------------------------------------------


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _chain(head: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], say: Callable[[str], None]) -> None:
    link = _digest(head["terms"])
    for number, part in enumerate(parts, start=1):
        if part["number"] != number:
            say(f"part {number} is numbered {part['number']}: a part is missing, or they are out of order")
        if part["run"] != head["terms"]["run"]:
            say(f"part {number} is of another run, {part['run']}")
        if part["previous"] != link:
            say(f"part {number} does not follow from what stands before it")
        link = part["digest"]
        if _digest({**part, "digest": ""}) != link:
            say(f"part {number} was altered: its digest does not fit it")
    if head["last"] != link:
        say("the head does not follow from the last part: a part is missing, or one too many")
    if _digest({**head, "digest": ""}) != head["digest"]:
        say("the head was altered: its digest does not fit it")


# -- the run as a whole ------------------------------------------------------------------------------------------------


def _head(
    head: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    ends: Counter[str],
    touched: int,
    say: Callable[[str], None],
) -> None:
    terms = head["terms"]
    if head["state"] not in STATES:
        say(f"its state is {head['state']}: the run did not end, or nobody has settled it yet")
    elif head["ended"] is None or _moment(head["ended"]) < _moment(terms["at"]):
        say("it ended before it began, or at no time")
    if _moment(terms["as_of"]) > _moment(terms["at"]):
        say("points were judged as of a moment later than the run")
    if _moment(terms["at"]) - _moment(terms["as_of"]) > timedelta(days=1, seconds=1):
        say(f"points were judged as of {terms['as_of']}, more than a day before the run: a permit holds for a day")
    if head["parts"] != len(parts):
        say(f"the head speaks of {head['parts']} parts, there are {len(parts)}")
    if Counter(head["outcomes"]) != ends:
        say(f"the head counts {dict(head['outcomes'])}, its parts {dict(ends)}")
    if head["state"] == "refused":
        if not head["refused"]:
            say("it was refused without a reason")
        if touched:
            say(f"it was refused, but {touched} were touched")
    listed = sum(len(instance["points"]) for part in parts for instance in part["instances"])
    if listed > terms["points"]:
        say(f"{listed} points are listed, only {terms['points']} were judged")
    if touched + ends["spared"] and not parts:
        say("there are ends without a part")


def _caps(terms: Mapping[str, Any], touched: int, images: int, say: Callable[[str], None]) -> None:
    if images > terms["max_items"]:
        say(f"cap: what {images} images left over was touched, more than max_items {terms['max_items']}")
    if touched > terms["going"]:
        say(f"{touched} were touched, the plan was for {terms['going']}")
    if terms["allowed"] and touched:
        items, as_of, plan = terms["allowed"].split("-")
        given = datetime.strptime(as_of, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if int(items) != terms["going"] or plan != terms["plan"] or given != _moment(terms["as_of"]):
            say(f"the permit {terms['allowed']} is for another plan than that of {terms['going']} ({terms['plan']})")
        return  # the caps are lifted for it
    if touched > terms["max_items"]:
        say(f"cap: {touched} were touched, more than max_items {terms['max_items']}, and nobody allowed it")
    if terms["points"] >= terms["percent_from"] and touched * 100 > terms["max_percent"] * terms["points"]:
        say(f"cap: {touched} of {terms['points']} were touched, more than {terms['max_percent']} percent")
    if terms["percent_from"] > 20:
        say(f"cap: the cap in percent holds from 20 points on, here from {terms['percent_from']}")


# -- one part ----------------------------------------------------------------------------------------------------------


def _part(part: Mapping[str, Any], terms: Mapping[str, Any], say: Callable[[str], None]) -> None:
    where = f"part {part['number']}"
    if part["state"] != "ended":
        say(f"{where} did not end: what it intended was not read back")
    elif part["read_back"] is None or _moment(part["read_back"]) < _moment(part["looked"]):
        say(f"{where} was not read back after it was looked at")
    if _moment(part["looked"]) < _moment(terms["at"]):
        say(f"{where} was looked at before the run began")
    rules = {
        rule["protection"]: rule
        for rule in terms["rules"]
        if rule["region"] == part["region"] and rule["account"] == part["account"]
    }
    as_of = _moment(terms["as_of"])
    held = {snapshot for _, point in _points(part) for _, snapshot in point["disks"]}
    held |= {snapshot for one in part["leftovers"] for snapshot in one["snapshots"]}
    if unheld := sorted({*part["before"], *part["after"]} - held):
        say(f"{where}: {unheld[0]} was shown, but is of no point that is listed: a point is left out")
    for instance in part["instances"]:
        _instance(where, instance, part, rules, as_of, terms["protection"], say)
    for leftover in part["leftovers"]:
        _leftover(leftover, part, as_of, say)
    if "images" in part:
        _family(where, part, terms, say)


def _instance(
    where: str,
    instance: Mapping[str, Any],
    part: Mapping[str, Any],
    rules: Mapping[str, Mapping[str, Any]],
    as_of: datetime,
    only: str,
    say: Callable[[str], None],
) -> None:
    points = instance["points"]
    name = f"{where}: {instance['subject']}"
    if len({point["id"] for point in points}) != len(points):
        say(f"{name}: a point is listed twice")
    saved = _saved(points, rules, as_of)
    for point in points:
        if point["fate"] not in ENDS:
            say(f"{name}: {point['id']} has no end ({point['fate']})")
        if only and point["protection"] != only:
            say(f"{name}: {point['id']} is not of protection {only}")
        if point["fate"] in TOUCHED:
            _touched(name, point, part, rules, saved, as_of, say)
    _left(name, points, part, as_of, say)


def _touched(
    name: str,
    point: Mapping[str, Any],
    part: Mapping[str, Any],
    rules: Mapping[str, Any],
    saved: Mapping[str, str],
    as_of: datetime,
    say: Callable[[str], None],
) -> None:
    about = f"{name}: {point['id']} was let go"
    if point["protection"] not in rules:
        say(f"{about}, though no rule holds for {point['protection']} there")
    if point["id"] in saved:
        say(f"{about}, though it is saved: {saved[point['id']]}")
    if point["pinned"]:
        say(f"{about}, though it is pinned")
    if point["uncopied"]:
        say(f"{about}, though it waits for its copy in {', '.join(point['uncopied'])}")
    if point["locked_until"] is not None and _moment(point["locked_until"]) > as_of:
        say(f"{about}, though it is locked until {point['locked_until']}")
    snapshots = [snapshot for _, snapshot in point["disks"]]
    for snapshot in snapshots:
        _untouchable(about, snapshot, part, say)
    if point["fate"] == "gone":
        for snapshot in snapshots:
            if snapshot in part["after"]:
                say(f"{about} and is called gone, but {snapshot} was shown afterwards")


def _untouchable(about: str, snapshot: str, part: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """What the cloud showed of it before. One that was not shown was gone already."""
    shown = part["before"].get(snapshot)
    if shown is None:
        return
    if not shown["ours"]:
        say(f"{about}, though {snapshot} does not carry our tag")
    if shown["usage"] != "none":
        say(f"{about}, though {snapshot} was in use: {shown['usage']}")
    if shown.get("locked"):
        say(f"{about}, though {snapshot} was locked")


def _left(
    name: str,
    points: Sequence[Mapping[str, Any]],
    part: Mapping[str, Any],
    as_of: datetime,
    say: Callable[[str], None],
) -> None:
    """Every disk of which something was let go keeps a usable snapshot, and a complete one if it had one; points dated
    in the future count for nothing. What was not let go was shown again, if it was shown before."""
    doomed = {snapshot for point in points if point["fate"] in TOUCHED for _, snapshot in point["disks"]}
    remain: dict[str, set[str]] = {}
    had_complete: dict[str, bool] = {}
    for point in points:
        for disk, snapshot in point["disks"]:
            before = part["before"].get(snapshot)
            if before is not None and before["disk"] != disk:
                say(f"{name}: {snapshot} is said to be of {disk} and of {before['disk']}")
            if before is not None and before["complete"]:
                had_complete[disk] = True
            if point["fate"] not in ("kept", "spared"):
                continue
            if snapshot in doomed:
                say(f"{name}: {snapshot} was let go with one point, but {point['id']}, which was not, holds it too")
            elif before is not None and snapshot not in part["after"]:
                say(f"{name}: {snapshot} of {point['id']}, which was not let go, was not shown afterwards")
            elif _moment(point["taken"]) <= as_of:
                remain.setdefault(disk, set()).add(snapshot)
    for disk in sorted({disk for point in points if point["fate"] in TOUCHED for disk, _ in point["disks"]}):
        after = [part["after"][one] for one in remain.get(disk, ()) if one in part["after"]]
        after = [one for one in after if one["disk"] == disk]
        if not any(one["usable"] for one in after):
            say(f"{name}: disk {disk} has no usable snapshot left that was read back")
        if had_complete.get(disk) and not any(one["usable"] and one["complete"] for one in after):
            say(f"{name}: disk {disk} has no complete snapshot left that was read back")


def _leftover(
    leftover: Mapping[str, Any], part: Mapping[str, Any], as_of: datetime, say: Callable[[str], None]
) -> None:
    name = f"part {part['number']}: image {leftover['image']}"
    if leftover["fate"] not in ENDS:
        say(f"{name} has no end ({leftover['fate']})")
    if leftover["fate"] not in TOUCHED:
        return
    if not leftover["operation"]:
        say(f"{name}: no operation of ours made it")
    if as_of - _moment(leftover["missing_since"]) < timedelta(hours=20):
        say(f"{name} was missed for less than 20 hours, so its snapshots may not be left over")
    held = {snapshot for _, point in _points(part) for _, snapshot in point["disks"]}
    for snapshot in leftover["snapshots"]:
        shown = part["before"].get(snapshot)
        if shown is not None and (shown["usage"] != "none" or shown.get("locked") or not shown["ours"]):
            say(f"{name}: {snapshot} was not ours, in use or locked")
        if snapshot in held:
            say(f"{name}: {snapshot} is of a restore point")
        if leftover["fate"] == "gone" and snapshot in part["after"]:
            say(f"{name}: {snapshot} is called gone, but was shown afterwards")


# -- images ------------------------------------------------------------------------------------------------------------


def _images_of(part: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = part.get("images", ())
    return found


def _family(where: str, part: Mapping[str, Any], terms: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """All versions of one image family in one place."""
    images, after = part["images"], part["images_after"]
    name = f"{where}: image family {part['family']}"
    if len({one["image"] for one in images}) != len(images):
        say(f"{name}: an image is listed twice")
    if unlisted := sorted(set(after) - {one["image"] for one in images}):
        say(f"{name}: {unlisted[0]} was shown, but is not listed: an image is left out")
    usable = [one for one in images if one["startable"]]
    usable.sort(key=lambda one: (one["version"], _moment(one["made"]), one["image"]), reverse=True)
    for one in usable:
        if one["state"] != "available":
            say(f"{name}: {one['image']} is called usable, and is {one['state']}")
    rule = next((one for one in terms.get("images", ()) if one["family"] == part["family"]), None)
    if rule is None:
        say(f"{name}: no rule of the policy is about it")
    saved = usable[: max(1, 1 if rule is None else rule["keep"])]
    for one in images:
        if one["fate"] not in IMAGE_ENDS:
            say(f"{name}: {one['image']} has no end ({one['fate']})")
        if (one["wanted"] == "keep") != (one["fate"] == "kept"):
            say(f"{name}: {one['image']} was to {one['wanted']}, and is {one['fate']}")
        if one["fate"] != "kept":
            _let_go(name, one, part, [each["image"] for each in saved], say)
    if any(one["fate"] != "kept" and one["state"] != "failed" for one in images):
        if not saved:
            say(f"{name}: something went though no version was usable")
        for one in saved:
            if after.get(one["image"]) != "available":
                say(f"{name}: {one['image']}, which had to stay, was not shown as usable afterwards")


def _let_go(
    name: str, one: Mapping[str, Any], part: Mapping[str, Any], saved: Sequence[str], say: Callable[[str], None]
) -> None:
    about = f"{name}: {one['image']} was let go"
    looked, reads = _moment(part["looked"]), part["images_after"].get(one["image"])
    if one["image"] in saved:
        say(f"{about}, though it is among the newest usable versions")
    if one["used"]:
        say(f"{about}, though instances made of it stood")
    if one["pinned"]:
        say(f"{about}, though it was pinned")
    if one["held"]:
        say(f"{about}, though something held it: {'; '.join(one['held'])}")
    if not one["operation"]:
        say(f"{about}, though no operation of ours made it")
    if one["wanted"] == "deprecate" and one["state"] != "available":
        say(f"{about} out of its family, and was {one['state']}")
    if one["wanted"] == "delete":
        since = one["made"] if one["state"] == "failed" else one["retired"] if one["state"] == "deprecated" else None
        if since is None or looked - _moment(since) < OUT_OF_FAMILY:
            say(f"{about} for good, though it was not out of its family, or failed, for {OUT_OF_FAMILY.days} days")
    if one["fate"] == "gone" and (one["wanted"] != "delete" or reads is not None):
        say(f"{about} and is called gone, but was shown afterwards, or nobody asked for it")
    if one["fate"] == "retired" and (one["wanted"] != "deprecate" or reads != "deprecated"):
        say(f"{about} and is called out of its family, but reads {reads}")


# -- what the rules save -----------------------------------------------------------------------------------------------


def _saved(
    points: Sequence[Mapping[str, Any]], rules: Mapping[str, Mapping[str, Any]], as_of: datetime
) -> dict[str, str]:
    """By the id of a point, one rule that saves it. Protections are judged apart."""
    saved: dict[str, str] = {}
    for protection in {point["protection"] for point in points}:
        mine = [point for point in points if point["protection"] == protection]
        saved.update(_saved_by(mine, rules.get(protection), as_of))
    return saved


def _saved_by(
    points: Sequence[Mapping[str, Any]], rule: Mapping[str, Any] | None, as_of: datetime
) -> Iterator[tuple[str, str]]:
    if rule is None or _keeps_all(rule):
        yield from ((point["id"], "all is kept") for point in points)
        return
    newest = sorted(points, key=lambda point: (_moment(point["taken"]), point["id"]), reverse=True)
    counting = [point for point in newest if _counts(point, as_of)]
    covered = {disk for point in counting for disk, _ in point["disks"]}
    for point in points:
        if _moment(point["taken"]) > as_of:
            yield point["id"], "it is dated in the future"
        elif not point["usable"] and not point["failed"]:
            yield point["id"], "it is in progress"
        elif point["failed"] and any(disk not in covered for disk, _ in point["disks"]):
            yield point["id"], "it failed, but a disk of it has no usable point"
        elif _counts(point, as_of) and not point["complete"]:
            yield point["id"], "it still uploads"
    zone = ZoneInfo(rule["zone"])
    for disk in sorted(covered):
        # Each disk has a history of its own: a point without it displaces none that has it.
        mine = [point for point in counting if any(disk == one for one, _ in point["disks"])]
        yield from _last_of(disk, mine)
        yield from _by_age_and_number(mine, rule, as_of)
        for kind, bucket in BUCKETS.items():
            yield from _newest_of_buckets(mine, rule[kind], lambda at: bucket(at.astimezone(zone)), kind)  # noqa: B023


def _counts(point: Mapping[str, Any], as_of: datetime) -> bool:
    return bool(point["usable"] and not point["failed"] and point["disks"] and _moment(point["taken"]) <= as_of)


def _keeps_all(rule: Mapping[str, Any]) -> bool:
    return bool(rule["forever"]) or (rule["days"] is None and not any(rule[kind] for kind in ("last", *BUCKETS)))


def _last_of(disk: str, counting: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if counting:
        yield counting[0]["id"], f"it is the last usable one of {disk}"
    complete = next((point for point in counting if point["complete"]), None)
    if complete is not None:
        yield complete["id"], f"it is the last complete one of {disk}"


def _by_age_and_number(
    counting: Sequence[Mapping[str, Any]], rule: Mapping[str, Any], as_of: datetime
) -> Iterator[tuple[str, str]]:
    for point in counting[: rule["last"]]:
        yield point["id"], f"it is among the last {rule['last']}"
    if rule["days"] is not None:
        for point in counting:
            # In seconds: 65,536 days before some moments there is no calendar.
            if (as_of - _moment(point["taken"])).total_seconds() <= rule["days"] * 86_400:
                yield point["id"], f"it is within {rule['days']} days"


def _newest_of_buckets(
    counting: Iterable[Mapping[str, Any]], count: int, bucket: Callable[[datetime], Any], kind: str
) -> Iterator[tuple[str, str]]:
    met: set[Any] = set()
    for point in counting:
        if len(met) == count:
            return
        of = bucket(_moment(point["taken"]))
        if of not in met:
            met.add(of)
            yield point["id"], f"it is the newest of {kind} {of}"


BUCKETS: Mapping[str, Callable[[datetime], Any]] = {
    # With the offset: in one night of the year the same hour comes twice.
    "hourly": lambda local: (local.date(), local.hour, local.utcoffset()),
    "daily": lambda local: local.date(),
    "weekly": lambda local: local.isocalendar()[:2],
    "monthly": lambda local: (local.year, local.month),
    "yearly": lambda local: local.year,
}


def _points(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for instance in part["instances"]:
        for point in instance["points"]:
            yield instance["subject"], point


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


# -- what must still be there ------------------------------------------------------------------------------------------


def remaining(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Region, account, disk, and the snapshots of which one at least was usable when it was read back."""
    for part in document["parts"]:
        doomed = {one for _, p in _points(part) if p["fate"] in TOUCHED for _, one in p["disks"]}
        left: dict[str, set[str]] = {}
        for snapshot, shown in part["after"].items():
            if snapshot not in doomed and shown["usable"]:
                left.setdefault(shown["disk"], set()).add(snapshot)
        for disk, snapshots in sorted(left.items()):
            yield part["region"], part["account"], disk, frozenset(snapshots)


def read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="understudy.certificate_checker", description="Check certificates of prunes.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    code = 0
    for path in parser.parse_args(arguments).files:
        try:
            verdict = verify(read(path))
        except Unreadable as error:
            sys.stderr.write(f"cannot check: {error}\n")
            code = 2
            continue
        sys.stdout.write(f"{verdict}\n")
        code = max(code, 0 if verdict.accepted else 1)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
