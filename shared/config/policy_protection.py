"""The sections below `protections`, each checked by itself, and what each becomes in the domain."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shared.config.policy_section import Section, key
from shared.config.policy_selection import SelectSection
from shared.config.policy_times import Every, Moment, TimeOfDay, instant
from shared.config.policy_values import (
    DURATION,
    Hours,
    Id,
    Minute,
    Minutes,
    Name,
    Region,
    Switch,
    Text,
    Weekdays,
    Zone,
    distinct,
    duration,
    in_words,
    integers,
    name,
    whole,
)
from shared.config.problems import quoted
from shared.domain import freeze_script
from shared.domain.ids import AccountName
from shared.domain.place import HOME
from shared.domain.policy import (
    Blackout,
    CopyRule,
    Freeze,
    Lock,
    Overlap,
    Protection,
    Retention,
    Schedule,
    Then,
)
from shared.domain.retention import MAX_DAYS, MIN_DAYS, SAFETY
from shared.domain.schedule import is_ever_due

RESERVED = ("on-demand", "adopted", "all")
"""Names that no schedule may have: points taken by hand, points taken over, and every schedule."""

EVERY_DAY = tuple(range(1, 8))
EVERY_HOUR = tuple(range(24))
_HOUR = timedelta(hours=1)


def _schedule_name(value: object) -> str:
    word = name(value)
    if word in RESERVED:
        raise ValueError(f"{quoted(word)} is what Understudy itself calls such points. Choose another name")
    return word


def _protection_name(value: object) -> str:
    word = name(value)
    if word == SAFETY:
        raise ValueError(f"{quoted(word)} is what Understudy itself calls the points of restores. Choose another name")
    return word


class ScheduleSection(Section):
    """When restore points are due."""

    name: Annotated[Name, BeforeValidator(_schedule_name)] = key("hourly", says="Its name, part of every point's id.")
    hours: Hours | None = key("[2, 14]", "all", default=None, says="Hours of the day, wall time; with every: all.")
    every: Every | None = key(
        "15m", default=None, says="An interval that divides the day, 5m to 24h, counted from midnight."
    )
    weekdays: Weekdays = key("[mon, thu]", "all", default=EVERY_DAY, says="Days of the week, or all.")
    minute: Minute = key("30", default=0, says="Minutes after the hour, or after each multiple of every.")
    time_zone: Zone | None = key("Europe/Berlin", default=None, says="Its own time zone in place of the file's.")

    @model_validator(mode="after")
    def _is_due(self) -> "ScheduleSection":
        if self.every is None and self.hours is None:
            raise ValueError("says no time. Add hours: [2, 14], or every: 15m")
        if self.every is not None and timedelta(minutes=self.minute) >= self.every:
            same = timedelta(minutes=self.minute) % self.every // timedelta(minutes=1)
            raise ValueError(
                f"minute {self.minute} is not less than every {in_words(self.every)}. Write minute: {same}, which "
                "gives the same times"
            )
        idle = [hour for hour in self.hours or () if not is_ever_due(self._at((hour,), "UTC"))]
        if idle and self.hours != EVERY_HOUR:
            busy = [hour for hour in EVERY_HOUR if is_ever_due(self._at((hour,), "UTC"))]
            raise ValueError(
                f"no multiple of every {in_words(self.every or _HOUR)} falls into hour {idle[0]}, so it would never be "
                f"due then. Choose among hours: {busy}"
            )
        return self

    def _at(self, hours: tuple[int, ...], zone: str) -> Schedule:
        return Schedule(
            name=self.name, hours=hours, weekdays=self.weekdays, minute=self.minute, every=self.every, zone=zone
        )

    def value(self, default_zone: str) -> Schedule:
        return self._at(self.hours or EVERY_HOUR, self.time_zone or default_zone)


def _flag(value: object) -> bool:
    if value is not True:
        raise ValueError(f"{quoted(value)} says nothing. Write forever: true, or remove the key")
    return True


_Count = Annotated[int, BeforeValidator(whole(1, MAX_DAYS, what="a number of points")), integers(1, MAX_DAYS)]
_Days = Annotated[
    int, BeforeValidator(whole(MIN_DAYS, MAX_DAYS, what="a number of days")), integers(MIN_DAYS, MAX_DAYS)
]
_Forever = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"const": True})]


class KeepSection(Section):
    """Which points stay: those that any of these rules saves."""

    days: _Days | None = key("30", default=None, says="Every point for this many days since it was taken.")
    last: _Count = key("3", default=0, says="The newest so many.")
    hourly: _Count = key("24", default=0, says="The newest of each of the last so many hours that have one.")
    daily: _Count = key("7", default=0, says="The newest of each of the last so many days that have one.")
    weekly: _Count = key("4", default=0, says="The newest of each of the last so many ISO weeks that have one.")
    monthly: _Count = key("12", default=0, says="The newest of each of the last so many months that have one.")
    yearly: _Count = key("7", default=0, says="The newest of each of the last so many years that have one.")
    forever: _Forever = key("true", default=False, says="Every point. The cloud's quota still bounds them.")

    def value(self) -> Retention:
        return Retention(**self.model_dump())

    @property
    def only_days(self) -> int | None:
        """How long every point is kept, when nothing but `days` is said."""
        return self.days if self.model_fields_set == {"days"} else None


class BlackoutSection(Section):
    """A time in which no restore point is begun."""

    name: Name = key("month-end", says="Its name, told as the reason why a slot was skipped.")
    between: TimeOfDay | None = key("'22:00-02:00'", default=None, says="From one time of day to another.")
    weekdays: Weekdays | None = key("[sat, sun]", "all", default=None, says="Days on which it begins; all unless said.")
    begins: Moment | None = key("2026-12-24 18:00", name="from", default=None, says="When it begins, if it comes once.")
    ends: Moment | None = key("2026-12-27 06:00", name="to", default=None, says="When it ends.")
    time_zone: Zone | None = key("Europe/Berlin", default=None, says="Its own time zone in place of the file's.")

    @model_validator(mode="after")
    def _is_one_kind(self) -> "BlackoutSection":
        once = self.begins is not None or self.ends is not None
        if self.between is not None and once:
            raise ValueError("recurs by between and comes once by from and to. Remove one side")
        if self.between is None and not once:
            raise ValueError("says no time. Add between: '22:00-02:00', or from: 2026-12-24 18:00 and to: ...")
        if once and (self.begins is None or self.ends is None):
            raise ValueError(f"says only one end. Add {'to' if self.ends is None else 'from'}: 2026-12-27 06:00")
        if once and self.weekdays is not None:
            raise ValueError("comes once, so weekdays would do nothing. Remove them")
        if self.begins is not None and self.ends is not None:
            zone = self.time_zone or "UTC"
            if instant(self.ends, zone) <= instant(self.begins, zone):
                raise ValueError(f"ends at {self.ends}, not after it begins. Exchange from and to, or correct one")
        return self

    def value(self, default_zone: str) -> Blackout:
        zone = self.time_zone or default_zone
        if self.between is None:
            assert self.begins is not None
            assert self.ends is not None
            return Blackout(name=self.name, zone=zone, since=instant(self.begins, zone), until=instant(self.ends, zone))
        return Blackout(
            name=self.name,
            zone=zone,
            weekdays=self.weekdays or EVERY_DAY,
            begins=self.between[0],
            ends=self.between[1],
        )


def _then(value: object) -> str:
    if value not in tuple(Then):
        raise ValueError(f"{quoted(value)} is not what can be done with a slot. Write skip or queue")
    return str(value)


def _in_short(value: object) -> object:
    """`overlap: skip` for {then: skip}."""
    if isinstance(value, dict):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} says only how many. Write {{at_most: {value}, then: skip}}, or then: queue")
    return {"then": _then(value)}


_Then = Annotated[str, BeforeValidator(_then), WithJsonSchema({"enum": [str(one) for one in Then]})]
_AtMost = Annotated[int, BeforeValidator(whole(1, 10, what="a number of snapshots")), integers(1, 10)]


class OverlapSection(Section):
    """What becomes of a slot while a disk has too many unfinished snapshots."""

    at_most: _AtMost = key("3", default=10, says="Unfinished snapshots per disk beside which another may begin.")
    then: _Then = key("skip", "queue", default="queue", says="Give the slot up, or wait for room.")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": [str(one) for one in Then]}, handler(core_schema)]}

    def value(self) -> Overlap:
        return Overlap(at_most=self.at_most, then=Then(self.then))


_Within = Annotated[timedelta, BeforeValidator(duration(freeze_script.SHORTEST, freeze_script.LONGEST)), DURATION]


class FreezeSection(Section):
    """Application consistency by shell scripts that Cloud Assistant runs in the guest."""

    before: Text = key("fsfreeze -f /var/lib/db", says="A script that brings applications to rest.")
    after: Text = key("fsfreeze -u /var/lib/db", says="A script that lets them go on; it must bear to run twice.")
    within: _Within = key("30s", says="The guest is frozen no longer than this: a timer in it runs after by itself.")
    required: Switch = key("true", default=False, says="No point rather than one that is only crash-consistent.")

    @model_validator(mode="after")
    def _can_be_sent(self) -> "FreezeSection":
        trouble = freeze_script.trouble(self.value())
        if trouble:
            raise ValueError(trouble)
        return self

    def value(self) -> Freeze:
        return Freeze(before=self.before, after=self.after, within=self.within, required=self.required)


def _whole_hours(value: object) -> timedelta:
    length = duration(timedelta(), timedelta(hours=72))(value)
    if length % _HOUR:
        raise ValueError(f"{quoted(value)} is not a number of whole hours. Use {in_words(length - length % _HOUR)}")
    return length


_LockDays = Annotated[int, BeforeValidator(whole(1, 36_500, what="a number of days")), integers(1, 36_500)]


class LockSection(Section):
    """WORM: nobody, the account's owner included, can delete a snapshot before its lock is over."""

    days: _LockDays = key("7", says="How long, counted from when the snapshot is complete.")
    cool_off: Annotated[timedelta, BeforeValidator(_whole_hours), DURATION] = key(
        "24h", default=timedelta(), says="The time in which a lock can still be taken back, 0s to 72h in whole hours."
    )

    @model_validator(mode="after")
    def _fits(self) -> "LockSection":
        if self.cool_off > timedelta(days=self.days):
            raise ValueError(
                f"cool_off {in_words(self.cool_off)} is longer than the lock of {self.days} d. Use "
                f"{24 * self.days}h or less"
            )
        return self

    def value(self) -> Lock:
        return Lock(days=self.days, cool_off_hours=self.cool_off // _HOUR)


_Deadline = Annotated[timedelta, BeforeValidator(duration(timedelta(minutes=10), timedelta(days=30))), DURATION]
_Priority = Annotated[int, BeforeValidator(whole(1, 9, what="a priority")), integers(1, 9)]


class CopySection(Section):
    """Copies of the points in another region."""

    region: Region = key("cn-shanghai", says="Where the copies go.")
    keep: KeepSection = key("{daily: 30}", "{days: 30}", says="Which copies stay, as keep of the protection.")
    within: _Deadline = key("24h", default=timedelta(hours=24), says="Deadline since the source was taken, 10m to 30d.")
    schedules: Annotated[list[Name], AfterValidator(distinct)] = key(
        "[nightly]", default=[], says="Whose points are copied; all unless said."
    )
    kms_key: Id = key(
        "key-hzz62f1cb66fa42qo9y5x", default="", says="KMS key of that region; as the source is encrypted unless said."
    )
    priority: _Priority = key("1", default=5, says="1 goes first, 9 last.")
    lock: LockSection | None = key("{days: 30}", default=None, says="WORM lock of the copies.")

    def value(self) -> CopyRule:
        return CopyRule(
            region=self.region,
            keep=self.keep.value(),
            within=self.within,
            schedules=tuple(self.schedules),
            kms_key=self.kms_key,
            priority=self.priority,
            lock=self.lock.value() if self.lock else None,
        )


class ProtectionSection(Section):
    """What is backed up, when, and for how long."""

    name: Annotated[Name, BeforeValidator(_protection_name)] = key(
        "applications", says="Its name, part of every point's id."
    )
    select: SelectSection = key("{tags: {role: app}}", says="Which instances and disks.")
    account: Name | None = key("branch", default=None, says="Name of one of accounts; the home account unless said.")
    schedules: list[ScheduleSection] = key("[{name: hourly, hours: all}]", says="When points are due.")
    keep: KeepSection = key("{hourly: 24, daily: 7}", "{days: 30}", "{forever: true}", says="Which points stay.")
    rpo_target: Minutes = key("75m", says="How old the newest usable point may become.")
    blackouts: list[BlackoutSection] = key(
        "[{name: nights, between: '22:00-02:00'}]", default=[], says="When no point is begun."
    )
    overlap: Annotated[OverlapSection | None, BeforeValidator(_in_short)] = key(
        "skip", "queue", "{at_most: 3, then: skip}", default=None, says="What becomes of a slot that finds no room."
    )
    freeze: FreezeSection | None = key(
        "{before: fsfreeze -f /data, after: fsfreeze -u /data, within: 30s}",
        default=None,
        says="Scripts around the snapshot, for application-consistent points.",
    )
    lock: LockSection | None = key("{days: 7, cool_off: 24h}", default=None, says="WORM lock of every point.")
    copies: list[CopySection] = key(
        "[{region: cn-shanghai, keep: {daily: 30}}]", default=[], says="Copies in other regions."
    )

    def value(self, default_zone: str) -> Protection:
        return Protection(
            name=self.name,
            select=self.select.value(),
            schedules=tuple(one.value(default_zone) for one in self.schedules),
            keep=self.keep.value(),
            rpo_target=self.rpo_target,
            account=AccountName(self.account) if self.account else HOME,
            blackouts=tuple(one.value(default_zone) for one in self.blackouts),
            overlap=self.overlap.value() if self.overlap else Overlap(),
            freeze=self.freeze.value() if self.freeze else None,
            lock=self.lock.value() if self.lock else None,
            copies=tuple(one.value() for one in self.copies),
        )
