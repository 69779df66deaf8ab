"""For the whole suite: no test sees what another did to logging, and the emulator keeps its word."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from emulator.wire import catalogue, declare
from emulator.wire.services import VERSIONS
from tests import costs, guards


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


WRONG_FIELDS: set[str] = set()


def hold_against_the_sdk(version: str, action: str, answer: Mapping[str, Any]) -> None:
    described = catalogue.known(VERSIONS[version], action)
    if described is not None:
        WRONG_FIELDS.update(catalogue.strangers(answer, described["answer"], action))


declare.ANSWER_LISTENERS.append(hold_against_the_sdk)


@pytest.fixture(autouse=True)
def answers_have_the_documented_shape() -> Iterator[None]:
    """Every answer that any test provokes has only fields, and types, that the official SDK's models have."""
    WRONG_FIELDS.clear()
    yield
    assert not WRONG_FIELDS, f"answers that the official SDK would not read so: {sorted(WRONG_FIELDS)}"


@pytest.fixture
def account(request: pytest.FixtureRequest) -> costs.Account:
    return costs.account_of(request)


@pytest.fixture
def caught(request: pytest.FixtureRequest) -> guards.Caught:
    return guards.caught_by(request)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was accounted for, and how many planted defects were caught, by the tests that passed."""
    passed = [one for report in terminalreporter.stats.get("passed", ()) for one in report.user_properties]
    for line in (*costs.told(passed), *guards.told(passed)):
        terminalreporter.write_line(line)
