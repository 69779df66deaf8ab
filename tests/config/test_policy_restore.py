"""`restore` of the policy file."""

import pytest

from tests.config.policies import parsed, policy, refusals


def test_safety_snapshots_stay_a_week_unless_the_file_says_otherwise() -> None:
    assert parsed(policy()).safety_days == 7
    assert parsed(policy(top="restore: {keep_safety: 14d}")).safety_days == 14


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("12h", "out of range. Use 1d to 365d"),
        ("36h", "not a number of whole days. Write 1d"),
        ("7", "has no unit"),
    ],
)
def test_a_time_that_prune_cannot_keep_is_refused(given: str, says: str) -> None:
    (line,) = refusals(policy(top=f"restore: {{keep_safety: {given}}}"))
    assert says in line


def test_no_protection_is_named_as_the_points_of_restores() -> None:
    (line,) = refusals(policy(name="safety"))
    assert "what Understudy itself calls the points of restores" in line
