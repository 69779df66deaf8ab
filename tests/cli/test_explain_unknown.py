"""`explain` of a scope that nobody ever decided about: a slip of the pen, with a time or without one."""

import pytest

from emulator.testing import Local
from tests.cli.conftest import Run
from tests.cli.test_commands import EXAMPLE


@pytest.mark.parametrize("words", [("contrl",), ("contrl", "00:00"), ("25:00",)])
def test_a_scope_that_is_none_is_refused_with_those_that_are(
    connected: Local, run: Run, words: tuple[str, ...]
) -> None:
    assert run("apply", "--file", str(EXAMPLE)).code == 0

    ended = run("explain", *words)

    assert ended.code != 0
    assert f"nothing was decided about '{words[0]}'" in ended.err
    assert "control" in ended.err
