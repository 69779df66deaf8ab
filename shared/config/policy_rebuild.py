"""The `rebuilds` of `understudy.yaml`: which instances are replaced when they fail, by what, and where."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from shared.config.policy_section import Section, key
from shared.config.policy_selection import SelectSection
from shared.config.policy_values import Id, Minutes, Name, Port, Text, Wait, distinct, integers, whole
from shared.config.problems import nearest, quoted
from shared.domain.ids import LoadBalancerId
from shared.domain.policy import Address, DataFrom, Elsewhere, PlatformRestart, RebuildRule

_Weight = Annotated[int, BeforeValidator(whole(0, 100, what="a weight")), integers(0, 100)]
_Rebuilds = Annotated[int, BeforeValidator(whole(1, 1_000, what="a number of rebuilds")), integers(1, 1_000)]


def _one_of(words: type[StrEnum], what: str) -> Callable[[object], str]:
    known = [one.value for one in words]

    def read(value: object) -> str:
        if value not in known:
            raise ValueError(f"{quoted(value)} is not {what}.{nearest(str(value), known)} Write {' or '.join(known)}")
        return str(value)

    return read


def _words(words: type[StrEnum]) -> WithJsonSchema:
    return WithJsonSchema({"enum": [one.value for one in words]})


_Restart = Annotated[
    str, BeforeValidator(_one_of(PlatformRestart, "a way to treat the platform's restart")), _words(PlatformRestart)
]
_Address = Annotated[str, BeforeValidator(_one_of(Address, "a choice of private address")), _words(Address)]
_DataFrom = Annotated[str, BeforeValidator(_one_of(DataFrom, "a source of data disks")), _words(DataFrom)]


class BackendSection(Section):
    """A place behind a load balancer."""

    id: Id = key("lb-apps", says="Id of the load balancer.")
    weight: _Weight = key("100", says="Weight that the replacement gets, 0-100.")


class ElsewhereSection(Section):
    """Another place for a replacement."""

    zone: Id = key("cn-hangzhou-i", says="An availability zone of the region.")
    vswitch: Id = key("vsw-bp1s5fnvk4gn2tws0", says="A vSwitch of that zone, in the VPC of the instances.")

    def value(self) -> Elsewhere:
        return Elsewhere(zone=self.zone, vswitch=self.vswitch)


def _once(places: list[ElsewhereSection]) -> list[ElsewhereSection]:
    distinct([one.vswitch for one in places])
    return places


class RebuildSection(Section):
    """Which instances are built anew from an image when they fail."""

    name: Name = key("applications", says="Its name.")
    select: SelectSection = key("{tags: {role: app}}", says="Which instances are rebuilt when they fail.")
    image_family: Text = key("app", says="The image family that a replacement starts from.")
    image_max_age: Minutes | None = key(
        "30d", default=None, says="Readiness warns when the newest usable image is older."
    )
    balancer: BackendSection | None = key(
        "{id: lb-apps, weight: 100}", default=None, says="Whose backend the replacement becomes."
    )
    port: Port = key("8080", says="Where its service answers; probed before it gets traffic.")
    platform_restart: _Restart = key(
        "wait",
        "disarm",
        default="wait",
        says="Give the platform's own restart its time, or have it leave a failed one stopped.",
    )
    patience: Wait = key("6m", default=timedelta(minutes=6), says="How long the platform's own restart is waited for.")
    max_at_once: _Rebuilds = key("2", default=1, says="Rebuilds under way at once.")
    max_per_hour: _Rebuilds = key("10", default=10, says="Rebuilds begun within an hour.")
    elsewhere: Annotated[list[ElsewhereSection], AfterValidator(_once)] = key(
        "[{zone: cn-hangzhou-i, vswitch: vsw-bp1s5fnvk4gn2tws0}]",
        default=[],
        says="Where else a replacement may stand, in this order, when its own zone has no stock.",
    )
    instance_types: Annotated[list[Text], AfterValidator(distinct)] = key(
        "[ecs.g7.large, ecs.g6.large]",
        default=[],
        says="Types to try in each place, in this order, after the instance's own.",
    )
    address: _Address = key("keep", "new", default="keep", says="Whether it takes over the private address.")
    data_from: _DataFrom = key(
        "disks", "points", default="disks", says="The old one's data disks, or the newest usable restore points."
    )

    def value(self) -> RebuildRule:
        return RebuildRule(
            name=self.name,
            select=self.select.value(),
            image_family=self.image_family,
            image_max_age=self.image_max_age,
            balancer=LoadBalancerId(self.balancer.id) if self.balancer else None,
            weight=self.balancer.weight if self.balancer else 0,
            port=self.port,
            platform_restart=PlatformRestart(self.platform_restart),
            patience=self.patience,
            max_at_once=self.max_at_once,
            max_per_hour=self.max_per_hour,
            elsewhere=tuple(one.value() for one in self.elsewhere),
            instance_types=tuple(self.instance_types),
            address=Address(self.address),
            data_from=DataFrom(self.data_from),
        )
