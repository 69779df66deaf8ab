"""Roles are split by blast radius, and hold exactly what the adapters that their function is wired to need.

What is read off the sources here is shown by running in `test_least_privilege`.
"""

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.bootstrap import (
    ENTERING,
    REQUIRED,
    Account,
    BootstrapError,
    commands,
    commands_elsewhere,
    entries,
    main,
    policy,
    trust,
    trust_elsewhere,
    unnamed_domains,
)
from emulator.fc.project import load
from shared.adapters.ots import RAM_ACTIONS
from shared.state.schema import TABLES
from tests.deploy.store_calls import sends, touched

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = Account(
    id="1234567890123456",
    region="cn-hangzhou",
    ots_instance="dr-state",
    private_zone="zone-1",
    public_domains=("corp.example",),
    fenced_instances=("i-master-h", "i-master-i"),
    surged_balancers=("lb-app",),
    surged_groups=("asg-h", "asg-i"),
)
VALUES = {**dict.fromkeys(REQUIRED, "x"), "ALIBABA_CLOUD_ACCOUNT_ID": "1"}

AGENT = "agent"  # the one role that belongs to no function
WITHHELD = {
    # What an adapter can do and this function must not, or does not do.
    "backup": {
        "ecs:DeleteSnapshot",
        "ecs:DeleteSnapshotGroup",
        "ecs:DeleteImage",
        "ecs:RunInstances",
        "ecs:StopInstance",
        "ecs:StartInstance",
    },
    "prune": {
        "ecs:CreateSnapshot",
        "ecs:CreateSnapshotGroup",
        "ecs:CreateImage",
        "ecs:RunInstances",
        "ecs:TagResources",
    },
    "recover": {
        "ecs:DeleteSnapshot",
        "ecs:DeleteSnapshotGroup",
        "ecs:DeleteImage",
        "ecs:CopyImage",
        "ecs:LockSnapshot",
        "ecs:DescribeLockedSnapshots",
        "ecs:CreateSnapshotGroup",
        "ecs:DescribeSnapshotGroups",
    },
    "alarm": {"ecs:DescribeDisks"},
    "watch": {
        "ecs:DescribeDisks",
        "ecs:RunInstances",
        "ecs:StartInstance",
        "ecs:TagResources",
        "ecs:DescribeInstanceRamRole",
        "ecs:DescribeUserData",
        "ecs:ModifyInstanceVpcAttribute",
        "ecs:ReplaceSystemDisk",
        "ecs:DescribeInstanceMaintenanceAttributes",
        "ecs:ModifyInstanceMaintenanceAttributes",
        "alidns:DescribeDomainInfo",
        "slb:DescribeLoadBalancers",
        "slb:AddBackendServers",
        "slb:RemoveBackendServers",
        "ess:AttachInstances",
        "ess:DescribeScalingActivities",
        "ess:DescribeScalingConfigurations",
        "ess:DescribeScalingInstances",
        "ess:DetachInstances",
        "ess:EnterStandby",
        "ess:ExitStandby",
        "ess:ModifyScalingConfiguration",
        "ess:ResumeProcesses",
        "ess:SuspendProcesses",
    },
}
WITHHELD_TABLES = {
    # Sweeping up old pointers is for those that may write; the status page is asked not to.
    "status": {("open_operations", "ots:DeleteRow")},
}


def actions(entry: str) -> set[str]:
    return {action for statement in json.loads(policy(entry, ACCOUNT))["Statement"] for action in statement["Action"]}


def wired(entry: str) -> set[str]:
    """RAM actions of every adapter that the function's wiring names; Tablestore's are compared table by table."""
    source = (ROOT / "shared" / "wiring" / f"{entry}.py").read_text()
    needed: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("shared.adapters."):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                needed |= set(getattr(getattr(module, name.name), "RAM_ACTIONS", ()))
                if isinstance(getattr(module, name.name), type):
                    needed |= set(getattr(module, "RAM_ACTIONS", ()))
    if "clouds(" in source:
        for one in (
            "sts",
            "ecs",
            "ecs_instances",
            "ecs_snapshots",
            "ecs_images",
            "ecs_disks",
            "ecs_market",
            "ecs_guests",
            "ecs_native",
        ):
            module = importlib.import_module(f"shared.adapters.{one}")
            for part in vars(module).values():
                needed |= set(getattr(part, "RAM_ACTIONS", ()))
    if "functions()" in source:
        needed |= set(importlib.import_module("shared.adapters.functions").RAM_ACTIONS)
    return {action for action in needed if not action.startswith("ots:")}


def functions() -> list[str]:
    return [entry for entry in entries() if entry != AGENT]


