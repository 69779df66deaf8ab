from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.runbooks.stage import Stage, staged

Open = Callable[..., Stage]


@pytest.fixture
def open_stage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Open]:
    """A pair, and an operator at a terminal. What was done there is shown when a test fails."""
    with ExitStack() as stack:

        def open_(**more: Any) -> Stage:
            return stack.enter_context(staged(monkeypatch, capsys, **more))

        yield open_
