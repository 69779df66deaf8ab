"""What some of the tests cost, told at the end of the run, however many workers they were spread over."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

COST = "cost"
Account = Callable[[str, int], AbstractContextManager[None]]


def account_of(request: pytest.FixtureRequest) -> Account:
    """`with account("drawn bad days", 25):` counts what the block costs towards these words."""

    @contextmanager
    def account(what: str, count: int) -> Iterator[None]:
        began, worked = time.monotonic(), time.process_time()
        yield
        ended = time.monotonic()
        cost = [what, count, time.process_time() - worked, began, ended]
        request.node.user_properties.append((COST, cost))

    return account


def told(properties: Iterable[tuple[str, Any]]) -> list[str]:
    """One line for each thing that was accounted for. The monotonic clock is the machine's: workers share it."""
    costs: dict[str, list[list[Any]]] = defaultdict(list)
    for name, value in properties:
        if name == COST:
            costs[value[0]].append(value[1:])
    lines = []
    for what, parts in sorted(costs.items()):
        count = sum(part[0] for part in parts)
        cpu = sum(part[1] for part in parts)
        wall = sum(part[3] - part[2] for part in parts)
        whole = max(part[3] for part in parts) - min(part[2] for part in parts)
        lines.append(
            f"{count} {what}: {cpu:.1f} s of CPU time, {wall:.1f} s of wall time one after the other, {whole:.1f} s "
            "from the first's begin to the last's end"
        )
    return lines
