"""ECS put together: one region's disks, snapshots, groups, images and instances, and how they hear of each other."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emulator.bus import CloudEvent
from emulator.ecs.assistant import Assistant
from emulator.ecs.attachments import Attachments
from emulator.ecs.batches import Batches
from emulator.ecs.buying import Buying
from emulator.ecs.contents import Contents
from emulator.ecs.disks import Disks
from emulator.ecs.events import SystemEvents
from emulator.ecs.failures import Failures
from emulator.ecs.groups import SnapshotGroups
from emulator.ecs.images import Images
from emulator.ecs.instances import Instance
from emulator.ecs.interfaces import Interfaces
from emulator.ecs.lifecycle import Lifecycle
from emulator.ecs.maintenance import Maintenance
from emulator.ecs.network import Network, VSwitch
from emulator.ecs.public_addresses import PublicAddresses
from emulator.ecs.relocation import Relocation
from emulator.ecs.rules import Tokens
from emulator.ecs.security_groups import SecurityGroups
from emulator.ecs.shelf import Shelf
from emulator.ecs.snapshot import Snapshot
from emulator.ecs.snapshots import Snapshots
from emulator.ecs.tasks import Tasks
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

InstanceListener = Callable[[Instance, str, str], None]
"""`(instance, old_state, new_state)`; old is empty for a new instance, new is Deleted at the end."""


class Ecs:
    def __init__(self, realm: "Realm") -> None:
        self.realm = realm
        self.cloud = realm.cloud
        self.account = realm.account
        self.clock = realm.clock
        self.chance = realm.chance
        self.region = realm.region
        self.zones: tuple[str, ...] = (f"{realm.region}-h", f"{realm.region}-i")
        self.tokens = Tokens(realm.clock)
        self.security_groups = SecurityGroups(self)
        self.interfaces = Interfaces(self)
        self.network = Network(self)
        self.disks = Disks(self)
        self.attachments = Attachments(self)
        self.snapshots = Snapshots(self)
        self.groups = SnapshotGroups(self)
        self.images = Images(self)
        self.events = SystemEvents(self)
        self.shelf: Shelf[Instance] = Shelf()
        self.public_addresses = PublicAddresses(realm.chance)
        self.buying = Buying(self)
        self.lifecycle = Lifecycle(self)
        self.failures = Failures(self)
        self.batches = Batches(self)
        self.contents = Contents(self)
        self.tasks = Tasks(self)
        self.default_stop_mode = "KeepCharging"
        """An account can be set so that a stop releases the machine (StopCharging) unless the call says otherwise."""
        self._listeners: list[InstanceListener] = []
        self._waiting_for_light: dict[str, list[Callable[[], None]]] = {}
        self.relocation = Relocation(self)
        self.assistant = Assistant(self)
        self.maintenance = Maintenance(self)
        realm.zones.subscribe(self._zone_changed)
        realm.cloud.ecs_built(self)

    # Instances ------------------------------------------------------------------------------------------------

    @property
    def instances(self) -> dict[str, Instance]:
        return self.shelf.by_id

    @property
    def vswitches(self) -> dict[str, VSwitch]:
        return self.network.vswitches

    def find_instance(self, id: str) -> Instance:
        instance = self.shelf.get(id)
        if instance is None:
            raise ApiError("InvalidInstanceId.NotFound", f"The specified instance {id} does not exist.", 404)
        return instance

    def put(self, instance: Instance) -> None:
        instance._find = self.disks.of_instance
        self.shelf.add(instance)
        self.interfaces.instance_added(instance)

    def remove(self, instance: Instance) -> None:
        self.shelf.remove(instance)
        self.interfaces.instance_removed(instance)

    def on_instance(self, listener: InstanceListener) -> None:
        """Called at each change of state, after it."""
        self._listeners.append(listener)

    def tell_listeners(self, instance: Instance, old: str, new: str) -> None:
        for listener in list(self._listeners):
            listener(instance, old, new)

    def fail(self, instance_id: str, *, recovers: bool) -> str:
        """The instance's host fails; returns the id of the system event."""
        return self.lifecycle.fail(self.find_instance(instance_id), recovers=recovers).id

    def set_stock(self, zone: str, instance_type: str, count: int | None) -> None:
        """How many more can be bought; None: no limit."""
        self.buying.stock.set(zone, instance_type, count)

    # Between resources ----------------------------------------------------------------------------------------

    def snapshot_completed(self, snapshot: Snapshot) -> None:
        self.images.snapshot_completed(snapshot)

    def snapshot_gone(self, snapshot: Snapshot) -> None:
        self.groups.member_gone(snapshot)

    def publish(self, name: str, level: str, resource: str, content: Mapping[str, Any]) -> None:
        self.cloud.bus.publish(
            CloudEvent(
                id=self.chance.request_id(),
                product="ECS",
                name=name,
                level=level,
                region=self.region,
                account=self.account,
                resource=resource,
                at=self.clock.now(),
                content=content,
            )
        )

    # Zones ----------------------------------------------------------------------------------------------------

    def is_dark(self, zone: str) -> bool:
        return self.cloud.zones.is_dark(zone)

    def when_lit(self, zone: str, then: Callable[[], None]) -> None:
        self._waiting_for_light.setdefault(zone, []).append(then)

    def _zone_changed(self, zone: str, dark: bool) -> None:
        if not dark:
            for then in self._waiting_for_light.pop(zone, []):
                then()

    def zone_of_gateway(self, address: str) -> str | None:
        return next((v.zone for v in self.network.vswitches.values() if v.gateway == address), None)
