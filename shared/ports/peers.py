"""The other agents of a pair, as an agent asks them not to become active."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from shared.domain.ids import Place
from shared.domain.pledge import Answer, Ask


class Peers(Protocol):
    def ask(
        self, places: Collection[Place], ask: Ask, *, timeout: timedelta, one_is_enough: bool
    ) -> dict[Place, Answer]:
        """Ask all `places` at the same time and return within `timeout`; with `one_is_enough`, as soon as one has
        pledged.

        A place that did not answer, or whose yes is not proven, has `pledged` False; some may be missing altogether.
        A yes that is not returned may have been given all the same: the asked agent then keeps it for nothing.
        Never raises.
        """
        ...
