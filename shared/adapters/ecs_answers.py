"""Answers of the ECS API, field by field, into domain values.

The SDK neither coerces nor checks types (an absent field is None, the text "false" is true), so each field that we use
is checked here. A field that is missing or of the wrong type raises Retryable: we could not find out.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from shared.domain.errors import Retryable
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import (
    EXITED,
    Disk,
    DiskKind,
    Image,
    ImageDisk,
    ImageState,
    Instance,
    InstanceState,
    NativePolicy,
    Ran,
    Snapshot,
    SnapshotGroup,
    SnapshotLock,
    SnapshotState,
    SystemEvent,
    VSwitch,
)

IMAGE_STATES: Final = {
    "Waiting": ImageState.CREATING,
    "Creating": ImageState.CREATING,
    "Available": ImageState.AVAILABLE,
    "UnAvailable": ImageState.UNAVAILABLE,
    "CreateFailed": ImageState.FAILED,
    "Deprecated": ImageState.DEPRECATED,
}

T = TypeVar("T")


def unreadable(where: str, problem: str) -> Retryable:
    return Retryable(f"{where}: the cloud's answer cannot be read: {problem}")


class Fields:
    """One object of an answer; reads say which field of what was wrong."""

    __slots__ = ("_item", "_where")

    def __init__(self, item: Any, where: str) -> None:
        if item is None:
            raise unreadable(where, "the object is missing")
        self._item = item
        self._where = where

    def text(self, name: str) -> str:
        """Present and not empty."""
        value = getattr(self._item, name, None)
        if not isinstance(value, str) or not value:
            raise unreadable(self._where, f"{name} is {value!r}")
        return value

    def optional(self, name: str) -> str:
        """Empty when absent."""
        value = getattr(self._item, name, None)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise unreadable(self._where, f"{name} is {value!r}")
        return value

    def flag(self, name: str) -> bool:
        value = getattr(self._item, name, None)
        if not isinstance(value, bool):
            raise unreadable(self._where, f"{name} is {value!r}, neither true nor false")
        return value

    def optional_flag(self, name: str) -> bool:
        """False when absent."""
        return getattr(self._item, name, None) is not None and self.flag(name)

    def optional_whole(self, name: str) -> int | None:
        return None if getattr(self._item, name, None) is None else self.whole(name)

    def listed_numbers(self, name: str) -> tuple[int, ...]:
        """A text that holds a JSON list of numbers, each written as a text."""
        text = self.optional(name)
        try:
            return tuple(sorted(int(one) for one in json.loads(text or "[]")))
        except (ValueError, TypeError):
            raise unreadable(self._where, f"{name} is {text!r}, not a list of numbers") from None

    def whole(self, name: str) -> int:
        """A number, or a text of digits (sizes of snapshots and image disks are texts)."""
        value = getattr(self._item, name, None)
        if isinstance(value, str) and value.removeprefix("-").isdigit():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise unreadable(self._where, f"{name} is {value!r}, not a number")
        return value

    def percent(self, name: str) -> int:
        text = self.optional(name).removesuffix("%")
        return int(text) if text.isdigit() else 0

    def moment(self, name: str) -> datetime:
        found = self.optional_moment(name)
        if found is None:
            raise unreadable(self._where, f"{name} is missing")
        return found

    def optional_moment(self, name: str) -> datetime | None:
        """With seconds (most) or without (instances)."""
        text = self.optional(name)
        if not text:
            return None
        for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
            try:
                return datetime.strptime(text, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        raise unreadable(self._where, f"{name} is {text!r}, not a UTC time")

    def choice(self, name: str, choices: dict[str, T]) -> T:
        text = self.text(name)
        if text not in choices:
            raise unreadable(self._where, f"{name} is {text!r}, which is none of {', '.join(choices)}")
        return choices[text]

    def inner(self, name: str) -> "Fields":
        return Fields(getattr(self._item, name, None), f"{self._where}.{name}")

    def items(self, envelope: str, element: str) -> Iterator["Fields"]:
        """The list inside its envelope; an absent one is empty."""
        outer = getattr(self._item, envelope, None)
        for item in (getattr(outer, element, None) or ()) if outer is not None else ():
            yield Fields(item, f"{self._where}.{envelope}")

    def texts(self, envelope: str, element: str) -> tuple[str, ...]:
        outer = getattr(self._item, envelope, None)
        return tuple(str(item) for item in (getattr(outer, element, None) or ())) if outer is not None else ()

    def tags(self, key: str = "tag_key", value: str = "tag_value") -> dict[str, str]:
        return {tag.text(key): tag.optional(value) for tag in self.items("tags", "tag")}


INSTANCE_STATES: Final = {state.value.capitalize(): state for state in InstanceState}
DISK_KINDS: Final = {kind.value: kind for kind in DiskKind}
AUTOMATIC: Final = ("auto", "timer")
"""`SnapshotType` of those that a native policy made. Source: ECS API, DescribeSnapshots, read 2021."""
SNAPSHOT_STATES: Final = {state.value: state for state in SnapshotState}


def instance(item: Fields) -> Instance:
    network = item.inner("vpc_attributes")
    addresses = network.texts("private_ip_address", "ip_address")
    return Instance(
        id=InstanceId(item.text("instance_id")),
        name=item.optional("instance_name"),
        state=item.choice("status", INSTANCE_STATES),
        zone=item.text("zone_id"),
        image=ImageId(item.optional("image_id")),
        instance_type=item.text("instance_type"),
        private_address=addresses[0] if addresses else "",
        vswitch=network.optional("v_switch_id"),
        vpc=network.optional("vpc_id"),
        security_groups=item.texts("security_group_ids", "security_group_id"),
        created=item.moment("creation_time"),
        tags=item.tags(),
        host_name=item.optional("host_name"),
        key_pair=item.optional("key_pair_name"),
        locks=tuple(lock.text("lock_reason") for lock in item.items("operation_locks", "lock_reason")),
    )


def disk(item: Fields) -> Disk:
    owner = item.optional("instance_id")
    return Disk(
        id=DiskId(item.text("disk_id")),
        kind=item.choice("type", DISK_KINDS),
        zone=item.text("zone_id"),
        size_gib=item.whole("size"),
        category=item.text("category"),
        state=item.text("status").lower(),
        instance=InstanceId(owner) if owner else None,
        device=item.optional("device"),
        name=item.optional("disk_name"),
        delete_with_instance=item.flag("delete_with_instance"),
        tags=item.tags(),
        encrypted=item.optional_flag("encrypted"),
    )


def snapshot(item: Fields) -> Snapshot:
    return Snapshot(
        id=SnapshotId(item.text("snapshot_id")),
        disk=DiskId(item.text("source_disk_id")),
        disk_kind=item.choice("source_disk_type", DISK_KINDS),
        state=item.choice("status", SNAPSHOT_STATES),
        usable=item.flag("available"),
        created=item.moment("creation_time"),
        size_gib=item.whole("source_disk_size"),
        usage=item.text("usage"),
        progress_percent=item.percent("progress"),
        tags=item.tags(),
        name=item.optional("snapshot_name"),
        automatic=item.optional("snapshot_type") in AUTOMATIC,
        encrypted=item.optional_flag("encrypted"),
        archived=item.optional("category").lower() == "archive",
    )


def snapshot_lock(item: Fields) -> SnapshotLock:
    return SnapshotLock(
        snapshot=SnapshotId(item.text("snapshot_id")),
        cooling_off=item.text("lock_status") == "compliance-cooloff",
        expires=item.optional_moment("lock_expired_time"),
    )


def native_policy(item: Fields) -> NativePolicy:
    days = item.whole("retention_days")
    return NativePolicy(
        id=item.text("auto_snapshot_policy_id"),
        name=item.optional("auto_snapshot_policy_name"),
        hours=item.listed_numbers("time_points"),
        weekdays=item.listed_numbers("repeat_weekdays"),
        days=None if days < 0 else days,
    )


def ran(item: Fields) -> Ran:
    state = item.text("invocation_status").lower()
    return Ran(
        instance=InstanceId(item.text("instance_id")),
        state=state,
        exit_code=item.optional_whole("exit_code") if state in EXITED else None,  # it shows 0 before it has one
        output=item.optional("output"),
        error=": ".join(part for part in (item.optional("error_code"), item.optional("error_info")) if part),
    )


def snapshot_group(item: Fields) -> SnapshotGroup:
    owner = item.optional("instance_id")
    members = list(item.items("snapshots", "snapshot"))
    return SnapshotGroup(
        id=SnapshotGroupId(item.text("snapshot_group_id")),
        instance=InstanceId(owner) if owner else None,
        state=item.text("status"),
        created=item.moment("creation_time"),
        members=tuple(SnapshotId(member.text("snapshot_id")) for member in members),
        disks=tuple(DiskId(member.text("source_disk_id")) for member in members),
        tags=item.tags("key", "value"),  # groups spell their tags differently
    )


def image(item: Fields) -> Image:
    disks = tuple(map(_image_disk, item.items("disk_device_mappings", "disk_device_mapping")))
    return Image(
        id=ImageId(item.text("image_id")),
        name=item.optional("image_name"),
        family=item.optional("image_family"),
        state=item.choice("status", IMAGE_STATES),
        created=item.moment("creation_time"),
        snapshots=tuple(disk.snapshot for disk in disks if disk.snapshot),
        tags=item.tags(),
        version=item.optional("image_version"),
        used=item.optional("usage") == "instance",
        disks=disks,
    )


def _image_disk(mapping: Fields) -> ImageDisk:
    """Assumption: one that does not say its kind is the system's when it has the system's device."""
    device = mapping.optional("device")
    kind = mapping.optional("type") or ("system" if device == "/dev/xvda" else "data")
    return ImageDisk(
        snapshot=SnapshotId(mapping.optional("snapshot_id")),
        kind=DiskKind.SYSTEM if kind == "system" else DiskKind.DATA,
        device=device,
        size_gib=mapping.optional_whole("size") or 0,
    )


def vswitch(item: Fields) -> VSwitch:
    return VSwitch(
        id=item.text("v_switch_id"),
        zone=item.text("zone_id"),
        vpc=item.text("vpc_id"),
        free_addresses=item.whole("available_ip_address_count"),
    )


def system_event(item: Fields) -> SystemEvent:
    return SystemEvent(
        id=item.text("event_id"),
        instance=InstanceId(item.text("instance_id")),
        type=item.inner("event_type").text("name"),
        status=item.inner("event_cycle_status").text("name").lower(),
        published=item.moment("event_publish_time"),
        finished=item.optional_moment("event_finish_time"),
    )
