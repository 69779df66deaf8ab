"""TagResources, UntagResources, ListTagResources."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.shelf import carries
from emulator.ecs.tagging import PAGE, RESOURCES_AT_MOST, Tagging
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

FOUND = ("InvalidResourceType.NotFound", "InvalidResourceId.NotFound")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = TagsApi(ecs)
    return {"TagResources": api.tag, "UntagResources": api.untag, "ListTagResources": api.list_tags}


class TagsApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._tagging = Tagging(ecs)

    @reads("ResourceType", "ResourceId.N", *paging.TAGS)
    @raises(*FOUND, "InvalidTagKey.Malformed", "InvalidTagValue.Malformed", "QuotaExceed.Tags", "Duplicate.TagKey")
    def tag(self, call: Call) -> dict[str, Any]:
        """Tags up to 50 resources of one type, all or none; a key that is there gets the new value."""
        p = call.params
        self._tagging.tag(params.required(p, "ResourceType"), params.list_of(p, "ResourceId"), paging.tags(call))
        return {}

    @reads("ResourceType", "ResourceId.N", "TagKey.N", "All")
    @raises(*FOUND)
    def untag(self, call: Call) -> dict[str, Any]:
        """Takes tags off; All counts only when no key is named."""
        p = call.params
        self._tagging.untag(
            params.required(p, "ResourceType"),
            params.list_of(p, "ResourceId"),
            params.list_of(p, "TagKey"),
            everything=params.boolean(p, "All", False),
        )
        return {}

    @reads("ResourceType", "ResourceId.N", "NextToken", *paging.TAGS)
    @raises(*FOUND, "InvalidParameter.NextToken")
    def list_tags(self, call: Call) -> dict[str, Any]:
        """By ids, by tags, or both; one line per resource and tag."""
        p = call.params
        kind, ids, wanted = params.required(p, "ResourceType"), params.list_of(p, "ResourceId"), paging.tag_filter(call)
        if len(ids) > RESOURCES_AT_MOST:
            raise params.invalid("ResourceId", f"it holds {len(ids)} ids, at most {RESOURCES_AT_MOST} are allowed")
        if not ids and not wanted:
            raise ApiError("MissingParameter", "ResourceId or Tag is mandatory.")
        found = [
            {"ResourceId": resource.id, "ResourceType": kind, "TagKey": key, "TagValue": value}
            for resource in self._tagging.shelf(kind)
            if (not ids or resource.id in ids) and carries(resource.tags, wanted)
            for key, value in resource.tags.items()
        ]
        start = _start(p.get("NextToken"))
        more = len(found) > start + PAGE
        return {
            "TagResources": {"TagResource": found[start : start + PAGE]},
            "NextToken": urlsafe_b64encode(str(start + PAGE).encode()).decode() if more else "",
        }


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(urlsafe_b64decode(token))
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
