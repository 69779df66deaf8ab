"""`understudy coverage` over the wire: as a table and as JSON."""

import json
from pathlib import Path

import pytest

from emulator.ecs.policies import Settings
from emulator.testing import Local
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.config import policy_file
from shared.domain.ids import DiskId
from shared.state.policies import Policies
from shared.wiring import foundation
from tests.cli.conftest import Run

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"


@pytest.fixture
def active(connected: Local, run: Run, tmp_path: Path) -> Local:
    """A policy that covers one of three instances; a native policy and a snapshot by hand on its disk."""
    file = tmp_path / "understudy.yaml"
    file.write_text(EXAMPLE.read_text())
    run("apply", "--file", str(file), "--accept-doubts")
    policy = policy_file.load(file)
    Policies(foundation.store()).append(
        policy.__class__(
            region=policy.region,
            protections=tuple(one for one in policy.protections if one.select.tags.get("role") == "app"),
            rebuilds=(),
            pairs=(),
            prune=policy.prune,
        )
    )

    def others() -> None:
        policies = connected.cloud.ecs.snapshots.policies
        days = [str(day) for day in range(1, 8)]
        made = policies.create(Settings(name="nightly", hours=["2"], weekdays=days, retention_days=7), tags={})
        policies.apply(made.id, ["d-app-h1"])

    connected.run(others)
    snapshots = EcsSnapshots(endpoint=Endpoint("cn-hangzhou", connected.url), credentials=foundation.credentials)
    snapshots.create(DiskId("d-app-h1"), name="by-hand", tags={}, token="by-hand")
    return connected


def test_without_a_policy_there_is_nothing_to_compare_with(connected: Local, run: Run) -> None:
    ended = run("coverage")

    assert ended.code == 1
    assert "understudy apply" in ended.err


def test_it_shows_what_is_protected_by_nothing_and_who_else_takes_snapshots(active: Local, run: Run) -> None:
    ended = run("coverage")

    assert ended.code == 0, ended.err
    assert "no protection selects it: its tags are role=master" in ended.out
    assert "1 of 1 in the quota of 256" in ended.out
    assert "(nightly), at 02 (UTC+8), kept 7 days, is on 1 disks, 1 of them covered by Understudy too" in ended.out
    assert "2 of 3 instances and 2 of 3 disks are protected by nothing" in ended.out


def test_where_all_is_protected_it_says_so_plainly(connected: Local, run: Run) -> None:
    assert run("apply", "--file", str(EXAMPLE)).code == 0

    assert "all of 3 instances and 3 disks that are shown are protected under policy version 1" in run("coverage").out


def test_as_json_it_is_one_object(active: Local, run: Run) -> None:
    found = json.loads(run("coverage", "--json").out)

    assert (found["format"], found["quota"]) == ("understudy coverage 1", 256)
    assert sorted(one["what"] for one in found["items"]) == [
        *["disk"] * 3,
        *["instance"] * 2,
        "native_policy",
    ]
    [shared] = [one for one in found["items"] if one.get("disk") == "d-app-h1"]
    assert shared["foreign"]["count"] == 1
    assert found["totals"]["instances_uncovered"] == 2


def test_check_against_the_cloud_tells_it_in_a_few_lines(active: Local, run: Run, tmp_path: Path) -> None:
    ended = run("check", "--cloud", "--accept-doubts", "--file", str(tmp_path / "understudy.yaml"))

    assert ended.code == 0, ended.err
    assert "note: cn-hangzhou: 1 snapshots that Understudy did not make stand on 1 covered disks" in ended.out
    assert "takes snapshots of 1 disks that this policy covers too" in ended.out
