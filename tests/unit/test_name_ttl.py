"""What a record's time to live must be, and what another one costs."""

from dataclasses import replace

import pytest

from shared.domain.dns_plan import NameRecord
from shared.domain.name_ttl import floor_finding, ttl_finding
from shared.domain.pair import NameRule, NameService

RULE = NameRule(zone="corp.example", host="master", ttl_seconds=5)
RECORD = NameRecord(
    record_id="1", zone="corp.example", host="master", type="A", value="10.0.1.21", ttl_seconds=5, enabled=True,
    remark="",
)  # fmt: skip


@pytest.mark.parametrize(
    ("stands", "says"),
    [
        (600, "clients may go to the old site for up to 600 s"),
        (1, "clients ask more often than the policy wants, every 1 s"),
    ],
)
def test_another_time_to_live_is_told_with_what_it_costs_and_how_to_mend_it(stands: int, says: str) -> None:
    told = ttl_finding("master.corp.example", RULE, [replace(RECORD, ttl_seconds=stands)], pair="control")
    assert says in told
    assert "`understudy name prepare control`" in told


@pytest.mark.parametrize("records", [[RECORD], [], [RECORD, replace(RECORD, ttl_seconds=600)]])
def test_the_right_one_and_what_is_another_finding_are_not_told(records: list[NameRecord]) -> None:
    assert ttl_finding("master.corp.example", RULE, records, pair="control") == ""


def test_an_edition_that_does_not_allow_it_is_told() -> None:
    public = replace(RULE, service=NameService.PUBLIC)
    assert "no time to live below 600 s" in floor_finding(public, 600)
    assert floor_finding(public, 5) == ""
