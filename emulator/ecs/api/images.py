"""CreateImage, DescribeImages, DescribeImageFromFamily, ModifyImageAttribute, DeleteImage."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulator.ecs import public_images
from emulator.ecs.api import paging
from emulator.ecs.api.snapshots import ACCOUNT_CODES, DISK_CODES, TAG_CODES
from emulator.ecs.api.windows import creation_window
from emulator.ecs.image_sources import Wanted
from emulator.ecs.images import STATES, Attributes, Image
from emulator.ecs.rules import iso
from emulator.ecs.shelf import Shelf, carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

FAMILY_LACKS = ("ResourceGroupId", "BootMode", "Usable", "ImageOwnerId", "IsPublic", "Features")
MAPPING_LACKS = ("RemainTime", "Encrypted", "Progress")
"""Fields that DescribeImages has and DescribeImageFromFamily has not."""

OWNERS = ("system", "self", "others", "marketplace")
BOOT_MODES = ("BIOS", "UEFI", "UEFI-Preferred")
ARCHITECTURES = ("i386", "x86_64", "arm64")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = ImagesApi(ecs)
    return {
        "CreateImage": api.create,
        "DescribeImages": api.describe,
        "DescribeImageFromFamily": api.from_family,
        "ModifyImageAttribute": api.modify,
        "DeleteImage": api.delete,
    }


class ImagesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceId", "SnapshotId", "DiskDeviceMapping.N.SnapshotId", "DiskDeviceMapping.N.Size",
        "DiskDeviceMapping.N.Device", "DiskDeviceMapping.N.DiskType", "ImageName", "ImageFamily", "ImageVersion",
        "Description", "Platform", "Architecture", "BootMode", "DetectionStrategy", "Features.ImdsSupport",
        "ResourceGroupId", "ClientToken", "DryRun", *paging.TAGS,
    )  # fmt: skip
    @raises(
        "InvalidImageName.Malformed", "InvalidImageName.Duplicated", "InvalidDescription.Malformed",
        "InvalidDevice.Malformed", "InvalidDevice.InUse", "InvalidSize.ValueNotSupported", "OperationDenied",
        "IdempotenceParamNotMatch", "IdempotentProcessing", "InvalidClientToken.Malformed",
        "InvalidInstance.NotFoundSystemDisk", "InvalidImageFamily.Malformed", "DryRunOperation",
        "InvalidSnapshotId.NotReady", "IncorrectInstanceStatus.NeedRestart", "QuotaExceed.Image",
        "InvalidSystemSnapshot.Missing", "InvalidSnapshotId.NotFound", "InvalidInstanceId.NotFound", *DISK_CODES,
        *ACCOUNT_CODES, *TAG_CODES,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """Begins an image. One source: InstanceId, else DiskDeviceMapping, else SnapshotId.

        Not modelled: DetectionStrategy's findings, quotas of families, encryption, secure boot.
        """
        p = call.params
        if p.get("DetectionStrategy") not in (None, "", "Standard"):
            raise params.invalid("DetectionStrategy", f"{p['DetectionStrategy']!r} is not Standard")
        image = self._ecs.images.create(
            instance_id=p.get("InstanceId") or None,
            disks=[_wanted(entry) for entry in params.objects(p, "DiskDeviceMapping")],
            snapshot_id=p.get("SnapshotId") or None,
            name=p.get("ImageName") or None,
            family=p.get("ImageFamily", ""),
            version=p.get("ImageVersion", ""),
            description=p.get("Description") or None,
            attributes=_attributes(call, Attributes()),
            resource_group=p.get("ResourceGroupId", ""),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
            dry_run=params.boolean(p, "DryRun", False),
        )
        return {"ImageId": image.id}

    @reads(
        "ImageId", "ImageName", "ImageFamily", "SnapshotId", "Status", "ImageOwnerAlias", "ImageOwnerId", "Usage",
        "Usable", "OSType", "Architecture", "ResourceGroupId", "IsPublic", "ShowExpired", "ActionType",
        "Filter.N.Key", "Filter.N.Value", "PageNumber", "PageSize", "DryRun", *paging.TAGS,
    )  # fmt: skip
    @raises("InvalidStatus", "InvalidFilterKey.NotFound", "InvalidFilterValue", "DryRunOperation")
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists our images, public and shared ones by page numbers: only Available ones unless Status says
        otherwise.

        ImageName matches a part of the name (fuzzy search; assumption: as it is). Not modelled: community and
        marketplace images (none exist), filters by network type and hot-plugging, InstanceType.
        """
        p = call.params
        usable = params.boolean(p, "Usable")
        states = _states(p.get("Status"), usable_given=usable is not None)
        owner = p.get("ImageOwnerAlias") or None
        if owner is not None and owner not in OWNERS:
            raise params.invalid("ImageOwnerAlias", f"{owner!r} is not one of {', '.join(OWNERS)}")
        public = params.boolean(p, "IsPublic", False)
        if public and owner != "others":
            raise params.invalid("IsPublic", "true wants ImageOwnerAlias others")
        since, until = creation_window(call)
        usage, name, snapshot, account = p.get("Usage"), p.get("ImageName"), p.get("SnapshotId"), p.get("ImageOwnerId")
        tags = paging.tag_filter(call)
        used = {instance.image_id for instance in self._ecs.instances.values()}
        shelf, owners = self._shelf(owner, public=public)
        wanted = {
            "id": p.get("ImageId"), "family": p.get("ImageFamily"), "resource_group": p.get("ResourceGroupId"),
        }  # fmt: skip
        os, architecture = p.get("OSType"), p.get("Architecture")

        def matches(image: Image) -> bool:
            return (
                (states is None or image.status in states)
                and all(not value or getattr(image, field) == value for field, value in wanted.items())
                and (not name or name in image.name)
                and (not snapshot or any(s.id == snapshot for s in image.snapshots))
                and (not account or owners[image.id] == account)
                and (not usage or usage == ("instance" if image.id in used else "none"))
                and (usable is None or usable == _usable(image))
                and (not os or image.attributes.os == os)
                and (not architecture or image.attributes.architecture == architecture)
                and (since is None or image.created >= since)
                and (until is None or image.created <= until)
                and (not tags or carries(image.tags, tags))
            )

        items, fields = paging.numbered(
            call, shelf, matches, lambda image: self._render(image, owners[image.id], used), cap=100
        )
        return {
            "Images": {"Image": items},
            "RegionId": self._ecs.region,
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _shelf(self, alias: str | None, *, public: bool) -> tuple[Shelf[Image], dict[str, str]]:
        """What the owner's alias shows, and who owns what."""
        images = self._ecs.images
        ours = images.shelf
        if alias == "self":
            return ours, dict.fromkeys(ours.by_id, self._ecs.account)
        found: list[tuple[str, Image]] = []  # the oldest first
        if alias in (None, "system"):
            found += [(public_images.OWNER, image) for image in images.public.values()]
        if alias in (None, "others") and not public:
            found += images.shares.all_with_us()
        if alias is None:
            found += [(self._ecs.account, image) for image in ours]
        shelf: Shelf[Image] = Shelf()
        for _, image in found:
            shelf.add(image)
        return shelf, {image.id: owner for owner, image in found}

    def _render(self, image: Image, owner: str, used: "set[str]") -> dict[str, Any]:
        now = self._ecs.clock.now()
        is_own = owner == self._ecs.account
        about = image.attributes
        return {
            "ImageId": image.id,
            "ImageName": image.name,
            "ImageFamily": image.family,
            "ImageVersion": image.version,
            "Description": image.description,
            "Status": image.status,
            "Progress": f"{image.progress(now)}%",
            "Usable": _usable(image),
            "Usage": "instance" if image.id in used else "none",
            "Size": image.system.size_gib,
            "CreationTime": iso(image.created),
            "ImageOwnerAlias": "system" if image.is_public else "self" if is_own else "others",
            "ImageOwnerId": int(owner),
            "IsSelfShared": str(bool(image.shared_with)) if is_own else "",
            "IsCopied": image.is_copied,
            "IsPublic": False,  # that means community images
            "Architecture": about.architecture,
            "BootMode": about.boot_mode,
            "OSType": about.os,
            "OSName": image.os_name,
            "Platform": about.platform,
            "ResourceGroupId": image.resource_group,
            "DiskDeviceMappings": {
                "DiskDeviceMapping": [
                    {
                        "SnapshotId": mapping.snapshot.id if mapping.snapshot else "",
                        "Size": str(mapping.size_gib),
                        "Device": mapping.device,
                        "Type": mapping.kind,
                        "Progress": "100%" if mapping.snapshot is None else f"{mapping.snapshot.progress(now)}%",
                        "RemainTime": 0 if mapping.snapshot is None else _remaining(mapping.snapshot.done_at, now),
                        "Encrypted": mapping.snapshot is not None and mapping.snapshot.encrypted,
                        "Format": "",
                    }
                    for mapping in image.mappings
                ]
            },
            "Features": {"ImdsSupport": about.imds},
            "Tags": paging.tag_list(image.tags),
        }

    @reads("ImageFamily")
    @raises()
    def from_family(self, call: Call) -> dict[str, Any]:
        """The newest available image of the family; an empty object when there is none."""
        image = self._ecs.images.from_family(params.required(call.params, "ImageFamily"))
        if image is None:
            return {"Image": {}}
        used = {instance.image_id for instance in self._ecs.instances.values()}
        owner = public_images.OWNER if image.is_public else self._ecs.account
        rendered = self._render(image, owner, used)
        for absent in FAMILY_LACKS:
            del rendered[absent]
        for mapping in rendered["DiskDeviceMappings"]["DiskDeviceMapping"]:
            for absent in MAPPING_LACKS:
                del mapping[absent]
        return {"Image": rendered}

    @reads("ImageId", "Status", "ImageFamily", "Description", "ImageName", "BootMode", "Features.ImdsSupport", "DryRun")
    @raises(
        "InvalidImageId.NotFound", "IncorrectImageStatus", "ImageUseShared", "InvalidImageName.Malformed",
        "InvalidImageName.Duplicated", "InvalidImageFamily.Malformed", "InvalidDescription.Malformed",
        "DryRunOperation",
    )  # fmt: skip
    def modify(self, call: Call) -> dict[str, Any]:
        """Changes what an image says of itself. A deprecated one leaves its family and can still be started by id.

        Not modelled: LicenseType, NVMe support.
        """
        p = call.params
        image = self._ecs.images.find(params.required(p, "ImageId"))
        attributes = _attributes(call, image.attributes)
        paging.dry_run(call)
        self._ecs.images.modify(
            image.id,
            status=p.get("Status") or None,
            family=p.get("ImageFamily"),
            name=p.get("ImageName") or None,
            description=p.get("Description"),
            attributes=attributes,
        )
        return {}

    @reads("ImageId", "Force", "DryRun")
    @raises(
        "ImageUsingByInstance", "ImageUseShared", "OperationDenied.ImageCopying", "InvalidImageId.NotFound",
        "DryRunOperation",
    )  # fmt: skip
    def delete(self, call: Call) -> dict[str, Any]:
        """Deletes an image, not its snapshots. A missing one is ignored unless a switch says 404.

        Not modelled: import, export, community images.
        """
        self._ecs.images.delete(
            params.required(call.params, "ImageId"),
            force=params.boolean(call.params, "Force", False),
            dry_run=params.boolean(call.params, "DryRun", False),
        )
        return {}


def _usable(image: Image) -> bool:
    return image.status in ("Available", "Deprecated")


def _remaining(done_at: datetime, now: datetime) -> int:
    return max(0, round((done_at - now).total_seconds()))


def _wanted(entry: dict[str, str]) -> Wanted:
    return Wanted(
        snapshot_id=entry.get("SnapshotId", ""),
        size_gib=params.integer(entry, "Size"),
        device=entry.get("Device", ""),
        kind=entry.get("DiskType", ""),
    )


def _attributes(call: Call, now: Attributes) -> Attributes:
    p = call.params
    boot_mode = p.get("BootMode") or now.boot_mode
    if boot_mode not in BOOT_MODES:
        raise params.invalid("BootMode", f"{boot_mode!r} is not one of {', '.join(BOOT_MODES)}")
    architecture = p.get("Architecture") or now.architecture
    if architecture not in ARCHITECTURES:
        raise params.invalid("Architecture", f"{architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    return replace(
        now,
        boot_mode=boot_mode,
        architecture=architecture,
        platform=p.get("Platform") or now.platform,
        imds=p.get("Features.ImdsSupport") or now.imds,
    )


def _states(status: str | None, *, usable_given: bool) -> tuple[str, ...] | None:
    """None: every state."""
    if status is None or status == "":
        if usable_given:
            raise ApiError("MissingParameter", "Status is mandatory when Usable is given.")
        return ("Available",)
    if status == "ALL":
        return None
    states = tuple(status.split(","))
    for state in states:
        if state not in STATES:
            raise ApiError("InvalidStatus", f"The status {state!r} is not one of {', '.join(STATES)} or ALL.")
    return states
