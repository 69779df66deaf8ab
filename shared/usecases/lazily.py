"""A mapping whose values are made when they are first asked for: what a cold start does not need is not built."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lazily(Mapping[K, V]):
    """Keys are known at once; each value is made once. Not for sharing between threads."""

    def __init__(self, builders: Mapping[K, Callable[[], V]]) -> None:
        self._builders = builders
        self._made: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._made:
            self._made[key] = self._builders[key]()
        return self._made[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)
