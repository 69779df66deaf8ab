"""What is protected and how: the content of one numbered, immutable policy version.

`shared.config` parses and validates `understudy.yaml` into these; functions read them from the state store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.domain.calendar_rules import Blackout as Blackout
from shared.domain.calendar_rules import Schedule as Schedule
from shared.domain.ids import AccountName, DiskId, InstanceId, LoadBalancerId
from shared.domain.inventory import DiskKind
from shared.domain.pair import Member as Member
from shared.domain.pair import Pair as Pair
from shared.domain.place import HOME, Place

FOREVER = None
"""`Retention.days` for points that no rule by age lets go. The cloud's quota still bounds them."""


ANY_VALUE = "*"
"""In `Where.tags`: the tag is there, whatever its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A condition on tags. All of what is given must hold; nothing given holds for everything."""

    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # each tag has one of these values
    all: tuple["Where", ...] = ()
    any: tuple["Where", ...] = ()
    none: tuple["Where", ...] = ()  # `not` in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSelection:
    """Which disks of a selected instance. One that is attached later is in as soon as it fits."""

    kinds: tuple[DiskKind, ...] = (DiskKind.SYSTEM, DiskKind.DATA)
    exclude: tuple[DiskId, ...] = ()
    where: Where | None = None  # on the disk's own tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Instances: those that carry all of `tags` and fit `where` (when either is given), or are named in `ids`; never
    those in `exclude`."""

    tags: Mapping[str, str] = field(default_factory=dict)
    where: Where | None = None
    ids: tuple[InstanceId, ...] = ()
    exclude: tuple[InstanceId, ...] = ()
    disks: DiskSelection = field(default_factory=DiskSelection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Keeps are a union: a point survives when any rule saves it. All None means for ever."""

    days: int | None = FOREVER  # 1-65,536 whole days since *taken*; None: no rule by age
    hourly: int = 0  # newest point of each of the last N hours that have one; calendar cut in the schedule's zone
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    last: int = 0  # the newest N
    forever: bool = False