def tables(entry: str) -> set[tuple[str, str]]:
    """(table, action) pairs that the role allows."""
    instance = f"acs:ots:{ACCOUNT.region}:{ACCOUNT.id}:instance/{ACCOUNT.ots_instance}/table/"
    pairs = set()
    for statement in json.loads(policy(entry, ACCOUNT))["Statement"]:
        for resource in statement["Resource"]:
            if resource.startswith("acs:ots:"):
                assert resource.startswith(instance), resource
                pairs |= {(resource.removeprefix(instance), action) for action in statement["Action"]}
    return pairs


def gives_up_to(entry: str) -> set[str]:
    """Functions to which s.yaml sends what this one's asynchronous calls end in."""
    return {
        destination.rpartition("/")[2].removeprefix("understudy-")
        for function in load(ROOT / "s.yaml", {}).functions
        if function.handler == f"{entry}.handler"
        for destination in (function.asynchronous.on_failure, function.asynchronous.on_success)
        if destination
    }


@pytest.mark.parametrize("entry", functions())
def test_a_role_holds_what_its_function_is_wired_to_and_no_more(entry: str) -> None:
    destination = {"fc:InvokeFunction"} if gives_up_to(entry) else set()
    besides_tables = {action for action in actions(entry) if not action.startswith("ots:")}
    assert besides_tables <= wired(entry) | destination
    assert not besides_tables & WITHHELD.get(entry, set())
    if "clouds(" not in (ROOT / "shared" / "wiring" / f"{entry}.py").read_text():
        # Of every port that any place has, a function uses a part: what it needs of them is shown by running.
        assert besides_tables == (wired(entry) - WITHHELD.get(entry, set())) | destination


@pytest.mark.parametrize("entry", functions())
def test_a_role_opens_each_table_as_far_as_its_use_cases_go_and_no_further(entry: str) -> None:
    needed = touched(f"shared.wiring.{entry}") - WITHHELD_TABLES.get(entry, set())
    assert not needed - tables(entry), f"deploy/ram/{entry}.json lacks what its use cases call"
    assert not tables(entry) - needed, f"deploy/ram/{entry}.json allows what no use case calls"


def test_the_agent_may_renew_its_lease_beat_tell_what_it_took_and_read_who_it_is_and_nothing_else() -> None:
    assert tables(AGENT) == touched("understudy.agent.process")
    assert {action for action in actions(AGENT) if not action.startswith("ots:")} == set()
    assert ("heartbeats", "ots:GetRange") in tables(AGENT)  # whether anybody was ever active
    assert {action for table, action in tables(AGENT) if table == "decisions"} == {"ots:PutRow"}  # it deletes none


def test_every_table_of_a_role_exists_and_every_action_is_one_the_adapter_sends() -> None:
    for entry in entries():
        assert {table for table, _ in tables(entry)} <= set(TABLES), entry
        assert {action for _, action in tables(entry)} <= set(RAM_ACTIONS), entry


def test_only_those_write_a_table_who_must() -> None:
    def writers(table: str) -> set[str]:
        reads = {"ots:GetRow", "ots:GetRange"}
        return {entry for entry in entries() if {a for t, a in tables(entry) if t == table} - reads}

    assert writers("leases") == {"watch", "agent"}
    assert writers("failovers") == {"watch"}
    assert writers("heartbeats") == {"agent", "watch"}
    assert writers("certificates") == {"prune"}
    assert writers("policies") == set()  # only `understudy apply`, with the operator's own key


def test_an_instance_whose_name_begins_alike_is_out_of_reach() -> None:
    for entry in entries():
        for statement in json.loads(policy(entry, ACCOUNT))["Statement"]:
            stored = [resource for resource in statement["Resource"] if ":ots:" in resource]
            assert not [resource for resource in stored if "*" in resource], entry


def test_an_instance_name_is_in_lower_case_where_the_policy_wants_it() -> None:
    loud = replace(ACCOUNT, ots_instance="DR-State")
    assert "instance/dr-state/table/leases" in policy("watch", loud)
    assert "DR-State" not in policy("watch", loud)


def test_the_agents_role_is_for_masters_and_the_others_for_functions() -> None:
    assert {entry for entry in entries() if "ecs.aliyuncs.com" in trust(entry)} == {AGENT}
    assert {entry for entry in entries() if "fc.aliyuncs.com" in trust(entry)} == set(functions())


