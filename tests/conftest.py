"""For the whole suite: no test sees what another did to logging."""

import logging

import pytest


@pytest.fixture(autouse=True)
def our_log_as_it_starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads the log gets all of ours, whatever the command line or a sweep silenced before it."""
    if "caplog" in request.fixturenames:
        ours = logging.getLogger("understudy")
        monkeypatch.setattr(ours, "propagate", True)
        monkeypatch.setattr(ours, "level", logging.NOTSET)
        ours.manager._clear_cache()  # type: ignore[attr-defined]  # levels are cached per logger; no public way
