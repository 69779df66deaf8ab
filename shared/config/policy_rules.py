"""The rules between the parts of protections: what each part alone cannot know.

Each rule looks at whatever parts are sound, so that a slip elsewhere hides nothing. Rules that need the fleet, the
quota or the calendar are in `shared.domain.feasibility`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.config.policy_protection import FreezeSection, KeepSection, LockSection, ScheduleSection
from shared.config.policy_reading import at, listed, named, sound
from shared.config.policy_selection import SelectSection, contradiction
from shared.config.problems import Path, Problem, nearest, quoted

Protections = Sequence[tuple[Path, object]]


def of_protection(
    part: object, path: Path, *, home: str | None, zone: str | None, accounts: Sequence[str]
) -> Iterator[Problem]:
    yield from of_selection(at(part, "select"), (*path, "select"))
    yield from of_names(listed(part, "schedules"), (*path, "schedules"))
    yield from of_names(listed(part, "blackouts"), (*path, "blackouts"))
    yield from _schedules(part, path, zone or "UTC")
    yield from _keep(part, path)
    yield from _copies(part, path, home)
    account = at(part, "account")
    if isinstance(account, str) and account not in accounts:
        others = f", or use one of: {', '.join(accounts)}" if accounts else ""
        says = f"there is no account {quoted(account)}.{nearest(account, accounts)} Add it under accounts{others}"
        yield Problem(path=(*path, "account"), says=says)


def of_names(items: list[object], path: Path) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for place, name in named(items):
        if name in first:
            says = f"{quoted(name)} is already the name of {path[-1]}[{first[name]}]. Rename one"
            yield Problem(path=(*path, place, "name"), says=says)
        first.setdefault(name, place)


def of_selection(part: object, path: Path) -> Iterator[Problem]:
    select = sound(SelectSection, part)
    if select is None:
        return
    if select.says_nothing() and not select.ids:
        yield Problem(path=path, says="selects nothing. Add tags: {role: app} or ids: [i-...]")
    says = contradiction(select)
    if says:
        yield Problem(path=(*path, "exclude"), says=says)


def of_freezes(protections: Protections) -> Iterator[Problem]:
    """Two freezes of one guest: the thaw of one would end the freeze of the other, unnoticed."""
    seen: list[tuple[Path, object, SelectSection]] = []
    for path, part in protections:
        select = sound(SelectSection, at(part, "select"))
        if select is None or sound(FreezeSection, at(part, "freeze")) is None:
            continue
        for other, part_of_other, selected in seen:
            both = _both(select, selected) if at(part, "account") == at(part_of_other, "account") else ""
            if both:
                says = (
                    f"{both} by {other[0]}[{other[1]}] as well: the thaw of one would end the freeze of the other. Put "
                    "the schedules of both into one protection, or remove freeze from one"
                )
                yield Problem(path=(*path, "freeze"), says=says)
                break
        seen.append((path, part, select))


def _both(one: SelectSection, other: SelectSection) -> str:
    shared = (set(one.ids) - set(one.exclude)) & (set(other.ids) - set(other.exclude))
    if shared:
        return f"{min(shared)} is frozen"
    mine, its = one.value(), other.value()
    alike = not one.says_nothing() and (mine.tags, mine.where) == (its.tags, its.where)
    return "the same instances are frozen" if alike else ""


def _schedules(part: object, path: Path, zone: str) -> Iterator[Problem]:
    here = (*path, "schedules")
    if isinstance(part, dict) and not part.get("schedules"):
        yield Problem(path=here, says="the list is empty, so nothing would be backed up. Add a schedule")
    first: dict[Any, int] = {}
    for place, one in enumerate(listed(part, "schedules")):
        section = sound(ScheduleSection, one)
        if section is None:
            continue
        times = section.value(zone)
        same = (times.hours, times.weekdays, times.zone, times.minute, times.every)
        if same in first:
            says = f"is due whenever schedules[{first[same]}] is, so each point would be made twice. Remove one"
            yield Problem(path=(*here, place), says=says)
        first.setdefault(same, place)


def _keep(part: object, path: Path) -> Iterator[Problem]:
    """`part` is a protection, or one of its copies."""
    keep = sound(KeepSection, at(part, "keep"))
    if keep is None:
        return
    here = (*path, "keep")
    given = sorted(keep.model_fields_set)
    if not given:
        yield Problem(path=here, says="says nothing. Write {hourly: 24, daily: 7}, {days: 30} or {forever: true}")
    elif keep.forever and len(given) > 1:
        others = ", ".join(one for one in given if one != "forever")
        says = f"true keeps everything, so {others} would do nothing. Remove one side"
        yield Problem(path=(*here, "forever"), says=says)
    lock = sound(LockSection, at(part, "lock"))
    if lock is not None and keep.only_days is not None and lock.days > keep.only_days:
        says = (
            f"{lock.days} is longer than keep.days {keep.only_days}: until then nobody can delete the point, so keep "
            f"could not be kept. Use {keep.only_days} or less, or raise keep.days to {lock.days}"
        )
        yield Problem(path=(*path, "lock", "days"), says=says)


def _copies(part: object, path: Path, home: str | None) -> Iterator[Problem]:
    schedules = [name for _, name in named(listed(part, "schedules"))]
    first: dict[str, int] = {}
    for place, one in enumerate(listed(part, "copies")):
        here = (*path, "copies", place)
        yield from _keep(one, here)
        region = at(one, "region")
        if isinstance(region, str):
            if region == home:
                says = f"{quoted(region)} is the home region, where the points are already. Name another region"
                yield Problem(path=(*here, "region"), says=says)
            elif region in first:
                says = (
                    f"copies[{first[region]}] copies to {region} already, and one retention holds in one region. Put "
                    "both into one rule"
                )
                yield Problem(path=(*here, "region"), says=says)
            first.setdefault(region, place)
        for number, name in enumerate(listed(one, "schedules")):
            if isinstance(name, str) and name not in schedules:
                known = ", ".join(schedules) or "none"
                says = f"there is no schedule {quoted(name)} here.{nearest(name, schedules)} Use one of: {known}"
                yield Problem(path=(*here, "schedules", number), says=says)
