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
        lines, token = self._page(kind, ids, wanted, p.get("NextToken"))
        return {"TagResources": {"TagResource": lines}, "NextToken": token}

    def _page(
        self, kind: str, ids: list[str], wanted: list[tuple[str, str | None]], token: str | None
    ) -> tuple[list[dict[str, str]], str]:
        """Newest resource first, its tags by their keys (assumption). The token names the last line shown, so that
        who untags or deletes what was listed misses nothing."""
        last, last_key = _decoded(token) if token else (None, "")
        lines: list[dict[str, str]] = []
        shown = 0
        for number, resource in self._tagging.shelf(kind).walk(down_from=last, ids=ids or None):
            if not carries(resource.tags, wanted):
                continue
            for key, value in sorted(resource.tags.items()):
                if number == last and key <= last_key:
                    continue
                if len(lines) == PAGE:
                    return lines, _encoded(shown, lines[-1]["TagKey"])
                lines.append({"ResourceId": resource.id, "ResourceType": kind, "TagKey": key, "TagValue": value})
                shown = number
        return lines, ""


def _encoded(number: int, key: str) -> str:
    return urlsafe_b64encode(f"{number}.{key}".encode()).decode()


def _decoded(token: str) -> tuple[int, str]:
    try:
        number, _, key = urlsafe_b64decode(token).decode().partition(".")
        return int(number), key
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
