"""How the official ECS SDK (2014-05-26) is called: one answer, a listing page by page, and what its filters leave out.

Listings stream page by page and never trust a count: with NextToken paging only the empty token ends a list.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from alibabacloud_ecs20140526.client import Client

from shared.adapters import ecs_answers as answers
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_answers import Fields
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, call
from shared.domain.errors import OutcomeUnknown, Throttled
from shared.domain.inventory import Disk, Image, Instance, Snapshot, SnapshotGroup
from shared.ports.pace import Pace, Unpaced

IDS_AT_ONCE: Final = 100
TAGGED_AT_MOST: Final = 1000
"""A tag filter shows no more than so many resources; beyond it the whole list is read and filtered here."""

UNPACED: Final = Unpaced()

T = TypeVar("T", Disk, Image, Instance, Snapshot, SnapshotGroup)


class EcsCalls:
    """One account in one region. `pace` is asked before every call, and told of every refusal for too many."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials], pace: Pace = UNPACED) -> None:
        self._clients = Clients[Any](Client, endpoint=endpoint, credentials=credentials)
        self._region = endpoint.region
        self._pace = pace

    def _ask(self, action: str, method: str, request: Any, *, changes: bool) -> Any:
        """The body of one answer."""
        response = self._paced(action, method, request, changes)
        if response.body is None:
            # The SDK swallows answers of another shape; for a change its effect is then unknown.
            if changes:
                raise OutcomeUnknown(f"ecs {action}: the answer could not be read")
            raise answers.unreadable(f"ecs {action}", "unexpected shape")
        return response.body

    def _paced(self, action: str, method: str, request: Any, changes: bool) -> Any:
        while True:
            self._pace.before(action, changes=changes)
            try:
                return call(f"ecs {action}", lambda: getattr(self._clients.current(), method)(request), changes=changes)
            except Throttled as throttled:
                self._pace.refused(action, throttled, changes=changes)

    def _pages(
        self, action: str, method: str, request: Any, envelope: str, element: str, read: Callable[[Fields], Any]
    ) -> Iterator[Any]:
        while True:
            body = self._ask(action, method, request, changes=False)
            if getattr(body, envelope, None) is None:
                raise answers.unreadable(f"ecs {action}", f"{envelope} is missing")
            for item in Fields(body, f"ecs {action}").items(envelope, element):
                yield read(item)
            if not body.next_token:
                return
            request.next_token = body.next_token

    def _numbered(self, action: str, method: str, request: Any, envelope: str, element: str) -> Iterator[Fields]:
        """A listing by page number; `request` says how long a page is."""

        def page(number: int) -> tuple[list[Fields], int]:
            request.page_number = number
            body = self._ask(action, method, request, changes=False)
            if getattr(body, envelope, None) is None:
                raise answers.unreadable(f"ecs {action}", f"{envelope} is missing")
            fields = Fields(body, f"ecs {action}")
            return list(fields.items(envelope, element)), fields.whole("total_count")

        return all_pages(page, f"ecs {action}")


def tagged(all_of: Callable[[Mapping[str, str] | None], Iterator[T]], tags: Mapping[str, str] | None) -> Iterator[T]:
    """Filtered by the cloud, and completed by us when its filter ran into its cap."""
    if not tags:
        yield from all_of(None)
        return
    seen: set[str] = set()
    for item in all_of(tags):
        seen.add(item.id)
        yield item
    if len(seen) < TAGGED_AT_MOST:
        return
    for item in all_of(None):
        if item.id not in seen and all(item.tags.get(key) == value for key, value in tags.items()):
            yield item


def tags_of(kind: Any, tags: Mapping[str, str] | None) -> list[Any] | None:
    return [kind(key=key, value=value) for key, value in tags.items()] if tags else None


def chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def made(id: Any, action: str) -> str:
    if not isinstance(id, str) or not id:
        raise OutcomeUnknown(f"ecs {action}: answered without an id ({id!r})")
    return id
