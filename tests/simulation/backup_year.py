"""A year of backing up and pruning in one process, with what a year brings: throttling, lost and doubled triggers, a
day on which nothing runs, disks that fail, lost answers, processes that die.

    python -m tests.simulation.backup_year --days 365 --disks 200 --seed 1

The real use cases run on the emulated cloud, on a calendar that jumps. After each day an auditor reads the cloud and
the state store and holds them against the promises, with a list of its own of what stood in the cloud.
"""

import argparse
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.faults.fault import Fault
from shared.domain import provenance
from shared.domain.ids import InstanceId
from shared.domain.inventory import SnapshotState
from shared.domain.operation import OperationKind, OperationState
from shared.domain.policy import Policy, Protection, PruneLimits, Retention, Schedule, Selection
from shared.domain.retention import Pin
from shared.domain.schedule import due_slots
from shared.state.certificates import Certificates, CertificateState, document
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.slots import Slot, Slots, SlotState
from tests.usecases.backup_world import Died, World
from understudy.certificate_checker import verify
from understudy.simulation.store import InProcessStore

ZONE = "Europe/Berlin"
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
SCHEDULES = (
    Schedule(name="hourly", hours=tuple(range(24)), weekdays=EVERY_DAY, zone=ZONE),
    Schedule(name="daily", hours=(3,), weekdays=EVERY_DAY, zone=ZONE, minute=30),
    Schedule(name="weekly", hours=(4,), weekdays=(7,), zone=ZONE, minute=15),
)
KEEP = Retention(hourly=24, daily=14, weekly=8, monthly=6)
SETTLED = timedelta(days=3)
"""So long after its due time every slot must have its end: nothing waits longer for a snapshot than 48 h."""
DAY = timedelta(days=1)
CERTIFICATES_A_DAY = 50


