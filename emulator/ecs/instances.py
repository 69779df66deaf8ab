"""Instances: bought, started, stopped, failed, deleted. Every change takes its time.

Sources: ECS API RunInstances, StartInstance, StopInstance, RebootInstance, DeleteInstance, DescribeInstances.
Not modelled: subscription, spot, public addresses, secondary interfaces, launch templates, resizing.
An instance in a dark zone goes on saying what it last said, until its zone is heard again (assumption).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulator.ecs.events import SystemEvent
from emulator.ecs.rules import check_description, check_name, check_tags
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.images import Image, Mapped
    from emulator.ecs.model import Ecs

PENDING = timedelta(seconds=5)
STARTING_SECONDS = (15.0, 25.0)
STOPPING_SECONDS = (10.0, 40.0)
RECOVERY_SECONDS = (120.0, 300.0)  # the platform restarts a failed host's instances within about five minutes
GIVING_UP = timedelta(minutes=5)
USER_DATA_BYTES = 32 * 1024
AMOUNT = (1, 100)

TYPES = {"ecs.g7.large": (2, 8_192), "ecs.g7.xlarge": (4, 16_384), "ecs.c7.large": (2, 4_096)}
"""Virtual CPUs and MiB of types that tests use; others read as 2 and 8,192."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """One `DataDisk.N` of RunInstances."""

    category: str
    size_gib: int | None = None
    snapshot_id: str | None = None
    device: str | None = None
    name: str = ""
    delete_with_instance: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What RunInstances is asked for."""

    image_id: str
    instance_type: str
    vswitch_id: str
    security_group_ids: tuple[str, ...]
    name: str = ""
    description: str | None = None
    zone: str | None = None
    amount: int = 1
    min_amount: int | None = None
    private_address: str | None = None
    system_category: str = "cloud_essd"
    system_size_gib: int | None = None
    data_disks: tuple[DataDisk, ...] = ()
    user_data: bytes = b""
    host_name: str = ""
    key_pair: str = ""
    deletion_protection: bool = False
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    id: str
    name: str
    zone: str
    vpc_id: str
    vswitch_id: str
    private_ip: str
    image_id: str
    instance_type: str
    security_group_ids: tuple[str, ...]
    created: datetime
    state: str = "Pending"  # Pending | Starting | Running | Stopping | Stopped | Deleted
    guest: dict[str, Any] | None = None
    disk_ids: list[str] = field(default_factory=list)
    description: str = ""
    host_name: str = ""
    key_pair: str = ""
    user_data: bytes = b""
    deletion_protection: bool = False
    started: datetime | None = None
    stopped_mode: str = "Not-applicable"
    stop_is_forced: bool = False  # while Stopping or Stopped: a power cut, the guest had no chance to end well
    failure: SystemEvent | None = None  # its host failed and has not recovered
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0  # rises with each change, so that outdated calendar entries can be told
    _find: Any = field(default=None, repr=False)

    def disks(self) -> list["Disk"]:
        """System disk first."""
        found: list[Disk] = self._find(self.id)
        return found


