"""Listings by page number, read to their end."""

from collections.abc import Callable, Iterator
from typing import Any

from shared.domain.errors import Retryable


def all_pages(page: Callable[[int], tuple[list[Any] | None, int | None]], what: str) -> Iterator[Any]:
    """Every row of `page(1)`, `page(2)`, ..., each answered with the total. A listing that ends early raises Retryable,
    since a row left out would look like one that is not there."""
    seen, number = 0, 1
    while True:
        rows, total = page(number)
        yield from rows or ()
        seen += len(rows or ())
        if seen >= (total or 0):
            return
        if not rows:
            raise Retryable(f"{what}: the listing ended after {seen} of {total}")
        number += 1
