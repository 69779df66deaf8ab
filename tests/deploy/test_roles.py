"""Roles are split by blast radius, and hold exactly what the adapters that their function is wired to need."""

import ast
import importlib
import json
from pathlib import Path

import pytest

from deploy.bootstrap import REQUIRED, Account, BootstrapError, commands, entries, policy

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = Account(id="1234567890123456", region="cn-hangzhou", ots_instance="dr-state", private_zone="zone-1")
VALUES = {**dict.fromkeys(REQUIRED, "x"), "ALIBABA_CLOUD_ACCOUNT_ID": "1"}

WITHHELD = {
    # What an adapter can do and this function must not, or does not do.
    "backup": {
        "ecs:DeleteSnapshot",
        "ecs:RunInstances",
        "ecs:StopInstance",
        "ecs:StartInstance",
        "ecs:DescribeInstanceHistoryEvents",
    },
    "prune": {"ecs:CreateSnapshot", "ecs:CreateSnapshotGroup", "ecs:TagResources"},
    "recover": {"ecs:DeleteSnapshot", "ecs:CreateSnapshot", "ecs:CreateSnapshotGroup", "ecs:CreateImage"},
    "watch": {"ecs:DescribeDisks", "slb:AddBackendServers", "slb:SetBackendServers", "slb:RemoveBackendServers"},
    "status": {"ots:PutRow", "ots:UpdateRow", "ots:DeleteRow", "ots:BatchWriteRow"},
    "deadletter": {"ots:GetRange", "ots:UpdateRow", "ots:DeleteRow", "ots:BatchWriteRow"},
}


def actions(entry: str) -> set[str]:
    return {action for statement in json.loads(policy(entry, ACCOUNT))["Statement"] for action in statement["Action"]}


def wired(entry: str) -> set[str]:
    """RAM actions of every adapter that the function's wiring names."""
    source = (ROOT / "shared" / "wiring" / f"{entry}.py").read_text()
    needed: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("shared.adapters."):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                needed |= set(getattr(getattr(module, name.name), "RAM_ACTIONS", ()))
                if isinstance(getattr(module, name.name), type):
                    needed |= set(getattr(module, "RAM_ACTIONS", ()))
    if "store" in source:
        needed |= set(importlib.import_module("shared.adapters.ots").RAM_ACTIONS)
    if "functions()" in source:
        needed |= set(importlib.import_module("shared.adapters.functions").RAM_ACTIONS)
    return needed


@pytest.mark.parametrize("entry", entries())
def test_a_role_holds_what_its_function_is_wired_to_and_no_more(entry: str) -> None:
    if not (ROOT / "shared" / "wiring" / f"{entry}.py").exists():
        pytest.skip(f"{entry} is not wired yet")
    assert actions(entry) == wired(entry) - WITHHELD.get(entry, set())


@pytest.mark.parametrize("entry", entries())
def test_no_role_has_a_wildcard_action_or_another_account(entry: str) -> None:
    document = json.loads(policy(entry, ACCOUNT))
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        assert all(ACCOUNT.id in resource for resource in statement["Resource"])
    assert "@" not in json.dumps(document)
    assert len(policy(entry, ACCOUNT)) <= 6144


def test_one_that_creates_cannot_delete() -> None:
    makes = {"ecs:CreateSnapshot", "ecs:CreateSnapshotGroup", "ecs:CreateImage", "ecs:RunInstances"}
    destroys = {"ecs:DeleteSnapshot", "ecs:DeleteImage", "ecs:DeleteDisk", "ecs:DeleteInstance", "ecs:ResetDisk"}
    for entry in entries():
        assert not (actions(entry) & makes and actions(entry) & destroys), entry
    assert {entry for entry in entries() if actions(entry) & destroys} == {"prune"}


def test_only_watch_moves_the_name() -> None:
    assert {entry for entry in entries() if any(a.startswith("pvtz:Update") for a in actions(entry))} == {"watch"}


def test_only_recover_changes_instances_and_the_balancer() -> None:
    changing = {"ecs:RunInstances", "ecs:StopInstance", "ecs:StartInstance", "slb:AddBackendServers"}
    assert {entry for entry in entries() if actions(entry) & changing} == {"recover"}


def test_only_named_functions_may_be_called() -> None:
    called = {
        entry: {
            resource.rpartition("/")[2].removeprefix("understudy-")
            for statement in json.loads(policy(entry, ACCOUNT))["Statement"]
            if "fc:InvokeFunction" in statement["Action"]
            for resource in statement["Resource"]
        }
        for entry in entries()
    }
    assert {entry: targets for entry, targets in called.items() if targets} == {
        "schedule": {"backup"},
        "backup": {"backup"},
        "recover": {"recover"},
        "alarm": {"backup", "recover"},
        "command": {"backup", "prune", "recover"},
    }


def test_a_missing_value_is_named_before_anything_is_printed() -> None:
    with pytest.raises(BootstrapError, match="UNDERSTUDY_VPC"):
        Account.of({name: value for name, value in VALUES.items() if name != "UNDERSTUDY_VPC"})


def test_the_commands_make_a_role_and_a_policy_for_each_function() -> None:
    script = "\n".join(commands(ACCOUNT))
    for entry in entries():
        for action in ("CreateRole", "CreatePolicy", "CreatePolicyVersion", "AttachPolicyToRole"):
            assert f"ram {action} " in script
            assert f"understudy-{entry}" in script
    assert "dr-state" in script
    assert "zone/zone-1" in script
