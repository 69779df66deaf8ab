"""All guards that are broken on purpose, in one list: each is named once, and has a test that must catch it.

That each is noticed is each one's own test; the end of a run tells how many were (tests/guards.py).
"""

from typing import Any

import pytest

from tests.architecture.test_docs import ROOT
from tests.simulation import test_never_two_active as lease
from tests.simulation import test_planted_defects as failover
from tests.simulation import test_planted_rules as rules
from tests.simulation import test_unattended_days as unattended

BY_MODULE: dict[Any, list[str]] = {
    lease: list(lease.PLANTED),
    failover: [one.what for one in failover.PLANTED],
    unattended: [one.what for one in unattended.PLANTED],
    rules: [one.what for one in rules.PLANTED],
}
GUARDS = [what for guards in BY_MODULE.values() for what in guards]


def test_each_guard_is_named_once() -> None:
    assert sorted(GUARDS) == sorted(set(GUARDS))


@pytest.mark.parametrize("module", BY_MODULE, ids=lambda module: str(module.__name__).rpartition(".")[2])
def test_each_guard_has_a_test_that_must_catch_it(module: Any) -> None:
    """The test is given each of them, and counts as passed only what it reported as caught."""
    test = module.test_a_broken_guard_is_noticed
    (given,) = [mark.args[1] for mark in test.pytestmark if mark.name == "parametrize"]

    assert list(given) == list(module.PLANTED)
    assert "caught" in test.__code__.co_varnames


def test_the_page_about_the_simulation_counts_them_rightly() -> None:
    page = " ".join((ROOT / "docs" / "simulation.md").read_text().split())

    assert f"{len(GUARDS)} guards are broken on purpose" in page
    for module, guards in BY_MODULE.items():
        name = module.__name__.rpartition(".")[2]
        assert f"| `{name}.py` | {len(guards)} |" in page
