"""Where a resource lives: an account, and an account's part of one region.

Most services are regional, so one account has an `Ecs` in every region that it uses; names and identities belong to
the account alone. Many ECS actions carry no RegionId: there the endpoint decides, which is why the door picks a realm
before it looks at an action.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.alidns.model import Alidns
    from emulator.bus import Bus
    from emulator.chance import Chance
    from emulator.clock import Clock
    from emulator.cloud import Cloud
    from emulator.cms.model import CloudMonitor
    from emulator.ecs.model import Ecs
    from emulator.ess.model import AutoScaling
    from emulator.network.zones import Zones
    from emulator.pvtz.model import PrivateZone
    from emulator.slb.model import LoadBalancers
    from emulator.vpc.model import Vpc


class Account:
    """What an account owns whatever the region. Models are built on first use, so that a test of one pays for one."""

    def __init__(self, cloud: "Cloud", id: str) -> None:
        self.cloud = cloud
        self.id = id
        self.account = id
        self.clock: Clock = cloud.clock
        self.chance: Chance = cloud.chance
        self.bus: Bus = cloud.bus

    @cached_property
    def pvtz(self) -> "PrivateZone":
        from emulator.pvtz.model import PrivateZone

        return PrivateZone(self)

    @cached_property
    def alidns(self) -> "Alidns":
        from emulator.alidns.model import Alidns

        return Alidns(self)


class Realm:
    """One account in one region."""

    def __init__(self, owner: Account, region: str) -> None:
        self.owner = owner
        self.cloud = owner.cloud
        self.account = owner.id
        self.region = region
        self.clock: Clock = owner.clock
        self.chance: Chance = owner.chance
        self.bus: Bus = owner.bus

    def sibling(self, region: str) -> "Realm":
        """The same account elsewhere. Raises ApiError InvalidRegionId.NotFound."""
        return self.cloud.realm(self.account, region)

    def neighbour(self, account: str) -> "Realm":
        """Another account in the same region."""
        return self.cloud.realm(account, self.region)

    @property
    def zones(self) -> "Zones":
        """Buildings: shared by all accounts."""
        return self.cloud.zones

    @cached_property
    def ecs(self) -> "Ecs":
        from emulator.ecs.model import Ecs

        return Ecs(self)

    @cached_property
    def slb(self) -> "LoadBalancers":
        from emulator.slb.model import LoadBalancers

        return LoadBalancers(self)

    @cached_property
    def vpc(self) -> "Vpc":
        from emulator.vpc.model import Vpc

        return Vpc(self)

    @cached_property
    def ess(self) -> "AutoScaling":
        from emulator.ess.model import AutoScaling

        return AutoScaling(self)

    @cached_property
    def cms(self) -> "CloudMonitor":
        from emulator.cms.model import CloudMonitor

        return CloudMonitor(self)

    @property
    def pvtz(self) -> "PrivateZone":
        return self.owner.pvtz

    @property
    def alidns(self) -> "Alidns":
        return self.owner.alidns

    @cached_property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Every RPC operation on this realm, by (version, action)."""
        from emulator.wire.services import operations

        return operations(self)

    def build(self) -> None:
        """All models now, those that nobody has asked for as well."""
        for owner in (self.owner, self):
            for name, part in vars(type(owner)).items():
                if isinstance(part, cached_property):
                    getattr(owner, name)

    def built(self, service: str) -> bool:
        """Whether that model exists yet; asking must not build it."""
        return service in self.__dict__
