"""Tags of every kind of resource. The same key again overwrites its value."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.ecs.rules import TAGS_AT_MOST, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

RESOURCES_AT_MOST = 50
PAGE = 50  # fixed by the server; the size is an assumption


class Tagging:
    def __init__(self, ecs: "Ecs") -> None:
        self._shelves: dict[str, Shelf[Any]] = {
            "instance": ecs.shelf,
            "disk": ecs.disks.shelf,
            "snapshot": ecs.snapshots.shelf,
            "image": ecs.images.shelf,
            "snapshotgroup": ecs.groups.shelf,
            "snapshotpolicy": ecs.snapshots.policies.shelf,
            "securitygroup": ecs.security_groups.shelf,
            "eni": ecs.interfaces.shelf,
            "command": ecs.assistant.commands,
        }

    def shelf(self, resource_type: str) -> Shelf[Any]:
        found = self._shelves.get(resource_type.lower())
        if found is None:
            raise ApiError(
                "InvalidResourceType.NotFound",
                f"The emulator tags {', '.join(self._shelves)}, not {resource_type!r}.",
                404,
            )
        return found

    def _resources(self, resource_type: str, ids: Sequence[str]) -> list[Any]:
        if not ids:
            raise ApiError("MissingParameter", "ResourceId is mandatory.")
        if len(ids) > RESOURCES_AT_MOST:
            raise ApiError("InvalidParameter", f"At most {RESOURCES_AT_MOST} ids, got {len(ids)}.")
        shelf = self.shelf(resource_type)
        found = []
        for resource_id in ids:
            resource = shelf.get(resource_id)
            if resource is None:
                raise ApiError("InvalidResourceId.NotFound", f"{resource_type} {resource_id} does not exist.", 404)
            found.append(resource)
        return found

    def tag(self, resource_type: str, ids: Sequence[str], tags: Mapping[str, str]) -> None:
        resources = self._resources(resource_type, ids)
        if not tags:
            raise ApiError("MissingParameter", "Tag is mandatory.")
        check_tags(tags)
        for resource in resources:
            if len({**resource.tags, **tags}) > TAGS_AT_MOST:
                raise ApiError("QuotaExceed.Tags", f"{resource.id} would have more than {TAGS_AT_MOST} tags.", 403)
        for resource in resources:
            resource.tags.update(tags)

    def untag(self, resource_type: str, ids: Sequence[str], keys: Sequence[str], *, everything: bool) -> None:
        for resource in self._resources(resource_type, ids):
            if everything and not keys:
                resource.tags.clear()
            for key in keys:
                resource.tags.pop(key, None)
