"""Buying instances: what an order must satisfy, and what it gives.

Sources: ECS API RunInstances, CreateInstance.
Not modelled: subscription, spot, launch templates, secondary interfaces bought along, IPv6, encryption.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from emulator.ecs import naming, types
from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.disks import CATEGORIES, DATA_DISKS_AT_MOST, LEVELS, check_age, size_range
from emulator.ecs.instances import DataDisk, Instance, Order
from emulator.ecs.rules import check_description, check_name, check_tags, iso
from emulator.ecs.stock import Stock
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.images import Image, Mapped
    from emulator.ecs.model import Ecs
    from emulator.ecs.network import VSwitch

PENDING = timedelta(seconds=5)
USER_DATA_BYTES = 32 * 1024
AMOUNT = (1, 100)
BANDWIDTH = (0, 100)
SYSTEM_GIB = (20, 2_048)
DEFAULT_SYSTEM_GIB = 40
RELEASE_AHEAD = (timedelta(minutes=30), timedelta(days=3 * 365))
CREATIONS_A_MINUTE = 5_000


class Buying:
    """Orders of one account in one region; `Ecs` holds the instances themselves."""

    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.stock = Stock()
        self.core_quota: int | None = None
        """Virtual CPUs of all running pay-as-you-go instances; None: enough."""
        self.in_arrears = False
        """The account cannot buy anything."""
        self.key_pairs: set[str] = set()
        """Names that exist. While there are none, any name is believed (assumption: pairs are made elsewhere)."""
        self.recent: deque[tuple[datetime, int]] = deque()

    def run(self, order: Order, *, token: str | None = None) -> list[Instance]:
        """Instances made, maybe fewer than `amount` but never fewer than `min_amount`. A token whose creation failed
        for lack of stock stays failed: a later attempt needs a new one."""
        malformed = ApiError("InvalidClientToken.ValueNotSupported", "The ClientToken is not valid.", 400)
        mismatch = ApiError("IdempotentParameterMismatch", f"The token {token} was used with other parameters.", 400)
        made: list[Instance] = self._ecs.tokens.once(
            "RunInstances" if order.starts else "CreateInstance",
            token,
            order,
            lambda: self._run(order),
            malformed=malformed,
            mismatch=mismatch,
            sticky=lambda error: error.code == "OperationDenied.NoStock",
        )
        return made

    def _run(self, order: Order) -> list[Instance]:
        image = self.check(order)
        vswitch = self._ecs.network.vswitch(order.vswitch_id)
        amount = self.stock.reserve(
            vswitch.zone,
            order.instance_type,
            least=order.amount if order.min_amount is None else order.min_amount,
            most=order.amount,
        )
        self.recent.append((self._ecs.clock.now(), amount))
        names = naming.numbered(order.name, amount, unique_suffix=order.unique_suffix)
        hosts = list(order.host_names) or naming.numbered(order.host_name, amount, unique_suffix=order.unique_suffix)
        return [
            self._make(order, image, vswitch, name=names[number], host=hosts[number], number=number)
            for number in range(amount)
        ]

    def _make(self, order: Order, image: "Image", vswitch: "VSwitch", *, name: str, host: str, number: int) -> Instance:
        ecs = self._ecs
        new_id = ecs.chance.id("i")
        address = ecs.network.take(vswitch, new_id, consecutive(order.private_address, number))
        instance = Instance(
            id=new_id,
            name=name or new_id,
            zone=vswitch.zone,
            vpc_id=vswitch.vpc,
            vswitch_id=vswitch.id,
            private_ip=address,
            image_id=image.id,
            instance_type=order.instance_type,
            security_group_ids=order.security_group_ids,
            created=ecs.clock.now(),
            guest=image.guest,
            description=order.description or "",
            host_name=naming.host(host, new_id),
            key_pair=order.key_pair,
            ram_role=order.ram_role,
            resource_group=order.resource_group,
            user_data=order.user_data,
            bandwidth_in=order.bandwidth_in,
            bandwidth_out=order.bandwidth_out,
            deletion_protection=order.deletion_protection,
            tags=dict(order.tags),
        )
        if order.bandwidth_out and order.starts:  # CreateInstance gives none: AllocatePublicIpAddress does
            instance.public_ip = ecs.public_addresses.take()
        ecs.put(instance)
        self._furnish(instance, image, order)
        ecs.lifecycle.begin(instance, starts=order.starts, vanishes=(vswitch.zone, order.instance_type) in self._vanish)
        if order.auto_release is not None:
            self.release_at(instance, order.auto_release)
        return instance

    @property
    def _vanish(self) -> set[tuple[str, str]]:
        return self.stock.vanishing

    # Checks ---------------------------------------------------------------------------------------------------

    def check(self, order: Order) -> "Image":
        """Everything but stock: what a dry run checks as well. The image that will be booted."""
        ecs = self._ecs
        if self.in_arrears:
            raise ApiError("InvalidAccountStatus.NotEnoughBalance", "The account has not enough balance.", 403)
        image = ecs.images.startable(order.image_id)
        self._check_numbers(order)
        self._check_type(order)
        vswitch = ecs.network.ready(order.vswitch_id)
        if order.zone is not None and order.zone not in ecs.zones:
            raise ApiError("InvalidZoneId.NotFound", f"The zone {order.zone} does not exist.", 404)
        if order.zone is not None and order.zone != vswitch.zone:
            raise ApiError("InvalidParameter.Mismatch", f"{vswitch.id} is in {vswitch.zone}, not {order.zone}.")
        if not order.security_group_ids:
            raise ApiError("MissingParameter", "SecurityGroupId is mandatory.")
        ecs.network.check_security_groups(order.security_group_ids, vswitch.vpc)
        self._check_words(order)
        self._check_disks(order, image)
        if order.auto_release is not None:
            self.check_release(order.auto_release)
        self._check_rate(order.amount)
        self._check_addresses(order, vswitch)
        return image

    def _check_addresses(self, order: Order, vswitch: "VSwitch") -> None:
        """All or nothing: look before anything is taken. MinAmount is about stock, not about addresses (assumption)."""
        network = self._ecs.network
        if order.private_address is not None:
            for number in range(order.amount):
                network.check_address(vswitch, consecutive(order.private_address, number) or "")
        elif (free := network.free_addresses(vswitch)) < order.amount:
            raise ApiError(
                "QuotaExceeded.PrivateIpAddress", f"{vswitch.id} has {free} free addresses, not {order.amount}.", 403
            )

    def _check_type(self, order: Order) -> None:
        wanted = types.named(order.instance_type)
        if wanted is None:
            raise ApiError(
                "InvalidInstanceType.ValueNotSupported", f"There is no instance type {order.instance_type!r}."
            )
        if order.instance_type in self.stock.discontinued:
            raise ApiError("InstanceType.Offline", f"{order.instance_type} is no longer sold.", 403)
        self.check_cores(wanted.cores * order.amount)

    def check_cores(self, more: int) -> None:
        if self.core_quota is None:
            return
        used = sum(
            found.cores
            for instance in self._ecs.shelf
            if instance.holds_stock and (found := types.named(instance.instance_type)) is not None
        )
        if used + more > self.core_quota:
            raise ApiError("QuotaExceed.ElasticQuota", f"{used} of {self.core_quota} cores are used.", 403)

    def _check_words(self, order: Order) -> None:
        name_error = ApiError("InvalidInstanceName.Malformed", f"{order.name!r} is not valid.")
        for name in naming.numbered(order.name, order.amount, unique_suffix=order.unique_suffix):
            check_name(name or None, name_error)
        check_description(order.description, ApiError("InvalidDescription.Malformed", "The text is not valid."))
        if order.host_names and order.host_name:
            raise ApiError("InvalidParameter", "Give HostName or HostNames.N, not both.")
        if order.host_names and len(order.host_names) != order.amount:
            raise ApiError("InvalidParameter", f"{len(order.host_names)} HostNames for {order.amount} instances.")
        hosts = order.host_names or naming.numbered(order.host_name, order.amount, unique_suffix=order.unique_suffix)
        for host in hosts:
            if host:
                naming.check_host(host)
        if order.key_pair and self.key_pairs and order.key_pair not in self.key_pairs:
            raise ApiError("InvalidKeyPairName.NotFound", f"There is no key pair {order.key_pair}.", 404)
        check_tags(dict(order.tags))
        if len(order.user_data) > USER_DATA_BYTES:
            raise ApiError("InvalidUserData.SizeExceeded", f"UserData holds {len(order.user_data)} bytes.")

    def _check_numbers(self, order: Order) -> None:
        if not AMOUNT[0] <= order.amount <= AMOUNT[1]:
            raise ApiError("InvalidAmount", f"Amount is {AMOUNT[0]}-{AMOUNT[1]}, got {order.amount}.", 403)
        if order.min_amount is not None and not AMOUNT[0] <= order.min_amount <= order.amount:
            raise ApiError("InvalidParameter", f"MinAmount is 1-{order.amount}, got {order.min_amount}.")
        if not BANDWIDTH[0] <= order.bandwidth_out <= BANDWIDTH[1]:
            raise ApiError("InvalidParameter", f"InternetMaxBandwidthOut is 0-100, got {order.bandwidth_out}.")

    def _check_disks(self, order: Order, image: "Image") -> None:
        _check_category(order.system_category, order.system_performance_level)
        wanted = order.system_size_gib
        if wanted is not None and wanted < image.system.size_gib:
            raise ApiError(
                "InvalidSystemDiskSize.LessThanImageSize", f"{image.id} needs {image.system.size_gib} GiB.", 404
            )
        if wanted is not None and not SYSTEM_GIB[0] <= wanted <= SYSTEM_GIB[1]:
            raise ApiError("InvalidSystemDiskSize.ValueNotSupported", f"A system disk has 20-2048 GiB, not {wanted}.")
        for disk in order.data_disks:
            self._check_data_disk(disk)
        devices = [disk.device for disk in order.data_disks if disk.device]
        if len(set(devices)) < len(devices) or "/dev/vda" in devices:  # assumption: CreateImage's code and status
            raise ApiError("InvalidDevice.InUse", f"A device is given twice: {', '.join(devices)}.")
        if sum(1 for _ in _image_disks(image, order)) + len(order.data_disks) > DATA_DISKS_AT_MOST:
            raise ApiError("InstanceDiskNumLimitExceed", f"At most {DATA_DISKS_AT_MOST} data disks.", 403)

    def _check_data_disk(self, disk: DataDisk) -> None:
        _check_category(disk.category, disk.performance_level)
        if disk.snapshot_id is not None:
            if self._ecs.snapshots.shelf.get(disk.snapshot_id) is None:
                raise ApiError("InvalidSnapshotId.NotFound", f"The snapshot {disk.snapshot_id} does not exist.")
            check_age(self._ecs.snapshots.usable(disk.snapshot_id))
            return
        if disk.size_gib is None:
            raise ApiError("MissingParameter", "DataDisk.N.Size or DataDisk.N.SnapshotId is mandatory.")
        low, high = size_range(disk.category, disk.performance_level, kind="data")
        if not low <= disk.size_gib <= high:
            raise ApiError(
                "InvalidDiskSize.ValueNotSupported", f"{disk.category} has {low}-{high} GiB, not {disk.size_gib}."
            )

    def _check_rate(self, amount: int) -> None:
        """5,000 creations a minute, over all regions of the account. The code is an assumption."""
        since = self._ecs.clock.now() - timedelta(minutes=1)
        made = 0
        for realm in self._ecs.cloud.realms:
            if realm.account == self._ecs.account and realm.built("ecs"):
                recent = realm.ecs.buying.recent
                while recent and recent[0][0] <= since:
                    recent.popleft()
                made += sum(count for _, count in recent)
        if made + amount > CREATIONS_A_MINUTE:
            raise ApiError("Throttling.Resource", f"{made} instances were created within a minute.", 429)

    # Release at a time ----------------------------------------------------------------------------------------

    def check_release(self, at: datetime) -> None:
        now = self._ecs.clock.now()
        low, high = RELEASE_AHEAD
        if not now + low <= at.replace(second=0) + timedelta(seconds=59) or at > now + high:
            raise ApiError(
                "InvalidAutoReleaseTime.Malformed", f"{iso(at)} is not half an hour to three years from {iso(now)}."
            )

    def release_at(self, instance: Instance, at: datetime | None) -> None:
        """At that minute (seconds do not count) the instance is released, protected or not. None takes it back."""
        if instance.release is not None:
            instance.release.cancel()
            instance.release = None
        instance.auto_release = at = at.replace(second=0, microsecond=0) if at is not None else None
        if at is None:
            return

        def due() -> None:
            instance.release = None
            self._ecs.lifecycle.release(instance)

        instance.release = self._ecs.clock.call_at(at, due, f"instance {instance.id} is released")

    # Disks ----------------------------------------------------------------------------------------------------

    def _furnish(self, instance: Instance, image: "Image", order: Order) -> None:
        """The image's disks, then the order's own. Tags of the order also go to the disks."""
        disks = self._ecs.disks
        owner = self._ecs.images.shares.owner_of(image)
        size = order.system_size_gib or default_system_gib(image)
        system = disks.add(
            kind="system",
            category=order.system_category,
            size_gib=size,
            zone=instance.zone,
            volume=image.system_volume(size),
            name=order.system_name,
            tags=dict(order.tags),
            image_id=image.id,
        )
        system.image_owner, system.description = owner, order.system_description
        system.performance_level = order.system_performance_level or system.performance_level
        disks.hang(system, instance, "/dev/vda")
        for mapped in _image_disks(image, order):
            ours = mapped.snapshot if owner == self._ecs.account else None
            theirs = mapped.snapshot if ours is None else None  # their snapshots do not hear of our disks
            volume = Volume.of(theirs.layer, mapped.size_gib * GIB) if theirs is not None else None
            disk = disks.add(
                kind="data", category=order.system_category, size_gib=mapped.size_gib, zone=instance.zone,
                tags=dict(order.tags), snapshot=ours, volume=volume,
            )  # fmt: skip
            disks.hang(disk, instance, _guest_device(mapped))
        for wanted in sorted(order.data_disks, key=lambda disk: disk.device is None):  # named devices are kept free
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
            disk.description = wanted.description
            disk.performance_level = wanted.performance_level or disk.performance_level
            disks.hang(disk, instance, wanted.device)


def default_system_gib(image: "Image") -> int:
    """max(40, image size); a base image of a seed decides for itself."""
    size: int = image.system.size_gib
    return max(DEFAULT_SYSTEM_GIB, size) if image.system.snapshot or image.is_public else size


def _check_category(category: str, level: str) -> None:
    if category not in CATEGORIES:
        raise ApiError("InvalidDiskCategory.NotSupported", f"The category {category} is not supported.", 403)
    if level and (level not in LEVELS or category != "cloud_essd"):
        raise ApiError("InvalidPerformanceLevel.Malformed", f"{category} has no performance level {level}.")


def consecutive(first: str | None, number: int) -> str | None:
    """The address `number` places after `first`; what is no address stays as it is, for the check to refuse."""
    if first is None or number == 0:
        return first
    try:
        return str(IPv4Address(first) + number)
    except AddressValueError:
        return first


def _image_disks(image: "Image", order: Order) -> "Iterator[Mapped]":
    """The image's data disks, without those in whose place the order names one of its own."""
    ordered = {disk.device for disk in order.data_disks if disk.device}
    return (mapped for mapped in image.mappings if mapped.kind == "data" and _guest_device(mapped) not in ordered)


def _guest_device(mapped: "Mapped") -> str:
    return mapped.device.replace("/dev/xvd", "/dev/vd")
