"""Wherever a process of a failover or switchover is ended or stopped, the end is the undisturbed one."""

import pytest

from tests.simulation.interruptions import SCENARIOS, STRIKES, Scenario, Strike, lived, swept

EACH = [
    pytest.param(scenario, struck, strike, id=f"{scenario.name}: {struck} {strike.__name__}")
    for scenario in SCENARIOS
    for struck in scenario.struck
    for strike in STRIKES
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_undisturbed_it_ends_where_it_should(scenario: Scenario) -> None:
    assert lived(scenario) == ""


@pytest.mark.timeout(300)  # a whole sweep: some forty to a hundred and forty lives
@pytest.mark.parametrize(("scenario", "struck", "strike"), EACH)
def test_wherever_it_is_interrupted_the_end_is_the_same(scenario: Scenario, struck: str, strike: Strike) -> None:
    tried, wrong = swept(scenario, struck, strike)

    assert wrong == []
    assert tried > 20
