"""Paging and filters that describe operations share.

NextToken style, when MaxResults or NextToken is sent: MaxResults below 10 is silently 10 where the API clamps, above
the cap it is the cap; the end is an empty NextToken, and TotalCount means nothing. PageNumber style answers when
PageNumber or PageSize is sent. A call that sends none of them gets the first page with both: a token for the rest, and
counts that hold (assumption; the SDK's comments call them meaningless only beside MaxResults and NextToken).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from emulator.ecs.shelf import Resource, Shelf
from emulator.wire import params
from emulator.wire.call import ApiError, Call

R = TypeVar("R", bound=Resource)

DEFAULT = 10
TAGGED_AT_MOST = 1000
"""A tag filter shows no more resources than this; the rest is silently missing."""
PAGING = ("NextToken", "MaxResults", "PageNumber", "PageSize", "DryRun")
TAGS = ("Tag.N.Key", "Tag.N.Value")


def listed(
    call: Call,
    shelf: Shelf[R],
    matches: Callable[[R], bool],
    render: Callable[[R], dict[str, Any]],
    *,
    cap: int,
    clamp_low: bool = True,
    ids: list[str] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rendered items of the page that `call` asks for, and the answer's paging fields."""
    dry_run(call)
    if "PageNumber" in call.params or "PageSize" in call.params:
        return numbered(call, shelf, matches, render, cap=cap, ids=ids)
    size = params.integer(call.params, "MaxResults", DEFAULT)
    low = DEFAULT if clamp_low else 1
    size = max(low, min(size, cap))
    if call.page_rows is not None or call.empty_page:
        size = 0 if call.empty_page else min(size, call.page_rows or size)
    token = params.text(call.params, "NextToken") or None
    page = shelf.page(
        matches, size=size, token=token, ids=ids, at_most=TAGGED_AT_MOST if "Tag.1.Key" in call.params else None
    )
    items = [render(item) for item in page.items]
    counts = {"TotalCount": 0, "PageNumber": 0, "PageSize": 0}
    if "MaxResults" not in call.params and "NextToken" not in call.params:
        _, total = shelf.numbered(matches, number=1, size=DEFAULT, ids=ids)
        counts = {"TotalCount": total, "PageNumber": 1, "PageSize": DEFAULT}
    return items, {"NextToken": page.next_token, **counts}


def numbered(
    call: Call,
    shelf: Shelf[R],
    matches: Callable[[R], bool],
    render: Callable[[R], dict[str, Any]],
    *,
    cap: int,
    ids: list[str] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    dry_run(call)
    number = params.integer(call.params, "PageNumber", 1, low=1)
    size = params.integer(call.params, "PageSize", DEFAULT, low=1, high=cap)
    items, total = shelf.numbered(matches, number=number, size=size, ids=ids)
    fields = {"NextToken": "", "TotalCount": total, "PageNumber": number, "PageSize": size}
    return [render(item) for item in items], fields


def only(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The paging fields that this operation's answer has."""
    return {name: fields[name] for name in names}


def dry_run(call: Call) -> None:
    """Success of a dry run is an error."""
    if params.boolean(call.params, "DryRun", False):
        raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")


def tag_filter(call: Call) -> list[tuple[str, str | None]]:
    """`Tag.N.Key` with or without a value."""
    return [(tag["Key"], tag.get("Value") or None) for tag in params.objects(call.params, "Tag") if tag.get("Key")]


def tags(call: Call) -> dict[str, str]:
    """`Tag.N.{Key,Value}` of a creation; a doubled key is refused."""
    found: dict[str, str] = {}
    for tag in params.objects(call.params, "Tag"):
        key = tag.get("Key", "")
        if key in found:
            raise ApiError("Duplicate.TagKey", f"The tag key {key!r} is given twice.")
        found[key] = tag.get("Value", "")
    return found


def tag_list(tags: Mapping[str, str]) -> dict[str, Any]:
    """The shape of most lists."""
    return {"Tag": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]}


def group_tag_list(tags: Mapping[str, str]) -> dict[str, Any]:
    """The shape of snapshot groups and of the snapshots nested in them."""
    return {"Tag": [{"Key": key, "Value": value} for key, value in tags.items()]}