@pytest.mark.parametrize("entry", entries())
def test_no_role_has_a_wildcard_action_or_another_account(entry: str) -> None:
    document = json.loads(policy(entry, ACCOUNT))
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Action"] == ["sts:AssumeRole"]:  # of those whose own trust policy names us
            assert statement["Resource"] == ["acs:ram:*:*:role/understudy*"]
            continue
        if statement["Action"] == ["ecs:DescribeAvailableResource"]:  # about nothing in particular, and only read
            assert statement["Resource"] == ["*"]
            continue
        if statement["Action"] == ["ess:ModifyScalingConfiguration"]:  # RAM knows no narrower resource for it
            assert statement["Resource"] == ["*"]
            continue
        assert all(ACCOUNT.id in resource for resource in statement["Resource"])
    assert "@" not in json.dumps(document)
    assert len(policy(entry, ACCOUNT)) <= 6144


def test_recover_gives_instances_the_roles_that_are_named_and_no_other() -> None:
    assert "ram:PassRole" not in actions("recover")

    named = json.loads(policy("recover", replace(ACCOUNT, instance_roles=("WebRole", "AppRole"))))

    [passing] = [one for one in named["Statement"] if "ram:PassRole" in one["Action"]]
    assert passing["Resource"] == [
        f"acs:ram:*:{ACCOUNT.id}:role/WebRole",
        f"acs:ram:*:{ACCOUNT.id}:role/AppRole",
    ]
    assert Account.of({**VALUES, "UNDERSTUDY_INSTANCE_ROLES": "WebRole, AppRole"}).instance_roles == (
        "WebRole",
        "AppRole",
    )


def test_one_that_creates_cannot_delete() -> None:
    makes = {"ecs:CreateSnapshot", "ecs:CreateSnapshotGroup", "ecs:CreateImage", "ecs:RunInstances"}
    destroys = {"ecs:DeleteSnapshot", "ecs:DeleteImage", "ecs:DeleteDisk", "ecs:DeleteInstance"}
    for entry in entries():
        assert not (actions(entry) & makes and actions(entry) & destroys), entry
    assert {entry for entry in entries() if actions(entry) & destroys} == {"prune"}
    # Rolling back overwrites a disk: only after a snapshot of it, taken by the same function, which cannot delete it.
    rewrites = {"ecs:ResetDisk", "ecs:ReInitDisk", "ecs:ReplaceSystemDisk"}
    assert {entry for entry in entries() if actions(entry) & rewrites} == {"recover"}


def test_recover_can_take_nothing_away() -> None:
    """What it replaces stays: old instances, disks, snapshots, images, addresses. Of its own rows only pointers go."""
    verbs = ("Delete", "Release", "Remove", "Untag", "Unlock", "Cancel")
    in_cloud = {action for action in actions("recover") if not action.startswith("ots:")}
    taking = {action for action in in_cloud if action.partition(":")[2].startswith(verbs)}
    assert taking == {"slb:RemoveBackendServers"}  # which ends a membership, and nothing else
    assert {table for table, action in tables("recover") if "Delete" in action} == {"open_operations", "subjects"}


def test_only_watch_moves_the_name() -> None:
    for service in ("pvtz", "alidns"):
        moves = f"{service}:Update"
        assert {entry for entry in entries() if any(a.startswith(moves) for a in actions(entry))} == {"watch"}


def test_watch_moves_public_names_of_the_domains_that_are_named_and_of_no_other() -> None:
    unnamed = json.loads(policy("watch", replace(ACCOUNT, public_domains=())))
    assert "alidns" not in json.dumps(unnamed)

    account = Account.of({**VALUES, "UNDERSTUDY_PUBLIC_DOMAINS": "Corp.example, other.example"})
    document = json.loads(policy("watch", account))
    [statement] = [one for one in document["Statement"] if "alidns:UpdateDomainRecord" in one["Action"]]
    assert statement["Resource"] == [
        "acs:alidns:*:1:domain/corp.example",
        "acs:alidns:*:1:domain/other.example",
    ]


def test_a_public_name_whose_domain_is_not_named_is_told_before_anything_is_deployed(tmp_path: Path) -> None:
    file = tmp_path / "understudy.yaml"
    assert list(unnamed_domains(ACCOUNT, file)) == []
    file.write_text("version: 1\n")
    [told] = unnamed_domains(ACCOUNT, file)
    assert "cannot be read" in told

    text = (ROOT / "understudy.yaml").read_text()
    for zone, wanted in (("corp.example", 0), ("other.example", 1)):
        name = (
            f"{{zone: {zone}, host: www, ttl: 60s, service: public, values: {{hz-h: 203.0.113.1, hz-i: 203.0.113.2}}}}"
        )
        file.write_text(text.replace("    domain_name:", f"    more_names: [{name}]\n    domain_name:"))
        found = list(unnamed_domains(ACCOUNT, file))
        assert len(found) == wanted, found
        assert all("add it to UNDERSTUDY_PUBLIC_DOMAINS" in one for one in found)


