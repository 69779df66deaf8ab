"""A deployed site for each story. What a role asks for and its deployed policy does not allow fails the story."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functions.deployed import POLICY, Site, deployed


@pytest.fixture
def policy() -> str:
    """The text of `understudy.yaml`; a story that needs another one overrides this."""
    return POLICY


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> Iterator[Site]:
    with deployed(tmp_path, monkeypatch, policy=policy) as running:
        yield running
        assert running.denied() == []
