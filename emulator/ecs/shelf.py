"""Resources in order of creation, with pages that resume at a position: a page costs what it shows, not what exists."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
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
        self._next = 0

    def add(self, item: R) -> None:
        self._by_id[item.id] = item
        self._places.append((self._next, item))
        self._next += 1

    def remove(self, item: R) -> None:
        del self._by_id[item.id]
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
        """At most `size` matching items after the token. `ids` narrows to these (unknown ones are left out);
        `at_most` ends the whole listing after so many items, silently."""
        if ids is not None:
            start = _decoded(token)[0] if token else 0
            wanted = [item for one in dict.fromkeys(ids) if (item := self._by_id.get(one)) and matches(item)]
            more = len(wanted) > start + size
            return Page(wanted[start : start + size], _encoded(start + size, 0) if more else "")
        before, shown = _decoded(token) if token else (self._next, 0)
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

    def numbered(self, matches: Callable[[R], bool], *, number: int, size: int) -> tuple[list[R], int]:
        """Old style: page `number` (from 1) and how many match in all."""
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
