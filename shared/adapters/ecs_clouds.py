"""The ECS of any place: made on first use, since most functions need little of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from shared.adapters.credentials import Credentials
from shared.adapters.sdk import Endpoint
from shared.domain.ids import AccountName
from shared.domain.place import Place
from shared.ports.compute import Disks, Guests, Images, Instances, Inventory, Market, NativePolicies, Snapshots
from shared.ports.pace import Pace, Unpaced

KeysOf = Callable[[AccountName], Callable[[], Credentials]]
"""How an account is entered. Raises BadInput for one that is not known."""
EndpointOf = Callable[[str], Endpoint]
"""Where a region answers."""
PaceOf = Callable[[Place], Pace]
"""What is asked before each call there."""


def _unpaced(_place: Place) -> Pace:
    return Unpaced()


class EcsCompute:
    """Has the parts of `shared.ports.compute.Compute`, each made when it is first asked for."""

    def __init__(self, endpoint: Endpoint, credentials: Callable[[], Credentials], pace: Pace) -> None:
        self._how: dict[str, Any] = {"endpoint": endpoint, "credentials": credentials, "pace": pace}

    @cached_property
    def inventory(self) -> Inventory:
        from shared.adapters.ecs import EcsInventory

        return EcsInventory(**self._how)

    @cached_property
    def snapshots(self) -> Snapshots:
        from shared.adapters.ecs_snapshots import EcsSnapshots

        return EcsSnapshots(**self._how)

    @cached_property
    def images(self) -> Images:
        from shared.adapters.ecs_images import EcsImages

        return EcsImages(**self._how)

    @cached_property
    def instances(self) -> Instances:
        from shared.adapters.ecs_instances import EcsInstances

        return EcsInstances(**self._how)

    @cached_property
    def guests(self) -> Guests:
        from shared.adapters.ecs_guests import EcsGuests

        return EcsGuests(**self._how)

    @cached_property
    def native(self) -> NativePolicies:
        from shared.adapters.ecs_native import EcsNativePolicies

        return EcsNativePolicies(**self._how)

    @cached_property
    def disks(self) -> Disks:
        from shared.adapters.ecs_disks import EcsDisks

        return EcsDisks(**self._how)

    @cached_property
    def market(self) -> Market:
        from shared.adapters.ecs_market import EcsMarket

        return EcsMarket(**self._how)


class EcsClouds:
    """Implements `shared.ports.compute.Clouds`."""

    def __init__(self, *, endpoint_of: EndpointOf, keys_of: KeysOf, pace_of: PaceOf = _unpaced) -> None:
        self._endpoint_of = endpoint_of
        self._keys_of = keys_of
        self._pace_of = pace_of
        self._made: dict[Place, EcsCompute] = {}

    def at(self, place: Place) -> EcsCompute:
        if place not in self._made:
            self._made[place] = EcsCompute(
                self._endpoint_of(place.region), self._keys_of(place.account), self._pace_of(place)
            )
        return self._made[place]