def test_only_recover_changes_instances_and_the_balancer() -> None:
    changing = {"ecs:RunInstances", "ecs:StartInstance", "slb:AddBackendServers"}
    assert {entry for entry in entries() if actions(entry) & changing} == {"recover"}
    assert {entry for entry in entries() if "ecs:StopInstance" in actions(entry)} == {"recover", "watch"}


def test_watch_raises_the_balancers_and_groups_that_are_named_and_nothing_else() -> None:
    raising = {"slb:SetBackendServers", "ess:ModifyScalingGroup"}
    unnamed = replace(ACCOUNT, surged_balancers=(), surged_groups=())
    assert not [one for one in json.loads(policy("watch", unnamed))["Statement"] if raising & set(one["Action"])]

    names = {"UNDERSTUDY_SURGED_BALANCERS": "lb-one,lb-two", "UNDERSTUDY_SURGED_GROUPS": "asg-one"}
    account = Account.of({**VALUES, **names})
    weighs, resizes = (one for one in json.loads(policy("watch", account))["Statement"] if raising & set(one["Action"]))
    assert [one.rpartition("/")[2] for one in weighs["Resource"]] == ["lb-one", "lb-two", "*"]
    assert weighs["Resource"][2].endswith(":instance/*"), "whose weight it is; only in the balancers that are named"
    assert [one.rpartition("/")[2] for one in resizes["Resource"]] == ["asg-one"]


def test_watch_stops_the_masters_that_are_named_and_nothing_else() -> None:
    fences = {"ecs:StopInstance", "ecs:ModifyInstanceAttribute"}
    unnamed = json.loads(policy("watch", replace(ACCOUNT, fenced_instances=())))
    assert not [one for one in unnamed["Statement"] if fences & set(one["Action"])]

    account = Account.of({**VALUES, "UNDERSTUDY_FENCED_INSTANCES": "i-one, i-two"})
    [statement] = [one for one in json.loads(policy("watch", account))["Statement"] if fences & set(one["Action"])]
    assert set(statement["Action"]) == fences
    assert statement["Resource"] == ["acs:ecs:*:1:instance/i-one", "acs:ecs:*:1:instance/i-two"]


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
        "schedule": {"backup", "deadletter"},
        "backup": {"backup", "recover", "deadletter"},
        "prune": {"deadletter"},
        "recover": {"recover", "deadletter"},
        "alarm": {"backup", "recover", "watch-hz-h", "watch-hz-i", "deadletter"},
        "watch": {"deadletter", "hook-*"},
        "command": {"backup", "prune", "recover", "deadletter"},
    }
    for entry in functions():
        assert gives_up_to(entry) <= called[entry], entry


def test_what_a_repository_sends_is_read_off_its_source_with_all_it_calls() -> None:
    assert sends("shared.state.journal", "find", of="Journal") == {("operations", "ots:GetRow")}
    assert sends("shared.state.slots", "put", of="Slots") == {("slots", "ots:BatchWriteRow")}
    assert sends("shared.state.policies", "active_version", of="Policies") == {("controls", "ots:GetRow")}
    # settled: written, and read back when the answer was lost
    assert sends("shared.state.failovers", "save", of="Failovers") == {
        ("failovers", "ots:PutRow"),
        ("failovers", "ots:GetRow"),
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


# Other accounts -----------------------------------------------------------------------------------------------------


def test_another_account_lets_in_the_functions_that_assume_its_role_and_nobody_else() -> None:
    [statement] = json.loads(trust_elsewhere(ACCOUNT))["Statement"]

    assert set(ENTERING) == {entry for entry in functions() if "sts:AssumeRole" in actions(entry)}
    assert statement["Principal"] == {
        "RAM": [f"acs:ram::{ACCOUNT.id}:role/understudy-{entry}" for entry in ("backup", "prune")]
    }


def test_the_commands_for_another_account_speak_of_that_account_only() -> None:
    script = "\n".join(commands_elsewhere(ACCOUNT, "2000000000000002"))

    assert "CreateRole --RoleName understudy " in script
    assert "acs:ecs:*:2000000000000002:disk/*" in script
    assert f"acs:ecs:*:{ACCOUNT.id}" not in script


@pytest.mark.parametrize("number", ["branch", ACCOUNT.id])
def test_what_is_no_other_account_is_refused(
    number: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**dict.fromkeys(REQUIRED, "x"), "ALIBABA_CLOUD_ACCOUNT_ID": ACCOUNT.id}.items():
        monkeypatch.setenv(name, value)

    assert main(["--account", number]) == 2
    assert "give the number of another account than ours" in capsys.readouterr().err