class Lifecycle:
    """State changes of instances; `Ecs` holds the instances themselves."""

    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.stock: dict[tuple[str, str], int] = {}

    # Buying ---------------------------------------------------------------------------------------------------

    def run(self, order: Order, *, token: str | None = None) -> list[Instance]:
        """Instances made, maybe fewer than `amount` but never fewer than `min_amount`. A token whose creation failed
        for lack of stock stays failed: a later attempt needs a new one."""
        malformed = ApiError("InvalidClientToken.ValueNotSupported", "The ClientToken is not valid.", 400)
        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.", 400)
        made: list[Instance] = self._ecs.tokens.once(
            "RunInstances",
            token,
            order,
            lambda: self._run(order),
            malformed=malformed,
            mismatch=mismatch,
            sticky=lambda error: error.code == "OperationDenied.NoStock",
        )
        return made

    def _run(self, order: Order) -> list[Instance]:
        image = self._check(order)
        vswitch = self._ecs.network.vswitch(order.vswitch_id)
        amount = self._in_stock(vswitch.zone, order)
        made = []
        for number in range(amount):
            new_id = self._ecs.chance.id("i")
            wanted = order.private_address if amount == 1 else _consecutive(order.private_address, number)
            address = self._ecs.network.take(vswitch, new_id, wanted)
            instance = Instance(
                id=new_id,
                name=order.name or new_id,
                zone=vswitch.zone,
                vpc_id=vswitch.vpc,
                vswitch_id=vswitch.id,
                private_ip=address,
                image_id=image.id,
                instance_type=order.instance_type,
                security_group_ids=order.security_group_ids,
                created=self._ecs.clock.now(),
                guest=image.guest,
                description=order.description or "",
                host_name=order.host_name,
                key_pair=order.key_pair,
                user_data=order.user_data,
                deletion_protection=order.deletion_protection,
                tags=dict(order.tags),
            )
            self._ecs.put(instance)
            self._furnish(instance, image, order)
            self._announce(instance, "", "Pending")
            self._after(instance, PENDING, self._starting, instance)
            made.append(instance)
        if (vswitch.zone, order.instance_type) in self.stock:
            self.stock[vswitch.zone, order.instance_type] -= amount
        return made

    def _check(self, order: Order) -> "Image":
        ecs = self._ecs
        image = ecs.images.shelf.get(order.image_id)
        if image is None:
            raise ApiError("InvalidImageId.NotFound", f"The image {order.image_id} does not exist.", 404)
        if image.status != "Available":
            raise ApiError("IncorrectImageStatus", f"{image.id} is {image.status}.", 400)
        vswitch = ecs.network.vswitch(order.vswitch_id)
        if order.zone is not None and order.zone != vswitch.zone:
            raise ApiError("InvalidParameter.Mismatch", f"{vswitch.id} is in {vswitch.zone}, not {order.zone}.")
        if not order.security_group_ids:
            raise ApiError("MissingParameter", "SecurityGroupId is mandatory.")
        ecs.network.check_security_groups(order.security_group_ids, vswitch.vpc)
        check_name(order.name or None, ApiError("InvalidInstanceName.Malformed", f"{order.name!r} is not valid."))
        check_description(order.description, ApiError("InvalidDescription.Malformed", "The text is not valid."))
        check_tags(dict(order.tags))
        if not AMOUNT[0] <= order.amount <= AMOUNT[1]:
            raise ApiError("InvalidAmount", f"Amount is {AMOUNT[0]}-{AMOUNT[1]}, got {order.amount}.", 403)
        if order.min_amount is not None and order.min_amount > order.amount:
            raise ApiError("InvalidParameter", "MinAmount is above Amount.")
        if len(order.user_data) > USER_DATA_BYTES:
            raise ApiError("InvalidUserData.SizeExceeded", f"UserData holds {len(order.user_data)} bytes.")
        if order.system_size_gib is not None and order.system_size_gib < image.system.size_gib:
            raise ApiError(
                "InvalidSystemDiskSize.LessThanImageSize", f"{image.id} needs {image.system.size_gib} GiB.", 404
            )
        for disk in order.data_disks:
            if disk.snapshot_id is not None:
                if ecs.snapshots.shelf.get(disk.snapshot_id) is None:
                    raise ApiError("InvalidSnapshotId.NotFound", f"The snapshot {disk.snapshot_id} does not exist.")
                ecs.snapshots.usable(disk.snapshot_id)
            elif disk.size_gib is None:
                raise ApiError("MissingParameter", "DataDisk.N.Size or DataDisk.N.SnapshotId is mandatory.")
        for number in range(order.amount):  # all or nothing: look before anything is taken
            wanted = _consecutive(order.private_address, number)
            if wanted is not None:
                ecs.network.check_address(vswitch, wanted)
        return image

    def _in_stock(self, zone: str, order: Order) -> int:
        """How many can be had. Stock below MinAmount refuses; MinAmount defaults to Amount."""
        available = self.stock.get((zone, order.instance_type), order.amount)
        least = order.amount if order.min_amount is None else order.min_amount
        if available < least:
            raise ApiError(
                "OperationDenied.NoStock", f"{order.instance_type} is out of stock in {zone}: {available} left.", 403
            )
        return min(available, order.amount)

    def _furnish(self, instance: Instance, image: "Image", order: Order) -> None:
        """The image's disks, then the order's own. Tags of the order also go to the disks."""
        disks = self._ecs.disks
        # The default system disk is max(40, image size); a base image of a seed decides for itself.
        size = order.system_size_gib or (
            max(40, image.system.size_gib) if image.system.snapshot else image.system.size_gib
        )
        system = disks.add(
            kind="system",
            category=order.system_category,
            size_gib=size,
            zone=instance.zone,
            volume=image.system_volume(size),
            tags=dict(order.tags),
            image_id=image.id,
        )
        disks.hang(system, instance, "/dev/vda")
        ordered_devices = {disk.device for disk in order.data_disks if disk.device}
        for mapped in image.mappings:
            if mapped.kind == "data" and _guest_device(mapped) not in ordered_devices:
                disk = disks.add(
                    kind="data", category=order.system_category, size_gib=mapped.size_gib, zone=instance.zone,
                    tags=dict(order.tags), snapshot=mapped.snapshot,
                )  # fmt: skip
                disks.hang(disk, instance, _guest_device(mapped))
        for wanted in order.data_disks:
            snapshot = None if wanted.snapshot_id is None else self._ecs.snapshots.usable(wanted.snapshot_id)
            disk = disks.add(
                kind="data",
                category=wanted.category,
                size_gib=snapshot.size_gib if snapshot else wanted.size_gib or 0,  # the size follows the snapshot
                zone=instance.zone,
                name=wanted.name,
                tags=dict(order.tags),
                snapshot=snapshot,
                delete_with_instance=wanted.delete_with_instance,
            )
            disks.hang(disk, instance, wanted.device)

    # Starting and stopping ------------------------------------------------------------------------------------

    def start(self, instance: Instance) -> None:
        if instance.state != "Stopped":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Stopped.", 403)
        if not any(disk.kind == "system" for disk in instance.disks()):
            raise ApiError("InvalidInstance.NotFoundSystemDisk", f"{instance.id} has no system disk.", 400)
        if instance.stopped_mode == "StopCharging":
            left = self.stock.get((instance.zone, instance.instance_type))
            if left is not None:
                if left < 1:
                    raise ApiError("OperationDenied.NoStock", f"{instance.instance_type} is out of stock.", 403)
                self.stock[instance.zone, instance.instance_type] = left - 1
        instance.failure = None
        self._starting(instance)

    def stop(self, instance: Instance, *, force: bool = False, mode: str = "KeepCharging") -> None:
        """Asynchronous. Stopping one whose host failed succeeds; in a dark zone it stays Stopping (assumption)."""
        if mode not in ("KeepCharging", "StopCharging"):
            raise ApiError("InvalidParameter", f"StoppedMode {mode!r} is neither KeepCharging nor StopCharging.")
        if instance.state != "Running" and not (instance.failure and instance.state == "Stopping"):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)
        if instance.failure is not None and not instance.failure.finished:
            self._ecs.events.move(instance.failure, "Failed")  # a stop ends the platform's own recovery (assumption)
        instance.stop_is_forced = force or instance.failure is not None
        instance.stopped_mode = mode
        self._move(instance, "Stopping")
        self._after(instance, self._seconds(STOPPING_SECONDS), self._stopped, instance)

    def reboot(self, instance: Instance, *, force: bool = False) -> None:
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)
        instance.stop_is_forced = force
        self._starting(instance)

    def delete(self, instance: Instance, *, force: bool = False) -> None:
        """Disks go or stay by DeleteWithInstance; manual snapshots and addresses' other uses survive."""
        if instance.deletion_protection:
            raise ApiError("InvalidOperation.DeletionProtection", f"{instance.id} is protected.", 403)
        if instance.state == "Pending":
            raise ApiError("IncorrectInstanceStatus.Initializing", f"{instance.id} is being created.", 403)
        if instance.state != "Stopped" and not force:
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}; Force overrides.", 403)
        instance.stop_is_forced = True
        for disk in instance.disks():
            disk.instance_id, disk.device, disk.state, disk.attached = None, "", "Available", None
            disk.detached = self._ecs.clock.now()
            if disk.delete_with_instance:
                self._ecs.disks.drop(disk)
        instance.disk_ids.clear()
        self._ecs.remove(instance)
        self._ecs.network.release(instance.vswitch_id, instance.private_ip)
        if (instance.zone, instance.instance_type) in self.stock:
            self.stock[instance.zone, instance.instance_type] += 1
        self._move(instance, "Deleted")

    # Failing --------------------------------------------------------------------------------------------------

    def fail(self, instance: Instance, *, recovers: bool) -> SystemEvent:
        """The host dies, and the guest with it, at once. The platform's restart succeeds within minutes, or is given
        up. Shown as Stopping meanwhile, as restarts are (assumption)."""
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}, not Running.", 403)
        event = self._ecs.events.open(instance.id, "SystemFailure.Reboot", "Executing")
        instance.failure = event
        instance.stop_is_forced = True
        self._move(instance, "Stopping")
        if recovers:
            self._after(instance, self._seconds(RECOVERY_SECONDS), self._recovered, instance)
        else:
            self._after(instance, GIVING_UP, self._given_up, instance)
        return event

    def _recovered(self, instance: Instance) -> None:
        event, instance.failure = instance.failure, None
        self._move(instance, "Starting")
        self._running(instance)
        if event is not None:
            self._ecs.events.move(event, "Executed")

    def _given_up(self, instance: Instance) -> None:
        if instance.failure is not None:
            self._ecs.events.move(instance.failure, "Failed")
        self._stopped(instance)

    # Steps ----------------------------------------------------------------------------------------------------

    def _starting(self, instance: Instance) -> None:
        self._move(instance, "Starting")
        self._after(instance, self._seconds(STARTING_SECONDS), self._running, instance)

    def _running(self, instance: Instance) -> None:
        instance.started = self._ecs.clock.now()
        instance.stopped_mode = "Not-applicable"
        instance.stop_is_forced = False
        self._move(instance, "Running")

    def _stopped(self, instance: Instance) -> None:
        if instance.stopped_mode == "StopCharging" and (instance.zone, instance.instance_type) in self.stock:
            self.stock[instance.zone, instance.instance_type] += 1
        self._move(instance, "Stopped")

    def _seconds(self, bounds: tuple[float, float]) -> timedelta:
        return timedelta(seconds=self._ecs.chance.uniform(*bounds))

    def _after(self, instance: Instance, delay: timedelta, step: Any, *arguments: Any) -> None:
        turn = instance.turn

        def due() -> None:
            if instance.turn != turn:
                return
            if self._ecs.is_dark(instance.zone):
                self._ecs.when_lit(instance.zone, due)
                return
            step(*arguments)

        self._ecs.clock.call_later(delay, due, f"instance {instance.id}")

    def _move(self, instance: Instance, state: str) -> None:
        old, instance.state = instance.state, state
        instance.turn += 1
        self._announce(instance, old, state)

    def _announce(self, instance: Instance, old: str, new: str) -> None:
        content = {"resourceId": instance.id, "resourceType": "ALIYUN::ECS::Instance", "state": new}
        self._ecs.publish("Instance:StateChange", "INFO", f"instance/{instance.id}", content)
        self._ecs.tell_listeners(instance, old, new)


def _consecutive(first: str | None, number: int) -> str | None:
    if first is None or number == 0:
        return first
    head, _, last = first.rpartition(".")
    return f"{head}.{int(last) + number}" if last.isdigit() else first


def _guest_device(mapped: "Mapped") -> str:
    return mapped.device.replace("/dev/xvd", "/dev/vd")
