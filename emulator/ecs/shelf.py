"""Resources in order of creation, with pages that resume at a position: a page costs what it shows, not what exists."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from emulator.wire.call import ApiError


class Resource(Protocol):
    id: str
    tags: dict[str, str]


R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    items: list[R]
    next_token: str  # empty at the end


class Shelf(Generic[R]):
    """Newest first when listed (assumption). Items that left are skipped; their places are reclaimed in bulk."""

    def __init__(self) -> None:
        self._by_id: dict[str, R] = {}
        self._places: list[tuple[int, R]] = []
        self._numbers: dict[str, int] = {}
        self._next = 0

    def add(self, item: R) -> None:
        self._by_id[item.id] = item
        self._places.append((self._next, item))
        self._numbers[item.id] = self._next
        self._next += 1

    def remove(self, item: R) -> None:
        del self._by_id[item.id], self._numbers[item.id]
        if len(self._places) > 2 * len(self._by_id) + 64:
            self._places = [place for place in self._places if self._here(place[1])]

    def get(self, id: str) -> R | None:
        return self._by_id.get(id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[R]:
        return iter(self._by_id.values())

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    @property
    def by_id(self) -> dict[str, R]:
        return self._by_id

    def _here(self, item: R) -> bool:
        return self._by_id.get(item.id) is item

    def page(
        self,
        matches: Callable[[R], bool],
        *,
        size: int,
        token: str | None,
        ids: list[str] | None = None,
        at_most: int | None = None,
    ) -> Page[R]:
        """At most `size` matching items after the token: what leaves between two pages makes nothing else be missed.
        `ids` narrows to these (unknown ones are left out); `at_most` ends the whole listing after so many items,
        silently."""
        before, shown = _decoded(token) if token else (self._next, 0)
        if ids is not None:
            rest = [item for item in self._named(ids) if self._numbers[item.id] < before and matches(item)]
            if len(rest) <= size:
                return Page(rest, "")
            return Page(rest[:size], _encoded(self._numbers[rest[size - 1].id] if size else before, 0))
        size = size if at_most is None else max(0, min(size, at_most - shown))
        position = bisect_left(self._places, before, key=lambda place: place[0])
        found: list[R] = []
        last = before
        while position > 0:
            position -= 1
            number, item = self._places[position]
            if not self._here(item) or not matches(item):
                continue
            if len(found) == size:
                shown += size
                return Page(found, "" if shown == at_most else _encoded(last, shown))
            found.append(item)
            last = number
        return Page(found, "")

    def _named(self, ids: Iterable[str]) -> list[R]:
        """Those of them that are here, newest first."""
        found = [item for one in dict.fromkeys(ids) if (item := self._by_id.get(one)) is not None]
        return sorted(found, key=lambda item: self._numbers[item.id], reverse=True)

    def walk(self, *, down_from: int | None, ids: Iterable[str] | None = None) -> Iterator[tuple[int, R]]:
        """(number, item) newest first: all, or these; from that number on. A number is an item's for its life."""
        if ids is not None:
            named = ((self._numbers[item.id], item) for item in self._named(ids))
            yield from (one for one in named if down_from is None or one[0] <= down_from)
            return
        end = len(self._places)
        if down_from is not None:
            end = bisect_left(self._places, down_from + 1, key=lambda place: place[0])
        for position in range(end - 1, -1, -1):
            number, item = self._places[position]
            if self._here(item):
                yield number, item

    def numbered(
        self, matches: Callable[[R], bool], *, number: int, size: int, ids: Iterable[str] | None = None
    ) -> tuple[list[R], int]:
        """Old style: page `number` (from 1) and how many match in all."""
        if ids is not None:
            found = [item for item in self._named(ids) if matches(item)]
        else:
            found = [item for _, item in reversed(self._places) if self._here(item) and matches(item)]
        return found[(number - 1) * size : number * size], len(found)


def carries(tags: Mapping[str, str], wanted: list[tuple[str, str | None]]) -> bool:
    """Whether all wanted tags are there; a wanted value None takes any value."""
    return all(key in tags and (value is None or tags[key] == value) for key, value in wanted)


def _encoded(position: int, shown: int) -> str:
    return urlsafe_b64encode(f"{position}.{shown}".encode()).decode()


def _decoded(token: str) -> tuple[int, int]:
    try:
        position, _, shown = urlsafe_b64decode(token.encode()).decode().partition(".")
        return int(position), int(shown)
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
