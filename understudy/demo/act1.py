"""Act 1, in emulated time: seven days of hourly and nightly schedules, with triggers lost and doubled, and the prune.

Time jumps from due time to due time; every tick is a real invocation of a real function. What is claimed afterwards is
read from the cloud and from the state store, not from what the functions said.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from shared.domain.schedule import due_slots
from shared.state.certificates import Certificates
from shared.state.slots import Slot, SlotState
from understudy.demo.local_cloud import PREFIX
from understudy.demo.stage import APPS, Stage

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 3, 2, tzinfo=ZONE)
DAYS = 7


@dataclass(frozen=True, slots=True)
class Outage:
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Week:
    begin: datetime
    end: datetime


FIRST_FILL = (64, 65_536)  # records x bytes on each data disk before the first backup: 4 MiB
PRUNE_IS_OWED = timedelta(hours=30)  # retention keeps the first 24 hourly points whatever happens
HOURLY_FILL = (2, 65_536)  # and every hour: 128 KiB

# What goes wrong on purpose. The schedule's timer is silent from `since` on, and fires again from `until` on.
OUTAGES = (
    Outage(MONDAY + timedelta(days=2, hours=9, minutes=59), MONDAY + timedelta(days=2, hours=10, minutes=20)),
    Outage(MONDAY + timedelta(days=4, hours=2, minutes=59), MONDAY + timedelta(days=4, hours=6, minutes=5)),
)
DOUBLED_DAY = 3


def play(stage: Stage, hours: int = DAYS * 24) -> Week:
    week = Week(MONDAY, MONDAY + timedelta(hours=hours))
    for app in APPS:
        stage.fill(app, "genesis", count=FIRST_FILL[0], size=FIRST_FILL[1])
    stage.cloud.jump_to(week.begin - timedelta(seconds=1))
    with stage.narrator.progress("backups", hours) as bar:
        for hour in range(hours):
            _one_hour(stage, week.begin + timedelta(hours=hour), hour)
            bar.forward(f"{week.begin + timedelta(hours=hour + 1):%a %H:%M}")
    _tell(stage, week)
    return week


def _one_hour(stage: Stage, begin: datetime, hour: int) -> None:
    """From just before `begin` to just before the next full hour."""
    for app in APPS:
        stage.fill(app, f"hour-{hour}", count=HOURLY_FILL[0], size=HOURLY_FILL[1])
    end = begin + timedelta(hours=1) - timedelta(seconds=1)
    for outage in OUTAGES:
        for moment, silent in ((outage.since, True), (outage.until, False)):
            if begin <= moment < end:
                stage.cloud.jump_to(moment)
                stage.cloud.enable("schedule", "tick", not silent)
    if hour == DOUBLED_DAY * 24:
        stage.cloud.ask("POST", "fc/faults", {"kind": "twice", "function": f"{PREFIX}schedule", "count": 24})
    if hour == 20:
        stage.invoke("command", {"command": "image", "instance": "i-app-h1", "family": "app", "by": "the demo"})
    stage.cloud.jump_to(end)


def _tell(stage: Stage, week: Week) -> None:
    told = (one for slot in stage.slots.all() for one in _of_each_instance(stage, slot))
    slots = [slot for slot in told if week.begin <= slot.due < week.end]
    points = list(stage.points.all())
    _slots_table(stage, week, slots)
    _sizes_table(stage)

    expected = _expected(stage, week)
    found = Counter((slot.subject, slot.protection, slot.due) for slot in slots)
    missing = expected - found.keys()
    stage.promises.check(
        "every due slot is accounted for, once",
        not missing and max(found.values(), default=0) == 1 and found.keys() == expected,
        f"{len(expected)} due, {len(found)} found, {len(missing)} missing",
    )
    unexplained = [slot for slot in slots if slot.state is SlotState.SKIPPED and not slot.because]
    skipped = sum(slot.state is SlotState.SKIPPED for slot in slots)
    stage.promises.check(
        "every skipped slot says why", not unexplained, f"{skipped} skipped, {len(unexplained)} unexplained"
    )

    snapshots = [s for s in stage.view.snapshots.list() if "understudy:slot" in s.tags]
    doubles = Counter((s.disk, s.tags["understudy:slot"]) for s in snapshots)
    stage.promises.check(
        "one slot makes one snapshot per disk, however often its trigger comes",
        bool(doubles) and max(doubles.values()) == 1,
        f"{len(snapshots)} scheduled snapshots in the cloud, none doubled" if doubles else "no snapshot found",
    )
    usable = Counter(s.disk for s in snapshots if s.usable)
    disks = list(stage.view.inventory.disks())
    bare = [disk.id for disk in disks if disk.instance and not usable[disk.id]]
    stage.promises.check(
        "prune left every disk a usable restore point",
        not bare and bool(disks),
        f"{len(disks)} disks, fewest points left on one: {min((usable[d.id] for d in disks if d.instance), default=0)}",
    )
    certificates = list(Certificates(stage.view.store).newest(None))
    deleted = sum(one.outcomes.get("gone", 0) for one in certificates)
    if week.end - week.begin >= PRUNE_IS_OWED:
        stage.promises.check(
            "prune really ran, and certified", deleted > 0, f"{len(certificates)} certificates, {deleted} points let go"
        )
    known = {snapshot for point in points for _, snapshot in point.disks}
    strays = [s.id for s in snapshots if s.id not in known]
    stage.promises.check(
        "state and cloud agree", not strays, f"{len(known)} snapshots in state, {len(strays)} in the cloud only"
    )
    worst = _rpo_table(stage, week)
    stage.report["act1"] = {
        "slots": {state.value: sum(slot.state is state for slot in slots) for state in SlotState},
        "due": len(expected),
        "snapshots": len(snapshots),
        "pruned_points": deleted,
        "certificates": len(certificates),
        "hours": round((week.end - week.begin).total_seconds() / 3600),
        "worst_rpo_seconds": {disk: seconds for disk, (seconds, _) in worst.items()},
        "rpo_target_seconds": {disk: target for disk, (_, target) in worst.items()},
        "api_calls": stage.cloud.ask("GET", "requests/totals"),
    }


def _expected(stage: Stage, week: Week) -> set[tuple[str, str, datetime]]:
    """What the policy says was due, computed here from the policy and the cloud's own inventory."""
    due = set()
    for protection in stage.policy.protections:
        subjects = [i.id for i in stage.view.inventory.instances(tags=protection.select.tags)]
        for schedule in protection.schedules:
            after = week.begin - timedelta(microseconds=1)
            for slot in due_slots(schedule, after=after, until=week.end - timedelta(seconds=1)):
                due |= {(str(subject), protection.name, slot) for subject in subjects}
    return due


