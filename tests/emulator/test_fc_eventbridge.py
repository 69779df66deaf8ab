"""Rule patterns, and the CloudEvents form of a system event."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulator.bus import CloudEvent
from emulator.fc.eventbridge import PatternError, cloud_event, parse

AT = datetime(2024, 4, 5, 11, 34, 38, 922_000, tzinfo=UTC)
REBOOT = CloudEvent(
    id="45ef4dew",
    product="ECS",
    name="Instance:SystemFailure.Reboot:Executing",
    level="CRITICAL",
    region="cn-hangzhou",
    account="1000000000000001",
    resource="instance/i-bp1example",
    at=AT,
    content={"eventId": "e-bp1example", "instanceId": "i-bp1example", "eventStatus": "Executing", "tries": 2},
)
EVENT = cloud_event(REBOOT, published=AT + timedelta(milliseconds=179))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ("{}", "at least one field"),
        ('{"source": "acs.ecs"}', "source: want a non-empty list"),
        ('{"source": []}', "source: want a non-empty list"),
        ('{"type": [{"wildcard": "ecs:*"}]}', "not modelled"),
        ('{"type": [{"prefix": 1}]}', "wants a string"),
        ('{"data": {"a": [[1]]}}', "data.a"),
    ],
)
def test_a_pattern_that_a_rule_would_refuse_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(PatternError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"source": ["acs.ecs"]}, True),
        ({"source": ["acs.rds", "acs.ecs"]}, True),
        ({"source": ["acs.rds"]}, False),
        ({"source": ["ACS.ECS"]}, False),
        ({"type": [{"prefix": "ecs:Instance:SystemFailure"}]}, True),
        ({"type": [{"prefix": "ecs:Disk:"}, {"suffix": ".Reboot"}]}, True),
        ({"type": [{"suffix": ":Executing"}]}, False),
        ({"source": ["acs.ecs"], "type": ["ecs:Instance:StateChange"]}, False),
        ({"data": {"eventStatus": ["Executing"]}}, True),
        ({"data": {"eventStatus": ["Executed"]}}, False),
        ({"data": {"eventStatus": [{"anything-but": "Executed"}]}}, True),
        ({"data": {"eventStatus": [{"anything-but": ["Executed", "Executing"]}]}}, False),
        ({"data": {"nothing": ["x"]}}, False),
        ({"data": {"tries": [2]}}, True),
        ({"data": {"tries": ["2"]}}, False),
        ({"subject": {"deep": ["x"]}}, False),
    ],
)
def test_every_named_field_must_have_one_of_its_alternatives(pattern: dict[str, Any], matches: bool) -> None:
    assert parse(json.dumps(pattern)).matches(EVENT) is matches


def test_the_event_has_the_documented_shape() -> None:
    assert EVENT["type"] == "ecs:Instance:SystemFailure.Reboot"  # without the status
    assert EVENT["source"] == "acs.ecs"
    assert EVENT["subject"] == "acs:ecs:cn-hangzhou:1000000000000001:instance/i-bp1example"
    assert EVENT["time"] == "2024-04-05T11:34:38.922Z"
    assert EVENT["aliyunpublishtime"] == "2024-04-05T11:34:39.101Z"
    assert EVENT["data"]["eventStatus"] == "Executing"
