"""CreateImage, DescribeImages, DescribeImageFromFamily, ModifyImageAttribute, DeleteImage."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.images import STATES, Image
from emulator.ecs.rules import iso
from emulator.ecs.shelf import carries
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = ImagesApi(ecs)
    return {
        "CreateImage": api.create,
        "DescribeImages": api.describe,
        "DescribeImageFromFamily": api.from_family,
        "ModifyImageAttribute": api.modify,
        "DeleteImage": api.delete,
    }


FAMILY_LACKS = ("ResourceGroupId", "BootMode", "Usable", "ImageOwnerId", "IsPublic")
MAPPING_LACKS = ("RemainTime", "Encrypted", "Progress")
"""Fields that DescribeImages has and DescribeImageFromFamily has not."""


class ImagesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "InstanceId", "SnapshotId", "DiskDeviceMapping.N.SnapshotId", "DiskDeviceMapping.N.Size",
        "DiskDeviceMapping.N.Device", "DiskDeviceMapping.N.DiskType", "ImageName", "ImageFamily", "ImageVersion",
        "Description", "ClientToken", "DryRun", *paging.TAGS,
    )  # fmt: skip
    def create(self, call: Call) -> dict[str, Any]:
        """One source: InstanceId, else DiskDeviceMapping, else SnapshotId. Devices of mappings are given anew."""
        paging.dry_run(call)
        p = call.params
        instance = p.get("InstanceId") or None
        mapped = [entry["SnapshotId"] for entry in params.objects(p, "DiskDeviceMapping") if entry.get("SnapshotId")]
        single = [p["SnapshotId"]] if p.get("SnapshotId") else []
        image = self._ecs.images.create(
            instance_id=instance,
            snapshot_ids=() if instance else mapped or single,
            name=p.get("ImageName"),
            family=p.get("ImageFamily", ""),
            version=p.get("ImageVersion", ""),
            description=p.get("Description"),
            tags=paging.tags(call),
            token=p.get("ClientToken"),
        )
        return {"ImageId": image.id}

    @reads(
        "ImageId", "ImageName", "ImageFamily", "SnapshotId", "Status", "ImageOwnerAlias", "Usage", "Usable",
        *paging.TAGS, *paging.PAGING,
    )  # fmt: skip
    def describe(self, call: Call) -> dict[str, Any]:
        """Only Available ones unless Status says otherwise."""
        p = call.params
        states = _states(p.get("Status"), usable_given="Usable" in p)
        image_id, name, family, snapshot = (
            p.get("ImageId"),
            p.get("ImageName"),
            p.get("ImageFamily"),
            p.get("SnapshotId"),
        )
        owner, usage = p.get("ImageOwnerAlias"), p.get("Usage")
        tags = paging.tag_filter(call)

        def matches(image: Image) -> bool:
            return (
                (states is None or image.status in states)
                and (not image_id or image.id == image_id)
                and (not name or image.name == name)
                and (not family or image.family == family)
                and (not snapshot or any(m.snapshot and m.snapshot.id == snapshot for m in image.mappings))
                and (owner in (None, "", "self"))
                and (not usage or self._usage(image) == usage)
                and (not tags or carries(image.tags, tags))
            )

        items, fields = paging.numbered(call, self._ecs.images.shelf, matches, self._render, cap=100)
        return {
            "Images": {"Image": items},
            "RegionId": self._ecs.region,
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }

    def _usage(self, image: Image) -> str:
        return "instance" if any(i.image_id == image.id for i in self._ecs.instances.values()) else "none"

    def _render(self, image: Image) -> dict[str, Any]:
        now = self._ecs.clock.now()
        return {
            "ImageId": image.id,
            "ImageName": image.name,
            "ImageFamily": image.family,
            "ImageVersion": image.version,
            "Description": image.description,
            "Status": image.status,
            "Progress": f"{image.progress(now)}%",
            "Usable": image.status in ("Available", "Deprecated"),
            "Usage": self._usage(image),
            "Size": image.system.size_gib,
            "CreationTime": iso(image.created),
            "ImageOwnerAlias": "self",
            "ImageOwnerId": int(self._ecs.account),
            "IsSelfShared": "",
            "IsCopied": False,
            "IsPublic": False,
            "Architecture": "x86_64",
            "BootMode": "BIOS",
            "OSType": "linux",
            "OSName": "",
            "Platform": "Others Linux",
            "ResourceGroupId": "",
            "DiskDeviceMappings": {
                "DiskDeviceMapping": [
                    {
                        "SnapshotId": mapping.snapshot.id if mapping.snapshot else "",
                        "Size": str(mapping.size_gib),
                        "Device": mapping.device,
                        "Type": mapping.kind,
                        "Progress": "100%" if mapping.snapshot is None else f"{mapping.snapshot.progress(now)}%",
                        "RemainTime": 0,
                        "Encrypted": False,
                        "Format": "",
                    }
                    for mapping in image.mappings
                ]
            },
            "Tags": paging.tag_list(image.tags),
        }

    @reads("ImageFamily")
    def from_family(self, call: Call) -> dict[str, Any]:
        """The newest available image of the family; an empty object when there is none."""
        image = self._ecs.images.from_family(params.required(call.params, "ImageFamily"))
        if image is None:
            return {"Image": {}}
        rendered = self._render(image)
        for absent in FAMILY_LACKS:
            del rendered[absent]
        for mapping in rendered["DiskDeviceMappings"]["DiskDeviceMapping"]:
            for absent in MAPPING_LACKS:
                del mapping[absent]
        return {"Image": rendered}

    @reads("ImageId", "Status", "ImageFamily", "Description", "ImageName")
    def modify(self, call: Call) -> dict[str, Any]:
        p = call.params
        self._ecs.images.modify(
            params.required(p, "ImageId"),
            status=p.get("Status"),
            family=p.get("ImageFamily"),
            description=p.get("Description"),
        )
        return {}

    @reads("ImageId", "Force", "DryRun")
    def delete(self, call: Call) -> dict[str, Any]:
        paging.dry_run(call)
        self._ecs.images.delete(
            params.required(call.params, "ImageId"), force=params.boolean(call.params, "Force", False)
        )
        return {}


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
