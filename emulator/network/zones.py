"""Availability zones and whether anything from them is still heard."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.cloud import Cloud

Listener = Callable[[str, bool], None]


class Zones:
    """A dark zone is silent, not refusing: connections and reads time out. Control planes outside it go on answering,
    and its instances go on reading Running (assumption: the control plane learns nothing from a dark zone)."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._dark: set[str] = set()
        self._listeners: list[Listener] = []

    def is_dark(self, zone: str) -> bool:
        return zone in self._dark

    @property
    def dark(self) -> frozenset[str]:
        return frozenset(self._dark)

    def subscribe(self, listener: Listener) -> None:
        """`listener(zone, dark)` is called at every change."""
        self._listeners.append(listener)

    def set_dark(self, zone: str, dark: bool) -> None:
        if dark == (zone in self._dark):
            return
        (self._dark.add if dark else self._dark.discard)(zone)
        for listener in list(self._listeners):
            listener(zone, dark)
