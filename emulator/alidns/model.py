"""Alidns."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.realm import Account


class Alidns:
    def __init__(self, owner: "Account") -> None:
        self._owner = owner