def fleet(disks: int) -> str:
    """Four in five disks are of the ESSD family, two to an instance; the rest are single disks of an older kind."""
    lines = [
        "zones: [cn-hangzhou-h]",
        "vpc: {id: vpc-test, cidr: 10.0.0.0/8}",
        "vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.0.0/8}]",
        "security_groups: [{id: sg-test, vpc: vpc-test}]",
        "images: [{id: m-base, name: base, family: app, system_disk_gib: 20}]",
        "instances:",
    ]
    old = disks // 5
    for number in range((disks - old) // 2 + old):
        pair = number >= old
        category = "cloud_essd" if pair else "cloud_efficiency"
        data = f", data_disks: [{{id: d-{number:04}-data, size_gib: 20, category: {category}}}]" if pair else ""
        lines.append(
            f"  - {{id: i-{number:04}, image: m-base, vswitch: vsw-h, "
            f"address: 10.0.{number // 200}.{number % 200 + 2}, "
            f"type: ecs.g7.large, tags: {{role: app}}, state: Running, "
            f"system_disk: {{id: d-{number:04}-sys, size_gib: 20, category: {category}}}{data}}}"
        )
    return "\n".join(lines)


@dataclass(slots=True)
class Told:
    """What came out of a year."""

    slots: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    snapshots: int = 0
    pruned: int = 0
    certificates: int = 0
    died: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = "no promise was broken" if not self.broken else f"BROKEN: {len(self.broken)} times"
        return "\n".join(
            [
                f"{head}: {dict(self.slots)} slots, {self.snapshots} snapshots made, {self.pruned} points pruned, "
                f"{self.certificates} certificates verified, {self.died} processes died, faults {dict(self.faults)}",
                *(f"  skipped {count}: {because}" for because, count in self.reasons.most_common(12)),
                *(f"  ! {text}" for text in self.broken[:20]),
            ]
        )


class Year:
    def __init__(self, *, seed: int, disks: int, days: int) -> None:
        self.seed, self.days = seed, days
        self.chance = random.Random(seed)
        protection = Protection(
            name="fleet",
            select=Selection(tags={"role": "app"}),
            schedules=SCHEDULES,
            keep=KEEP,
            rpo_target=timedelta(hours=2),
        )
        policy = Policy(
            region="cn-hangzhou",
            protections=(protection,),
            rebuilds=(),
            pairs=(),
            prune=PruneLimits(max_items=100_000, max_percent=100),
        )
        self.world = World(policy, stands=fleet(disks))
        self.world.wire.trouble = self._die_sometimes
        self.told = Told()
        self._store = InProcessStore(self.world.cloud, "understudy")
        self._start = self.world.clock.now()
        self._audited = self._start
        self._foreign: set[str] = set()
        self._pinned: set[tuple[str, str]] = set()
        self._seen: set[str] = set()  # snapshots of the last days, by id
        self._whole: set[str] = set()  # disks that had a complete snapshot of ours once
        self._certified: set[str] = set()
        self._deadly = 0.0
        self._dead_day = self.chance.randrange(days // 3, max(days // 3 + 1, 2 * days // 3))

    def play(self, say: Callable[[str], None] = lambda _text: None) -> Told:
        self._foreign_snapshots(5)
        for day in range(self.days):
            self._day(day)
            self._audit(slots=day % 5 == 4 or day == self.days - 1)
            if day % 30 == 29:
                say(f"day {day + 1}: {dict(self.told.slots)}, {len(self.told.broken)} broken")
        self._end()
        return self.told

    # A day -----------------------------------------------------------------------------------------------------------

    def _day(self, day: int) -> None:
        world, chance = self.world, self.chance
        begin = world.clock.now()
        world.wire.labels.clear()
        self._deadly = chance.choice((0.0, 0.0, 0.00002))
        if day == self._dead_day:
            self.told.faults["dead day"] += 1
            world.advance(days=1)
            return
        if chance.random() < 0.3:
            self._set(begin, Fault(kind="throttle", action=chance.choice(("Create*", "Describe*", "Delete*", "*"))))
        if chance.random() < 0.2:
            self._set(begin, Fault(kind=chance.choice(("timeout_after", "timeout_before", "error")), action="Create*"))
        if chance.random() < 0.2:
            disk = chance.choice(list(world.cloud.ecs.disks.shelf.by_id))
            world.cloud.ecs.snapshots.fail_next(disk, times=chance.randrange(1, 4))
            self.told.faults["failing disk"] += 1
        if chance.random() < 0.1:
            self._pin_one()
        self._ticks(begin, timedelta(minutes=5), world.schedule, lost=0.05, twice=0.05)
        self._ticks(begin, timedelta(minutes=10), world.backup, lost=0.05, twice=0.05)
        self._ticks(begin, DAY, world.prune, lost=0.1, twice=0.1, first=timedelta(hours=self.chance.randrange(24)))
        world.advance(days=1)

    def _set(self, begin: datetime, fault: Fault) -> None:
        """At some moment of this day, for some calls."""
        at = begin + timedelta(seconds=self.chance.randrange(86_400))
        self.told.faults[fault.kind] += 1

        def strike() -> None:
            self.world.cloud.faults.add(fault)

        self.world.cloud.clock.call_at(at, strike)

    def _ticks(
        self,
        begin: datetime,
        every: timedelta,
        run: Callable[[], Any],
        *,
        lost: float,
        twice: float,
        first: timedelta | None = None,
    ) -> None:
        at = begin + (every if first is None else first)
        while at <= begin + DAY:
            dice = self.chance.random()
            for _ in range(0 if dice < lost else 2 if dice < lost + twice else 1):
                late = timedelta(seconds=self.chance.randrange(20))
                self.world.cloud.clock.call_at(at + late, lambda: self.world.invoke(run))
            self.told.faults["lost tick"] += dice < lost
            self.told.faults["doubled tick"] += lost <= dice < lost + twice
            at += every

    def _die_sometimes(self, _number: int, _label: str, _after: bool) -> None:
        if self._deadly and self.chance.random() < self._deadly:
            raise Died

    def _foreign_snapshots(self, count: int) -> None:
        disks = list(self.world.cloud.ecs.disks.shelf.by_id)
        for disk in self.chance.sample(disks, min(count, len(disks))):
            self._foreign.add(self.world.cloud.ecs.snapshots.create(disk, name="by-hand").id)

    def _pin_one(self) -> None:
        points = Points(self._store)
        subject = InstanceId(self.chance.choice(list(self.world.cloud.ecs.shelf.by_id)))
        usable = [point for point in points.of(subject) if point.counts]
        if usable:
            chosen = self.chance.choice(usable)
            points.pin(chosen, Pin(by="li", because="audit", at=self.world.clock.now()))
            self._pinned.add(chosen.key)

    # What must be true -----------------------------------------------------------------------------------------------

    def _audit(self, *, slots: bool) -> None:
        """What the auditor itself reads, no fault of the menu strikes."""
        menu = self.world.cloud.faults
        struck, menu.on_calls = menu.on_calls, False
        try:
            self._look_at_all(slots=slots)
        finally:
            menu.on_calls = struck

    def _look_at_all(self, *, slots: bool) -> None:
        self._audit_cloud()
        self._audit_certificates()
        now = self.world.clock.now()
        until = now - SETTLED
        if slots and until > self._audited:
            self._audit_slots(self._audited, until)
            self._audited = until
            self._forget(now)

    def _audit_cloud(self) -> None:
        now = self.world.clock.now()
        standing = self.world.in_cloud()
        by_slot: Counter[tuple[str, str]] = Counter()
        whole: set[str] = set()
        ids = set()
        for one in standing:
            ids.add(one.id)
            if not provenance.ours(one.tags):
                continue
            if one.state is not SnapshotState.FAILED:
                by_slot[one.disk, f"{one.tags[provenance.SCHEDULE]} {one.tags[provenance.SLOT]}"] += 1
            if one.state is SnapshotState.ACCOMPLISHED:
                whole.add(one.disk)
        self.told.snapshots += len(ids - self._seen - self._foreign)
        self._seen = ids
        for (disk, slot), count in by_slot.items():
            if count > 1:
                self._broken(f"{count} snapshots of {disk} for slot {slot}")
        for disk in self._whole - whole:
            self._broken(f"{disk} had a complete snapshot and has none any more, at {now}")
        self._whole |= whole
        for gone in self._foreign - ids:
            self._broken(f"{gone} was not ours and is gone")
        self._foreign &= ids
        points = {point.key for point in Points(self._store).all()}
        for key in self._pinned - points:
            self._broken(f"point {key} was pinned and is gone")
        self._pinned &= points

    def _audit_certificates(self) -> None:
        """Each by code that shares nothing with its maker. Those of a run that died are settled by the next one."""
        certificates = Certificates(self._store)
        for one in certificates.newest(CERTIFICATES_A_DAY):
            if one.run in self._certified or one.state is CertificateState.BEGUN:
                continue
            self._certified.add(one.run)
            self.told.certificates += 1
            verdict = verify(json.loads(json.dumps(document(one, certificates.parts(one)))))
            if not verdict.accepted:
                self._broken(f"certificate of {one.run}: {verdict}")

    def _audit_slots(self, since: datetime, until: datetime) -> None:
        """Every slot that was due in (since, until], of every instance, has exactly one end."""
        rows: dict[tuple[str, datetime], dict[str, list[Slot]]] = {}
        stretches: list[Slot] = []
        for row in Slots(self._store).all():
            if row.count > 1 or row.since is not None:
                stretches.append(row)
            elif since < row.due <= until:
                rows.setdefault((row.schedule, row.due), {}).setdefault(row.subject, []).append(row)
        instances = set(self.world.cloud.ecs.shelf.by_id)
        for schedule in SCHEDULES:
            for due in due_slots(schedule, after=since, until=until):
                found = rows.pop((schedule.name, due), {})
                covering = [
                    one
                    for one in stretches
                    if one.schedule == schedule.name and one.since is not None and one.since <= due <= one.due
                ]
                self._account(schedule.name, due, found, covering, instances)
        for name, due in rows:
            if name != "on-demand":
                self._broken(f"slot {name} {due} has a row and was never due")

    def _account(
        self,
        schedule: str,
        due: datetime,
        found: Mapping[str, Sequence[Slot]],
        covering: Sequence[Slot],
        instances: set[str],
    ) -> None:
        whole = [*(found.get("fleet") or ()), *covering]
        if whole:
            if len(whole) > 1 or len(found) > 1:
                self._broken(f"slot {schedule} {due} has an end for all and {len(found)} more")
            self.told.slots["skipped"] += len(instances)
            self.told.reasons[_plain(whole[0].because)] += len(instances)
            return
        for missing in instances - found.keys():
            self._broken(f"slot {schedule} {due} of {missing} has no end")
        for rows in found.values():
            end = rows[0]
            self.told.slots[end.state.value] += 1
            if end.state is SlotState.SKIPPED:
                self.told.reasons[_plain(end.because)] += 1

    def _forget(self, now: datetime) -> None:
        """An archivist: what was audited need not be kept in memory for a year."""
        old = self._audited - DAY
        self._store.delete_many("slots", [row.key for row in self._store.scan("slots", ()) if _due(row) < old])
        if now.day % 2 == 0:
            ended = (OperationState.DONE.value, OperationState.REFUSED.value)
            rows = self._store.scan("operations", ())
            self._store.delete_many("operations", [row.key for row in rows if row.columns["state"] in ended])
            self._store.delete_many("decisions", [row.key for row in self._store.scan("decisions", ())])

    def _end(self) -> None:
        """Everything that is open comes to an end once the faults stop; pruning again then changes nothing."""
        world = self.world
        world.cloud.faults.clear()
        self._deadly = 0.0
        world.wire.trouble = lambda _number, _label, _after: None
        for _ in range(4):
            world.timers(until=world.clock.now() + DAY, prune=False)
            world.advance(days=1)
            self._audit(slots=True)
        stuck = [one.id for one in Journal(self._store, world.clock).open_of(*OperationKind, sweep=False, damaged=[])]
        for one in stuck:
            created = Journal(self._store, world.clock).load(one).created
            if world.clock.now() - created > timedelta(days=2):
                self._broken(f"operation {one} is still open")
        world.prune()
        before = {one.id for one in world.in_cloud()}
        world.prune()
        if {one.id for one in world.in_cloud()} != before:
            self._broken("pruning again changed something")
        self.told.pruned = sum(one.gone for one in world.pruned)
        self.told.died = world.died

    def _broken(self, text: str) -> None:
        self.told.broken.append(f"seed {self.seed}, {self.world.clock.now():%Y-%m-%d %H:%M}: {text}")


def _due(row: Any) -> datetime:
    return datetime.fromisoformat(row.key[1].partition("/")[0]).astimezone(UTC)


def _plain(because: str) -> str:
    """Without ids and moments, so that like reasons count together."""
    words = because.split()
    kept = [word for word in words if not any(sign.isdigit() for sign in word)]
    return " ".join(kept)[:110]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="backup_year", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--disks", type=int, default=200)
    parser.add_argument("--seed", type=int, action="append")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    code = 0
    for seed in given.seed or [1]:
        begin = time.perf_counter()
        told = Year(seed=seed, disks=given.disks, days=given.days).play(say=lambda text: print(text, flush=True))
        print(f"seed {seed}, {given.days} days, {given.disks} disks, {time.perf_counter() - begin:.0f} s: {told}")
        code = code or int(bool(told.broken))
    return code


if __name__ == "__main__":
    sys.exit(main())
