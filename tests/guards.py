"""Guards that are broken on purpose, and those of them whose tests noticed: counted over the whole run."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

CAUGHT = "caught"
Caught = Callable[[str], None]


def caught_by(request: pytest.FixtureRequest) -> Caught:
    """Called with what was planted, once it has been noticed."""
    return lambda what: request.node.user_properties.append((CAUGHT, what))


def told(properties: Iterable[tuple[str, Any]]) -> list[str]:
    caught = [value for name, value in properties if name == CAUGHT]
    return [f"{len(set(caught))} guards broken on purpose, each noticed"] if caught else []
