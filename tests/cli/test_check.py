"""`check`: what a policy needs, what it costs, how old a point can get, and each refusal with what would fit."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.domain.ids import DiskId
from shared.wiring import foundation
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    copy = tmp_path / "understudy.yaml"
    copy.write_text((ROOT / "understudy.yaml").read_text())
    (tmp_path / "prices.yaml").write_text((ROOT / "prices.yaml").read_text())
    return copy


def edit(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)


def test_it_says_how_old_a_point_can_get_and_why(run: Run, file: Path) -> None:
    ended = run("check", "--file", str(file))

    assert ended.code == 0
    assert "applications is never older than 1 h 12 min, because the schedule leaves 1 h (from " in ended.out
    assert "a tick comes every 5 min and one may be lost (10 min)" in ended.out
    assert "a snapshot takes at most 2 min to become usable (assumed)" in ended.out


def test_it_says_what_a_month_costs_with_its_assumptions(run: Run, file: Path) -> None:
    ended = run("check", "--file", str(file))

    assert "1.53" in ended.out  # 88.2 GiB at 0.0173
    assert "(every 30 min)" in ended.out
    assert "at the prices of 2026-11-20. Assumed: 60% of a disk used" in ended.out
    assert "prices that are assumptions: copy_gib, store_10000_write_units" in ended.out


def test_it_says_what_a_month_of_each_pair_costs_and_what_of_it_another_pair_shares(run: Run, file: Path) -> None:
    """64.29 for two watches, 7.17 for the store; the second pair of the sites pays for its store."""
    text = file.read_text()
    pair = text[text.index("  - name: control") :]
    other = pair.replace("name: control", "name: other").replace("host: master", "host: other")
    file.write_text(text + other.replace("i-master-", "i-other-"))

    ended = run("check", "--file", str(file), "--accept-doubts")

    first, second = (
        line.split()
        for line in ended.out.splitlines()
        if line.strip().startswith(("pair control ", "pair other ")) and "DNS" in line
    )
    assert {"hz-h,", "hz-i", "64.29", "7.17", "71.46"} <= {*first}
    assert {"of", "pairs", "0.00", "7.17"} <= {*second}
    assert "Another pair of the same sites costs its store only" in ended.out


def test_the_prices_are_the_operators(run: Run, file: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((tmp_path / "prices.yaml").read_text().replace("value: 0.0173", "value: 17.3"))

    ended = run("check", "--file", str(file), "--prices", str(mine))

    assert "1,525.86" in ended.out


def test_without_prices_it_checks_all_the_same_and_says_so(run: Run, file: Path, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").unlink()

    ended = run("check", "--file", str(file))

    assert ended.code == 0
    assert "no prices.yaml beside the policy file: costs are not estimated" in ended.out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("dated: 2026-11-20", "dated: soon", "prices.yaml: dated: 'soon' is not a date. Write the day of the prices"),
        (
            "value: 75",
            "",
            "prices.function_units_per_10000_invocations.value: is missing",
        ),
    ],
)
def test_a_file_of_prices_that_is_wrong_ends_with_2(
    run: Run, file: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    edit(tmp_path / "prices.yaml", {old: new})

    ended = run("check", "--file", str(file))

    assert ended.code == 2
    assert says in ended.err


def test_a_file_of_prices_that_is_named_and_not_there_ends_with_2(run: Run, file: Path, tmp_path: Path) -> None:
    ended = run("check", "--file", str(file), "--prices", str(tmp_path / "none.yaml"))

    assert ended.code == 2
    assert "none.yaml: there is no such file" in ended.err


@pytest.mark.parametrize("command", ["check", "apply"])
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "keep: {hourly: 24, daily: 7}",
            "keep: {forever: true}",
            "protection applications: keep grows without end, but ",
            id="for ever",
        ),
        pytest.param(
            "rpo_target: 75m",
            "rpo_target: 70m",
            "that is more than rpo_target 1 h 10 min. What fits: rpo_target: 72m, or every: 48m",
            id="a target that the schedule alone would keep",
        ),
        pytest.param(
            "time_zone: Asia/Shanghai",
            "time_zone: Europe/Berlin",
            "its schedules leave 2 h between two points (once: from ",
            id="a night of daylight saving",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_what_would_fit(
    run: Run, connected: Local, file: Path, command: str, old: str, new: str, says: str
) -> None:
    edit(file, {old: new})

    refused = run(command, "--file", str(file))

    assert refused.code == 1
    assert f"understudy.yaml: {'protection applications: ' if not says.startswith('protection') else ''}" in refused.err
    assert says in refused.err
    assert "What fits: " in refused.err
    assert "add --accept-doubts" in refused.err
    assert connected.run(lambda: connected.cloud.tablestore.tables("understudy")) in ([], (), {}, set())


def test_snapshots_that_stand_in_the_cloud_take_room(run: Run, connected: Local, file: Path) -> None:
    edit(file, {"keep: {hourly: 24, daily: 7}": "keep: {days: 10}"})
    assert run("check", "--cloud", "--file", str(file)).code == 0
    snapshots = EcsSnapshots(endpoint=Endpoint("cn-hangzhou", connected.url), credentials=foundation.credentials)
    for number in range(16):
        snapshots.create(DiskId("d-app-h1"), name=f"by-hand-{number}", tags={}, token=f"by-hand-{number}")
        if number % 8 == 7:
            connected.advance(300)

    refused = run("check", "--cloud", "--file", str(file))

    assert refused.code == 1
    assert "keep holds up to 241 points, but disk d-app-h1 takes 256 snapshots" in refused.err
    assert "16 are taken by snapshots that are not ours" in refused.err
    assert run("check", "--file", str(file)).code == 0, "offline, nobody can know"


def test_with_the_cloud_it_counts_the_real_disks(run: Run, connected: Local, file: Path) -> None:
    ended = run("check", "--cloud", "--file", str(file))

    assert ended.code == 0
    assert "each protection has" not in ended.out
    assert "18 GiB" in ended.out  # one disk of 20 GiB
