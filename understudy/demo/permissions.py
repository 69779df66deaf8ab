"""What each role was allowed and denied in the course of the demo, summed up by what it was about."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

ANONYMOUS: Final = ("ecs", "slb")
"""Services whose resources are many and alike: `instance/i-bp1...` counts as `instance/*`."""


def summed(asked: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the emulator's answers to single questions; a denial is told with its very resource."""
    allowed: Counter[tuple[str, str, str]] = Counter()
    denied: Counter[tuple[str, str, str]] = Counter()
    for one in asked:
        who, action, resource = str(one["principal"]), str(one["action"]), str(one["resource"])
        allowed[who, action, _kind(resource)] += int(one["allowed"])
        denied[who, action, resource] += int(one["denied"])
    return [
        {"principal": who, "action": action, "resource": what, "allowed": allowed[who, action, what],
         "denied": denied[who, action, what]}
        for who, action, what in sorted({*+allowed, *+denied})
    ]  # fmt: skip


def _kind(resource: str) -> str:
    parts = resource.split(":", 4)
    if len(parts) < 5 or parts[1] not in ANONYMOUS:
        return resource
    return ":".join([*parts[:4], parts[4].partition("/")[0] + "/*"])
