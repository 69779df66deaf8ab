"""The deployed policies by running: the demo's story, an operator's day, and a day on which everything is recovered;
each function with its own role's keys.

A permission that is missing shows as a denial; one that is not needed shows as never asked for, unless it stands below
with the reason why no run asks for it. So no line of `deploy/ram` can be taken away or added unnoticed.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from deploy.bootstrap import Account, entries, policy
from emulator.ram.policy import fits
from tests.demo.evening import evening
from tests.deploy import operators_day, recovery_day

pytestmark = pytest.mark.timeout(300)

DEMO = Account(id="1000000000000001", region="cn-hangzhou", ots_instance="understudy", private_zone="*")
Permission = tuple[str, str, str]  # entry, action, what of (kind or table, function)

CREATED_WITH_TAGS = "creating with tags may be judged as tagging as well (not verified, not modelled)"
ALREADY_OPEN = "opening an operation that exists: two triggers at once, or a crash between its two writes"
NO_POLICY = "while no policy is active, to say so"
NO_FREEZE = "no protection of these runs freezes its guests (tests/functions/test_freezing_over_the_wire.py does)"
NO_SURGE = "no pair of these runs has `surge` (tests/simulation/test_surge.py reads and raises)"
LEFT_OVER = "sweeps up the pointer that a crash left behind"
ANOTHER_ACCOUNT = "no other account here: tests/functions/test_accounts_over_the_wire.py enters one"
NEVER_ASKED: dict[Permission, str] = {
    ("backup", "sts:AssumeRole", "role"): ANOTHER_ACCOUNT,
    ("prune", "sts:AssumeRole", "role"): ANOTHER_ACCOUNT,
    ("alarm", "ots:DeleteRow", "open_operations"): LEFT_OVER,
    ("command", "ots:DeleteRow", "open_operations"): LEFT_OVER,
    ("command", "ots:UpdateRow", "operations"): "a run of a plan that stopped goes on",
    ("schedule", "ots:DeleteRow", "open_operations"): LEFT_OVER,
    ("prune", "ots:DeleteRow", "open_operations"): LEFT_OVER,
    ("schedule", "ots:GetRow", "operations"): ALREADY_OPEN,
    ("backup", "ecs:TagResources", "image"): CREATED_WITH_TAGS,
    ("backup", "ecs:TagResources", "snapshotgroup"): CREATED_WITH_TAGS,
    ("backup", "ots:GetRow", "slots"): "a write of slots whose answer was lost is read back",
    ("backup", "ecs:RunCommand", "command"): NO_FREEZE,
    ("backup", "ecs:RunCommand", "instance"): NO_FREEZE,
    ("backup", "ecs:DescribeInvocationResults", "instance"): NO_FREEZE,
    ("prune", "ecs:DescribeLockedSnapshots", "snapshot"): "where the policy locks; that of the day does not",
    ("prune", "ots:PutRow", "points"): "a lock that somebody made by hand is written down",
    ("prune", "ots:DeleteRow", "points"): "a point that was missed is shown again",
    ("prune", "ots:DeleteRow", "certificates"): "an image that was missed is shown again",
    ("prune", "ots:DeleteRow", "images"): "all that a deleted image left over is gone",
    ("prune", "ots:GetRow", "operations"): "an operation that is open while prune runs: its points are left alone",
    ("schedule", "ots:GetRow", "controls"): NO_POLICY,
    ("recover", "ecs:TagResources", "image"): CREATED_WITH_TAGS,
    ("recover", "ess:DescribeScalingActivities", "scalinggroup"): "an activity of the group that takes its time",
    ("recover", "ots:GetRow", "leases"): "a restore of a member of a pair: whether it holds the lease",
    ("watch", "ots:DeleteRow", "controls"): "an order to switch over that was carried out",
    ("watch", "pvtz:DescribeZoneRecord", "zone"): "an update of the name whose answer was lost is read back",
    ("watch", "fc:InvokeFunction", "understudy-hook-*"): "no pair of these runs has hooks",
    ("watch", "slb:DescribeLoadBalancerAttribute", "loadbalancer"): NO_SURGE,
    ("watch", "ess:DescribeScalingGroups", "scalinggroup"): NO_SURGE,
    ("watch", "fc:InvokeFunction", "understudy-deadletter"): "watch loops in real time: not made to fail here",
}


def permissions() -> set[Permission]:
    return {
        (entry, action, _what(resource))
        for entry in entries()
        for statement in json.loads(policy(entry, DEMO))["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def _what(resource: str) -> str:
    """The last part that matters: the table, the function, or the kind of an ECS resource."""
    kind, _, name = resource.split(":", 4)[-1].partition("/")
    return (
        name.rpartition("/")[2]
        if kind in ("instance", "functions") and "/table/" in resource
        else (name if kind == "functions" else kind)
    )


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What policies were asked in the evening and, beside it, on two days."""
    with evening(tmp_path_factory.mktemp("evening"), "--acts", "123", "--hours", "4") as run:
        day = operators_day.play(tmp_path_factory.mktemp("day"))
        day += recovery_day.play(tmp_path_factory.mktemp("recovery"))
        assert run.end() == 0, run.said
        report = json.loads((run.report / "demo.json").read_text())
    return [*report["permissions"], *day]


def test_no_role_is_denied_anything_in_the_whole_story(asked: list[dict[str, Any]]) -> None:
    assert [one for one in asked if one["denied"]] == []


def test_every_role_and_the_agent_took_part(asked: list[dict[str, Any]]) -> None:
    assert {one["principal"].removeprefix("understudy-") for one in asked} == set(entries())


def test_every_permission_is_used_or_has_a_reason(asked: list[dict[str, Any]]) -> None:
    unused = permissions() - _used(asked)
    assert unused - NEVER_ASKED.keys() == set(), (
        "deploy/ram allows what no run needs: take it away, or say here why not"
    )
    assert NEVER_ASKED.keys() - unused == set(), "used after all, or not in deploy/ram any more: take the reason away"


def _used(asked: Iterable[dict[str, Any]]) -> set[Permission]:
    found = set()
    for entry in entries():
        mine = [one for one in asked if one["principal"] == f"understudy-{entry}" and one["allowed"]]
        for statement in json.loads(policy(entry, DEMO))["Statement"]:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    if any(one["action"] == action and fits(one["resource"], resource) for one in mine):
                        found.add((entry, action, _what(resource)))
    return found
