"""A policy against the real instances: other accounts, conditions in words, two protections that freeze one guest."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.testing import Local, mock_aliyun
from shared.domain.ids import InstanceId
from shared.domain.image_versions import versions_held
from shared.domain.policy import Selection, Where
from tests.cli.conftest import FLEET, Run
from tests.usecases.image_world import DB, WEB, ImageWorld, image_policy
from understudy.cli.against_cloud import coverage, in_words

OTHER = "2000000000000002"
OPERATOR = ("li-key", "li-secret")
NEIGHBOUR = f"""
ram:
  users:
    - name: li
      access_keys: [{{id: {OPERATOR[0]}, secret: {OPERATOR[1]}}}]
      policies: [{{Version: "1", Statement: [{{Effect: Allow, Action: "*", Resource: "*"}}]}}]
elsewhere:
  - account: "{OTHER}"
    zones: [cn-hangzhou-h]
    vpc: {{id: vpc-b, cidr: 10.9.0.0/16}}
    vswitches: [{{id: vsw-b, zone: cn-hangzhou-h, cidr: 10.9.1.0/24}}]
    security_groups: [{{id: sg-b}}]
    images: [{{id: m-b, name: b, system_disk_gib: 20}}]
    instances:
      - {{id: i-branch, image: m-b, vswitch: vsw-b, address: 10.9.1.11, state: Running, tags: {{role: branch}},
         system_disk: {{id: d-branch, size_gib: 20, category: cloud_essd}}}}
    ram:
      roles:
        - name: understudy
          policies: [{{Version: "1", Statement: [{{Effect: Allow, Action: "ecs:*", Resource: "*"}}]}}]
          trust: {{Version: "1", Statement: [{{Effect: Allow, Action: "sts:AssumeRole",
            Principal: {{RAM: ["acs:ram::1000000000000001:root"]}}}}]}}
"""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """Home's instances, and one of a neighbour."""
    seed = tmp_path / "two-accounts.yaml"
    seed.write_text(FLEET + NEIGHBOUR)
    with mock_aliyun(seed=seed) as cloud:
        yield cloud


@pytest.fixture
def li(connected: Local, monkeypatch: pytest.MonkeyPatch) -> Local:
    """An operator with the key of a RAM user: an account's own key may assume no role."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", OPERATOR[0])
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", OPERATOR[1])
    return connected


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "understudy.yaml"


def policy(role: str = "understudy", select: str = "{tags: {role: branch}}") -> str:
    return f"""
version: 1
region: cn-hangzhou
time_zone: Asia/Shanghai
accounts: [{{name: branch, role: 'acs:ram::{OTHER}:role/{role}'}}]
protections:
  - name: theirs
    account: branch
    select: {select}
    schedules: [{{name: nightly, hours: [2]}}]
    keep: {{days: 5}}
    rpo_target: 25h
"""


@pytest.mark.parametrize("command", [("check", "--cloud"), ("apply",)], ids=["check", "apply"])
def test_the_instances_of_another_account_are_looked_for_there(
    run: Run, li: Local, file: Path, command: tuple[str, ...]
) -> None:
    file.write_text(policy(select="{ids: [i-app-h1]}"))
    refused = run(*command, "--file", str(file))
    file.write_text(policy())
    accepted = run(*command, "--file", str(file))

    assert refused.code == 2
    assert "protections[0].select: i-app-h1 matches no instance of branch/cn-hangzhou" in refused.err
    assert (accepted.code, accepted.err) == (0, "")


@pytest.mark.parametrize("command", [("check", "--cloud"), ("apply",)], ids=["check", "apply"])
def test_an_account_that_does_not_let_the_operator_in_is_named_and_does_not_stop_the_policy(
    run: Run, li: Local, file: Path, command: tuple[str, ...]
) -> None:
    file.write_text(policy(role="understudy-gone"))

    ended = run(*command, "--file", str(file))

    assert ended.code == 0
    told = (
        f"not looked at: branch/cn-hangzhou: account branch: role acs:ram::{OTHER}:role/understudy-gone does not exist"
    )
    assert told in ended.out
    assert "every selection matches" not in ended.out


@pytest.mark.parametrize("command", [("check", "--cloud"), ("apply",)], ids=["check", "apply"])
def test_two_protections_that_freeze_one_guest_by_different_words_are_refused(
    run: Run, li: Local, file: Path, command: tuple[str, ...]
) -> None:
    part = """
  - name: {name}
    select: {select}
    schedules: [{{name: nightly, hours: [2]}}]
    keep: {{days: 5}}
    rpo_target: 25h
    freeze: {{before: fsfreeze -f /data, after: fsfreeze -u /data, within: 30s}}
"""
    head = "version: 1\nregion: cn-hangzhou\ntime_zone: Asia/Shanghai\nprotections:"
    file.write_text(
        head
        + part.format(name="by-tag", select="{tags: {role: app}}")
        + part.format(name="by-id", select="{ids: [i-app-h1]}")
    )
    assert run("check", "--file", str(file)).code == 0, "offline, nobody can know"

    ended = run(*command, "--file", str(file))

    assert ended.code == 2
    assert (
        "understudy.yaml: protections[1].freeze: protection by-tag freezes i-app-h1 as well (1 instance)" in ended.err
    )
    assert "Exclude them in one of the two" in ended.err


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(tags={"role": "app"}), "role=app"),
        (Selection(ids=(InstanceId("i-1"), InstanceId("i-2"))), "i-1 or i-2"),
        (
            Selection(tags={"role": "app"}, ids=(InstanceId("i-1"),), exclude=(InstanceId("i-9"),)),
            "role=app or i-1 without i-9",
        ),
        (
            Selection(where=Where(tags={"tier": ("gold", "silver")}, none=(Where(tags={"skip": ("*",)}),))),
            "tier=gold|silver and not (skip=*)",
        ),
        (
            Selection(where=Where(any=(Where(tags={"a": ("1",)}), Where(tags={"b": ("2",), "c": ("3",)})))),
            "(a=1 or b=2 and c=3)",
        ),
    ],
)
def test_a_selection_that_matches_nothing_is_told_with_all_its_conditions(selection: Selection, words: str) -> None:
    assert in_words(selection) == words


def test_snapshots_of_images_are_counted_once_whether_they_stand_already_or_will() -> None:
    system_only = replace(DB, schedules=(), keep=1)
    world = ImageWorld(image_policy(replace(WEB, schedules=(), publish_to=(), keep=1), system_only))
    covering = world.policies.active()[1]
    before = {one.disk: one for disks in coverage(covering, world.clouds).values() for one in disks}
    for _ in range(2):
        world.image_now()
    after = {one.disk: one for disks in coverage(covering, world.clouds).values() for one in disks}

    web = [one for one in after.values() if one.instance == "i-web-1"]
    assert {one.images for one in web} == {("web",)}
    assert {one.foreign for one in web} == {before[web[0].disk].foreign}, "within what the rule leaves room for"

    for _ in range(3):
        world.image_now()
    more = [one for disks in coverage(covering, world.clouds).values() for one in disks if one.instance == "i-web-1"]
    assert {one.foreign for one in more} == {before[web[0].disk].foreign + 5 - versions_held(covering.images[0])}

    database = [one for one in after.values() if one.instance == "i-db"]
    assert sorted(one.images for one in database) in ([("db",)], [(), ("db",)]), "of the system disk only"
