"""What nobody protects, and who else takes snapshots: every disk of every place of the policy, against its selections.

One pass over each listing. What is held is small: the instances' verdicts, and a few numbers for each disk that has
snapshots.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.capacity import QUOTA
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import Disk, Instance, NativePolicy, Snapshot
from shared.domain.place import HOME, Place
from shared.domain.policy import Policy, Protection
from shared.domain.provenance import ours
from shared.domain.rebuild import ISOLATED
from shared.domain.selection import selects, takes
from shared.ports.compute import Clouds, Compute
from shared.usecases.backup.selecting import select

NAMED: Final = 5
ATTACHED_TO_NOTHING: Final = "it is attached to no instance"
NOT_OURS_TO_SAVE: Final = "it was replaced and is isolated: what replaced it is protected in its stead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Snapshots that Understudy did not make. Those by hand count against the same quota as ours."""

    count: int = 0  # by hand, by a script, by another tool: in the manual quota
    newest: datetime | None = None
    automatic: int = 0  # by native policies: in a quota of their own
    ours: int = 0  # in the manual quota too

    @property
    def used(self) -> int:
        return self.count + self.ours


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSeen:
    """An instance that no protection covers."""

    place: Place
    instance: InstanceId
    name: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSeen:
    """A disk that no protection covers (`because` says why), or that somebody else takes snapshots of."""

    place: Place
    disk: DiskId
    kind: str
    size_gib: int
    instance: InstanceId | None
    protections: tuple[str, ...]  # that cover it
    because: str
    native: tuple[str, ...]  # ids of the native policies applied to it
    foreign: Foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSeen:
    """A native policy, and on how many disks it is."""

    place: Place
    policy: NativePolicy
    disks: int
    covered: int  # of those disks, by our protections


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A place that could not be seen, wholly or in part: what is said of it may not be all."""

    place: Place
    because: str


Seen = InstanceSeen | DiskSeen | NativeSeen | Unread


@dataclass(slots=True)
class Totals:
    """Filled while a report is read."""

    instances: int = 0
    instances_uncovered: int = 0
    disks: int = 0
    disks_uncovered: int = 0
    unread: int = 0


class Coverage:
    """Iterate once; then `totals` are true."""

    def __init__(self, policy: Policy, clouds: Clouds) -> None:
        self._policy = policy
        self._clouds = clouds
        self.totals = Totals()

    def __iter__(self) -> Iterator[Seen]:
        """Place by place: its instances, its disks, its native policies. Raises CredentialsRejected only."""
        for place in places(self._policy):
            try:
                yield from self._at(place, self._clouds.at(place))
            except CredentialsRejected:
                raise
            except DrError as error:
                self.totals.unread += 1
                yield Unread(place=place, because=str(error))

    def _at(self, place: Place, cloud: Compute) -> Iterator[Seen]:
        here = [one for one in self._policy.protections if self._policy.place(one) == place]
        named = _named(cloud, here)
        verdicts: dict[InstanceId, tuple[str, ...]] = {}
        for instance in cloud.inventory.instances():
            self.totals.instances += 1
            covering, because = verdict(here, instance, place, named.get(instance.id, ()))
            verdicts[instance.id] = covering
            if because:
                self.totals.instances_uncovered += 1
                yield InstanceSeen(place=place, instance=instance.id, name=instance.name, because=because)
        if not verdicts:
            yield Unread(place=place, because="no instance is shown: a role without ecs:DescribeInstances sees none")
        policies, applied, gap = _native(cloud)
        if gap:
            yield Unread(place=place, because=f"its native policies could not be read: {gap}")
        standing = _standing(cloud.snapshots.list())
        by_name = {one.name: one for one in here}
        counts: Counter[str] = Counter()
        covered: Counter[str] = Counter()
        for disk in cloud.inventory.disks():
            self.totals.disks += 1
            selected = verdicts.get(disk.instance, ()) if disk.instance is not None else ()
            covering = tuple(name for name in selected if takes(by_name[name].select.disks, disk))
            because = "" if covering else _left_out(disk, [by_name[name] for name in selected])
            self.totals.disks_uncovered += not covering
            native = tuple(applied.get(disk.id, ()))
            counts.update(native)
            covered.update(native if covering else ())
            foreign = standing.get(disk.id, _NONE)
            if because or native or foreign.count or foreign.automatic:
                yield DiskSeen(
                    place=place,
                    disk=disk.id,
                    kind=disk.kind,
                    size_gib=disk.size_gib,
                    instance=disk.instance,
                    protections=covering,
                    because=because,
                    native=native,
                    foreign=foreign,
                )
        for one in policies:
            yield NativeSeen(place=place, policy=one, disks=counts[one.id], covered=covered[one.id])


_NONE: Final = Foreign()


def places(policy: Policy) -> tuple[Place, ...]:
    """The home region in our own account, and in every other one of the policy."""
    accounts = [HOME, *(one.name for one in policy.accounts), *(one.account for one in policy.protections)]
    return tuple(Place(policy.region, account) for account in dict.fromkeys(accounts))


def _named(cloud: Compute, here: Sequence[Protection]) -> Mapping[InstanceId, tuple[str, ...]]:
    """What a protection names by id, or what stands for it after any number of replacements."""
    found: dict[InstanceId, tuple[str, ...]] = {}
    for one in here:
        if one.select.ids:
            for instance in select(cloud.inventory, replace(one.select, tags={}, where=None)).instances:
                found[instance.id] = (*found.get(instance.id, ()), one.name)
    return found


def verdict(
    here: Sequence[Protection], instance: Instance, place: Place, named: Sequence[str] = ()
) -> tuple[tuple[str, ...], str]:
    """The protections that select it, or why none does. `named`: those that name what it stands for."""
    if ISOLATED in instance.tags:
        return (), NOT_OURS_TO_SAVE
    covering = tuple(one.name for one in here if one.name in named or selects(one.select, instance))
    if covering:
        return covering, ""
    if not here:
        return (), f"no protection is for {f'account {place.account}' if place.account else 'this account'}"
    barred = [one.name for one in here if selects(replace(one.select, exclude=()), instance)]
    if barred:
        return (), f"excluded by {', '.join(barred)}"
    tags = ", ".join(f"{key}={value}" for key, value in sorted(instance.tags.items())[:NAMED])
    return (), f"no protection selects it: {f'its tags are {tags}' if tags else 'it has no tags'}"


def _left_out(disk: Disk, selecting: Sequence[Protection]) -> str:
    """Why none of the protections of its instance takes it."""
    if disk.instance is None:
        return ATTACHED_TO_NOTHING
    if not selecting:
        return "its instance is not covered"
    return "; ".join(_why(disk, one) for one in selecting)


def _why(disk: Disk, protection: Protection) -> str:
    wanted = protection.select.disks
    if disk.id in wanted.exclude:
        return f"excluded by {protection.name}"
    if disk.kind not in wanted.kinds:
        return f"{protection.name} leaves {disk.kind} disks out"
    return f"its tags do not fit select.disks of {protection.name}"


def _native(cloud: Compute) -> tuple[list[NativePolicy], Mapping[DiskId, list[str]], str]:
    """Policies, those of each disk, and why they could not be read. They are no reason to say nothing of the rest."""
    applied: dict[DiskId, list[str]] = {}
    try:
        policies = list(cloud.native.list())
        for policy, disk in cloud.native.applied() if policies else ():
            applied.setdefault(disk, []).append(policy)
    except CredentialsRejected:
        raise
    except DrError as error:
        return [], {}, str(error)
    return policies, applied, ""


def _standing(snapshots: Iterable[Snapshot]) -> dict[DiskId, Foreign]:
    found: dict[DiskId, Foreign] = {}
    for one in snapshots:
        before = found.get(one.disk, _NONE)
        if one.automatic:
            found[one.disk] = replace(before, automatic=before.automatic + 1)
        elif ours(one.tags):
            found[one.disk] = replace(before, ours=before.ours + 1)
        else:
            newest = one.created if before.newest is None else max(before.newest, one.created)
            found[one.disk] = replace(before, count=before.count + 1, newest=newest)
    return found


@dataclass(slots=True)
class _Sums:
    instances: int = 0
    first: list[str] = field(default_factory=list)
    left_out: int = 0
    left: list[str] = field(default_factory=list)
    foreign: int = 0
    foreign_disks: int = 0
    fullest: DiskSeen | None = None

    def add(self, seen: InstanceSeen | DiskSeen) -> None:
        if isinstance(seen, InstanceSeen):
            self.instances += 1
            if len(self.first) < NAMED:
                self.first.append(f"{seen.instance} ({seen.because})")
            return
        if seen.instance is not None and not seen.protections and seen.because != "its instance is not covered":
            self.left_out += 1
            if len(self.left) < NAMED:
                self.left.append(f"{seen.disk} of {seen.instance} ({seen.because})")
        if seen.protections and seen.foreign.count:
            self.foreign += seen.foreign.count
            self.foreign_disks += 1
            if self.fullest is None or seen.foreign.count > self.fullest.foreign.count:
                self.fullest = seen


def findings(policy: Policy, clouds: Clouds) -> Iterator[str]:
    """The same in a few lines per place, for `check --cloud`."""
    sums = {place: _Sums() for place in places(policy)}
    natives: list[str] = []
    for seen in Coverage(policy, clouds):
        match seen:
            case Unread():
                yield f"{seen.place}: {seen.because}"
            case NativeSeen():
                if seen.covered:
                    natives.append(
                        f"{seen.place}: {in_words(seen.policy)} takes snapshots of {seen.covered} disks that this "
                        "policy covers too. Understudy neither counts nor deletes them"
                    )
            case _:
                sums[seen.place].add(seen)
    for place, one in sums.items():
        yield from _told(place, one)
    yield from natives


def _told(place: Place, sums: _Sums) -> Iterator[str]:
    if sums.instances:
        yield f"{place}: {sums.instances} instances are protected by nothing: {_some(sums.first, sums.instances)}"
    if sums.left_out:
        yield f"{place}: {sums.left_out} disks of protected instances are left out: {_some(sums.left, sums.left_out)}"
    if sums.fullest is not None:
        most = sums.fullest
        yield (
            f"{place}: {sums.foreign} snapshots that Understudy did not make stand on {sums.foreign_disks} covered "
            f"disks and count against the same {QUOTA} a disk; the most on {most.disk}: {most.foreign.count}, the "
            f"newest of {most.foreign.newest:%Y-%m-%d}. `understudy adopt` takes named ones over"
        )


def _some(first: Sequence[str], of: int) -> str:
    more = f", and {of - len(first)} more; `understudy coverage` lists them" if of > len(first) else ""
    return ", ".join(first) + more


def in_words(policy: NativePolicy) -> str:
    """When it runs and how long it keeps, e.g. `native policy sp-1 (nightly), at 02 14 (UTC+8), kept 7 days`."""
    name = f" ({policy.name})" if policy.name else ""
    hours = "every hour" if len(policy.hours) == 24 else "at " + " ".join(f"{one:02}" for one in policy.hours)
    days = "" if len(policy.weekdays) == 7 else " on weekdays " + " ".join(map(str, policy.weekdays))
    kept = "for ever" if policy.days is None else f"{policy.days} day{'s' if policy.days != 1 else ''}"
    return f"native policy {policy.id}{name}, {hours}{days} (UTC+8), kept {kept},"
