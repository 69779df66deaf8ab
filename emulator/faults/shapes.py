"""Answers of another shape than the models of their callers have."""

from collections.abc import Mapping
from typing import Any


def misshapen(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The first list, at the top or in its envelope, is its first item alone; an empty text when it has none."""
    odd = dict(answer)
    for name, value in answer.items():
        if isinstance(value, list):
            odd[name] = value[0] if value else ""
            return odd
        if isinstance(value, Mapping) and any(isinstance(inner, list) for inner in value.values()):
            odd[name] = misshapen(value)
            return odd
    return odd
