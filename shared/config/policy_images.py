"""The section `images` of `understudy.yaml`: whose image is taken, when, how many versions stay, and where they go."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from shared.config import policy_rules
from shared.config.policy_protection import BlackoutSection, ScheduleSection
from shared.config.policy_reading import at, listed, sound
from shared.config.policy_section import Section, key
from shared.config.policy_selection import SelectSection
from shared.config.policy_values import Id, Minutes, Name, Region, Text, distinct, integers, whole
from shared.config.problems import Path, Problem, nearest, quoted
from shared.domain.policy import ImageDisks, ImageRule

KINDS = tuple(one.value for one in ImageDisks)


def _disks(value: object) -> ImageDisks:
    if value not in KINDS:
        hint = nearest(value, KINDS) if isinstance(value, str) else ""
        raise ValueError(f"{quoted(value)} does not say which disks.{hint} Use all, or system")
    return ImageDisks(str(value))


_Disks = Annotated[ImageDisks, BeforeValidator(_disks), WithJsonSchema({"enum": list(KINDS)})]
_Keep = Annotated[int, BeforeValidator(whole(1, 100, what="a number of versions")), integers(1, 100)]


class ImageSection(Section):
    """Images of a role: made of one running instance, filed as versions of a family."""

    name: Name = key("applications", says="Its name.")
    family: Text = key("app", says="The image family, which rebuild rules and launches name.")
    of: SelectSection = key("{tags: {role: app}}", says="Of which instances one is imaged.")
    disks: _Disks = key("system", "all", default=ImageDisks.ALL, says="Which of its disks: all, or system.")
    schedules: list[ScheduleSection] = key(
        "[{name: weekly, hours: [3], weekdays: [sun]}]", default=[], says="When an image is due; none: by hand only."
    )
    blackouts: list[BlackoutSection] = key(
        "[{name: nights, between: '22:00-02:00'}]", default=[], says="When no image is begun."
    )
    keep: _Keep = key("3", default=3, says="The newest usable versions that stay in each region.")
    copy_to: Annotated[list[Region], AfterValidator(distinct)] = key(
        "[cn-shanghai]", default=[], says="Regions that get a copy of each version."
    )
    publish_to: Annotated[list[Id], AfterValidator(distinct)] = key(
        "[asg-bp1ffogfdauy0jw0]", default=[], says="Scaling groups that start from each new version."
    )
    max_age: Minutes | None = key("14d", default=None, says="An older newest version is told as not ready.")

    def value(self, zone: str) -> ImageRule:
        return ImageRule(
            name=self.name,
            family=self.family,
            of=self.of.value(),
            disks=self.disks,
            schedules=tuple(one.value(zone) for one in self.schedules),
            blackouts=tuple(one.value(zone) for one in self.blackouts),
            keep=self.keep,
            copy_to=tuple(self.copy_to),
            publish_to=tuple(self.publish_to),
            max_age=self.max_age,
        )


def problems(parts: list[object], *, home: str | None) -> Iterator[Problem]:
    """Between its own keys, and between the rules."""
    families: dict[str, int] = {}
    groups: dict[str, int] = {}
    for place, part in enumerate(parts):
        path: Path = ("images", place)
        yield from policy_rules.of_selection(at(part, "of"), (*path, "of"))
        if at(part, "of", "disks") is not None:
            says = "which disks an image holds is said by disks of the rule. Remove it here"
            yield Problem(path=(*path, "of", "disks"), says=says)
        yield from policy_rules.of_names(listed(part, "schedules"), (*path, "schedules"))
        yield from policy_rules.of_names(listed(part, "blackouts"), (*path, "blackouts"))
        if listed(part, "blackouts") and not listed(part, "schedules"):
            yield Problem(path=(*path, "blackouts"), says="hold schedules back, and there are none. Remove them")
        for number, region in enumerate(listed(part, "copy_to")):
            if region == home and home is not None:
                says = f"{quoted(region)} is the home region, where the image is made. Name other regions"
                yield Problem(path=(*path, "copy_to", number), says=says)
        if sound(ImageSection, part) is None:
            continue
        family = at(part, "family")
        if isinstance(family, str):
            if family in families:
                says = (
                    f"{quoted(family)} is already the family of images[{families[family]}]: its versions are counted, "
                    "and let go, by one rule. Rename one family"
                )
                yield Problem(path=(*path, "family"), says=says)
            families.setdefault(family, place)
        for number, group in enumerate(listed(part, "publish_to")):
            if isinstance(group, str):
                if group in groups:
                    says = f"{quoted(group)} already starts from images[{groups[group]}]. One group has one role"
                    yield Problem(path=(*path, "publish_to", number), says=says)
                groups.setdefault(group, place)
