"""What every in-process part of the compute port stands on: one place of the emulated cloud, and how it is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from emulator.cloud import Cloud
from emulator.ecs.model import Ecs
from emulator.ecs.shelf import Resource
from emulator.realm import Realm
from understudy.simulation.call import called, read

F = TypeVar("F", bound=Resource)
V = TypeVar("V")


def chosen(
    shelf: Mapping[str, F], ids: Sequence[str] | None, tags: Mapping[str, str] | None, read: Callable[[F], V]
) -> Iterator[V]:
    """Newest first, as the cloud lists; what comes or goes between two items is not seen."""
    found = list(shelf.values())[::-1] if ids is None else [shelf[one] for one in dict.fromkeys(ids) if one in shelf]
    for item in found:
        if not tags or all(item.tags.get(key) == value for key, value in tags.items()):
            yield read(item)


class InProcess:
    """Belongs to the thread that owns `cloud`. Without a realm it means the home one."""

    def __init__(self, cloud: Cloud, realm: Realm | None = None) -> None:
        self._cloud = cloud
        self._realm = realm

    @property
    def _ecs(self) -> Ecs:
        return self._cloud.ecs if self._realm is None else self._realm.ecs

    def _changing(self, action: str) -> AbstractContextManager[object]:
        return called(self._cloud, "ecs", action, changes=True, realm=self._realm)

    def _told(self, action: str, question: object, answer: Callable[[], V]) -> V:
        """The answer of one read."""
        return read(self._cloud, "ecs", action, question, answer, realm=self._realm)

    def _listed(self, action: str, question: object, found: Callable[[], Iterator[V]]) -> Iterator[V]:
        """One page here, however many there are on the wire."""
        if not self._cloud.faults.on_calls:
            yield from found()
            return
        yield from self._told(action, question, lambda: tuple(found()))