def _of_each_instance(stage: Stage, slot: Slot) -> Iterator[Slot]:
    """A row about a whole protection, or about several slots that went by, as the ends of each instance that it is."""
    if slot.subject != slot.protection:
        yield slot
        return
    protection = next(one for one in stage.policy.protections if one.name == slot.protection)
    schedule = next(one for one in protection.schedules if one.name == slot.schedule)
    after = (slot.since or slot.due) - timedelta(microseconds=1)
    for instance in stage.view.inventory.instances(tags=protection.select.tags):
        for due in due_slots(schedule, after=after, until=slot.due):
            yield replace(slot, subject=instance.id, due=due, since=None, count=1)


def _slots_table(stage: Stage, week: Week, slots: list[Slot]) -> None:
    rows = []
    for protection in stage.policy.protections:
        for schedule in protection.schedules:
            mine = [s for s in slots if s.protection == protection.name and s.schedule == schedule.name]
            count = Counter(slot.state for slot in mine)
            ends = (count[SlotState.TAKEN], count[SlotState.LATE], count[SlotState.SKIPPED])
            rows.append((f"{protection.name} / {schedule.name}", len(mine), *ends))
    stage.narrator.table(
        f"Slots, {week.begin:%a %d %b} to {week.end:%a %d %b %Y}", ("schedule", "due", "taken", "late", "skipped"), rows
    )
    reasons = Counter(slot.because for slot in slots if slot.state is not SlotState.TAKEN and slot.because)
    for reason, number in reasons.most_common(3):
        stage.narrator.say(f"[dim]{number} x {reason}[/]")


def _sizes_table(stage: Stage) -> None:
    """What each snapshot of one data disk holds for its chain: first full, then changed blocks."""
    by_day: dict[str, list[int]] = defaultdict(list)
    for size in stage.cloud.ask("GET", "snapshots?disk=d-app-h1-data"):
        at = datetime.fromisoformat(size["created"]).astimezone(ZONE)
        by_day[f"{at:%a %d %b}"].append(int(size["held_bytes"]))
    rows = [
        (day, len(values), f"{max(values) / 1024:,.0f}", f"{sum(values) / 1024 / len(values):,.0f}")
        for day, values in by_day.items()
    ]
    stage.narrator.table("Snapshots kept of d-app-h1-data, KiB held", ("day", "kept", "largest", "mean"), rows)


def _rpo_table(stage: Stage, week: Week) -> dict[str, tuple[float, float]]:
    """Worst RPO per disk over the week, and its target, in seconds: the longest stretch between two points. The points
    that prune let go count as well, since their slots remember them. Disks of one instance share their instants, so
    they share a row."""
    taken = [(slot.subject, slot.protection, slot.at) for slot in stage.slots.all() if slot.point]
    rows, worst, missed = [], {}, []
    for protection in stage.policy.protections:
        for instance in sorted(stage.view.inventory.instances(tags=protection.select.tags), key=lambda i: i.name):
            times = sorted(at for subject, name, at in taken if (subject, name) == (instance.id, protection.name))
            stretches = list(pairwise([*times, min(week.end, stage.cloud.now())]))
            longest = max((after - before for before, after in stretches), default=None)
            calm = max((b - a for a, b in stretches if not _disturbed(a, b)), default=None)
            target = protection.rpo_target
            for disk in stage.view.inventory.disks(instance=instance.id):
                if longest is not None:
                    worst[str(disk.id)] = (longest.total_seconds(), target.total_seconds())
            if calm is None or calm > target:
                missed.append(instance.id)
            shown = [_span(span) if span is not None else "no point" for span in (longest, calm)]
            rows.append((f"{instance.name}, every disk", *shown, _span(target)))
    stage.narrator.table("Worst RPO in the week", ("of", "worst", "with triggers coming", "target"), rows)
    stage.promises.check(
        "RPO is within its target wherever triggers came",
        not missed and bool(rows),
        f"{len(rows)} instances, {len(missed)} beyond their target",
    )
    return worst


def _disturbed(since: datetime, until: datetime) -> bool:
    return any(since < outage.until and outage.since < until for outage in OUTAGES)


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
