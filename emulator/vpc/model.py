"""Vpc."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.realm import Realm


class Vpc:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
