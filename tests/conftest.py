"""For the whole suite: no test sees what another did to logging, and the emulator keeps its word."""

import logging
from collections.abc import Iterator

import pytest

from emulator.wire import declare


@pytest.fixture(autouse=True)
def our_log_as_it_starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads the log gets all of ours, whatever the command line or a sweep silenced before it."""
    if "caplog" in request.fixturenames:
        ours = logging.getLogger("understudy")
        monkeypatch.setattr(ours, "propagate", True)
        monkeypatch.setattr(ours, "level", logging.NOTSET)
        ours.manager._clear_cache()  # type: ignore[attr-defined]  # levels are cached per logger; no public way


@pytest.fixture(autouse=True)
def errors_are_declared() -> Iterator[None]:
    """Whatever error an emulated operation answered with, it had declared it: the coverage page tells the truth."""
    before = len(declare.UNDECLARED)
    yield
    undeclared = declare.UNDECLARED[before:]
    assert not undeclared, f"errors that @raises(...) does not name: {sorted(set(undeclared))}"