class Then(StrEnum):
    """What becomes of a slot whose disk has too many snapshots under way."""

    SKIP = "skip"
    QUEUE = "queue"  # it waits, and the next slot of the schedule takes its place if that comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """`at_most` unfinished snapshots per disk. The cloud's own bound is 10 for the ESSD family and 1 for others; what
    it refuses as busy is treated by `then` as well."""

    at_most: int = 10
    then: Then = Then.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Application consistency: shell scripts run in the guest by Cloud Assistant around the snapshot."""

    before: str
    after: str  # also run by a timer in the guest, should we not come back
    within: timedelta  # the guest is frozen no longer than this
    required: bool = False  # True: no point rather than one that is only crash-consistent


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """WORM: the cloud lets nobody delete the snapshot before `days` are over, once `cool_off` has gone by."""

    days: int  # 1-36,500
    cool_off_hours: int = 0  # 0-72


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRule:
    """Copies of a protection's restore points in another region, with a retention of their own."""

    region: str
    keep: Retention
    within: timedelta  # deadline, counted from when the source was taken
    schedules: tuple[str, ...] = ()  # whose points are copied; empty: all
    kms_key: str = ""  # of that region; empty: as the source is encrypted
    priority: int = 5  # 1 goes first, 9 last
    lock: Lock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Another account, entered by assuming `role` (acs:ram::UID:role/NAME)."""

    name: AccountName
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    name: str
    select: Selection
    schedules: tuple[Schedule, ...]
    keep: Retention
    rpo_target: timedelta
    account: AccountName = HOME
    blackouts: tuple[Blackout, ...] = ()
    overlap: Overlap = field(default_factory=Overlap)
    freeze: Freeze | None = None
    lock: Lock | None = None
    copies: tuple[CopyRule, ...] = ()

    @property
    def zone(self) -> str:
        """The zone in whose calendar `keep` is cut: that of the first schedule (there is at least one)."""
        return self.schedules[0].zone


class PlatformRestart(StrEnum):
    """What becomes of the platform's own restart of a failed host's instances."""

    WAIT = "wait"  # it is given `patience` to bring the instance back
    DISARM = "disarm"  # instances of the rule are set so that the platform leaves them stopped: we need not wait


class Address(StrEnum):
    """Which private address a replacement has."""

    KEEP = "keep"  # the old one's, moved off it, where zone and vSwitch allow; else a new one, and both are told
    NEW = "new"


class DataFrom(StrEnum):
    """Where a replacement's data disks come from."""

    DISKS = "disks"  # the old one's own, where they survive and can be attached; else the newest usable points
    POINTS = "points"  # always the newest usable points: the old disks stay as they are, for inspection


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Another place to create instances in, when the first has no stock."""

    zone: str
    vswitch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRule:
    """What to do when CloudMonitor says that an instance of this selection failed."""

    name: str
    select: Selection
    image_family: str
    balancer: LoadBalancerId | None
    weight: int
    port: int  # where its service answers; probed before traffic is given to it
    patience: timedelta  # how long the platform's own restart is waited for before a rebuild
    max_at_once: int
    max_per_hour: int = 10
    platform_restart: PlatformRestart = PlatformRestart.WAIT
    elsewhere: tuple[Elsewhere, ...] = ()  # tried in this order, after its own zone
    instance_types: tuple[str, ...] = ()  # tried in this order in each place, after its own type
    address: Address = Address.KEEP
    data_from: DataFrom = DataFrom.DISKS
    image_max_age: timedelta | None = None  # readiness warns when the newest usable image is older


class ImageDisks(StrEnum):
    ALL = "all"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRule:
    """Images of a role: made of one running instance of `of`, by hand or by schedule, and filed as a family."""

    name: str
    family: str
    of: Selection
    disks: ImageDisks = ImageDisks.ALL
    schedules: tuple[Schedule, ...] = ()
    keep: int = 3  # newest usable versions, in each region; never fewer than one, nor one in use
    copy_to: tuple[str, ...] = ()  # regions
    publish_to: tuple[str, ...] = ()  # scaling groups whose active configuration gets each new version
    max_age: timedelta | None = None  # readiness warns when the newest usable one is older
    blackouts: tuple[Blackout, ...] = ()


class PlanAction(StrEnum):
    RESTORE = "restore"  # roll the selected instances' disks back to a point
    REBUILD = "rebuild"  # replace the selected instances by their rebuild rule, lost or not
    LAUNCH = "launch"  # make `amount` instances of `family`, as `like` is


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One piece of work of a wave; all of a wave's steps run side by side."""

    name: str
    action: PlanAction
    select: Selection | None = None  # restore, rebuild: which instances, judged when the wave begins
    point: str = "newest"  # restore: "newest", or a moment that is given when the plan is run: "at"
    family: str = ""  # launch
    like: InstanceId | None = None  # launch: whose type, network, groups, tags and key pair are taken
    amount: int = 1  # launch
    at_once: int = 10  # instances under way at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The wave is through when every instance that it touched answers on `port`."""

    port: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    name: str
    steps: tuple[PlanStep, ...]
    timeout: timedelta
    gate: Gate | None = None
    approval: bool = False  # an operator must let it begin


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """Waves one after the other: databases before applications."""

    name: str
    waves: tuple[Wave, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneLimits:
    max_items: int  # absolute cap on deletions per run
    max_percent: int  # and relative to the points in scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """Calls per minute that we allow ourselves, per account, region and action. The cloud's own figures stand only in
    the account's Quota Center, and other users of the account share them."""

    default: int = 300
    actions: Mapping[str, int] = field(default_factory=dict)
    reserve_percent: int = 30  # of each, left for recovery: back-ups and prune stop earlier
    fan_out: int = 10  # invocations of `backup` at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    region: str
    protections: tuple[Protection, ...]
    rebuilds: tuple[RebuildRule, ...]
    pairs: tuple[Pair, ...]
    prune: PruneLimits
    accounts: tuple[Account, ...] = ()
    limits: ApiLimits = field(default_factory=ApiLimits)
    images: tuple[ImageRule, ...] = ()
    plans: tuple[RecoveryPlan, ...] = ()
    safety_days: int = 7  # how long the safety point of a rollback is kept

    def place(self, protection: Protection) -> Place:
        return Place(self.region, protection.account)

    def image(self, name: str) -> ImageRule | None:
        return next((one for one in self.images if one.name == name), None)

    def image_of(self, family: str) -> ImageRule | None:
        """A family has one rule at most."""
        return next((one for one in self.images if one.family == family), None)

    def plan(self, name: str) -> RecoveryPlan | None:
        return next((one for one in self.plans if one.name == name), None)

    def protection(self, name: str) -> Protection | None:
        return next((one for one in self.protections if one.name == name), None)
