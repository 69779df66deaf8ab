"""Counts, bytes and growth of snapshots as the API tells them, and that telling stays cheap."""

import json
import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.ecs.blocks import BLOCK, MIB
from tests.emulator.two_regions import THERE, TwoRegions


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def total(stage: TwoRegions) -> int:
    size: int = stage.ask("DescribeSnapshotsUsage")["SnapshotSize"]
    return size


def links(stage: TwoRegions, **given: str) -> dict[str, tuple[int, int]]:
    found = stage.ask("DescribeSnapshotLinks", given)["SnapshotLinks"]["SnapshotLink"]
    return {link["SourceDiskId"]: (link["TotalCount"], link["TotalSize"]) for link in found}


def test_usage_is_the_sum_of_the_chains(stage: TwoRegions) -> None:
    stage.write("d-data", 4)
    first = stage.snapshot()
    stage.write("d-data", 1, fill=b"y")
    stage.snapshot()
    stage.snapshot("d-old")

    assert links(stage) == {"d-data": (2, 5 * MIB), "d-old": (1, 0)}
    assert stage.ask("DescribeSnapshotsUsage") == {"SnapshotCount": 3, "SnapshotSize": 5 * MIB}
    stage.ask("DeleteSnapshot", SnapshotId=first)
    assert links(stage) == {"d-data": (1, 4 * MIB), "d-old": (1, 0)}  # what it shared went to the next one
    assert total(stage) == 4 * MIB


def test_a_chain_tells_whose_it_is_even_when_the_disk_is_gone(stage: TwoRegions) -> None:
    stage.snapshot()
    [link] = stage.ask("DescribeSnapshotLinks", InstanceId="i-app")["SnapshotLinks"]["SnapshotLink"]
    assert (link["InstanceName"], link["SourceDiskSize"], link["SourceDiskType"]) == ("app", 40, "data")
    stage.advance(60)
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-data")
    stage.advance(90)
    stage.ask("DeleteDisk", DiskId="d-data")

    assert list(links(stage)) == ["d-data"]


def test_chains_are_found_by_disk_and_by_id(stage: TwoRegions) -> None:
    stage.snapshot("d-data")
    stage.snapshot("d-sys")

    assert list(links(stage, DiskIds='["d-sys"]')) == ["d-sys"]
    assert list(links(stage, SnapshotLinkIds='["d-data", "d-nobody"]')) == ["d-data"]
    assert links(stage, DiskIds="[]") == {}
    assert stage.refusal("DescribeSnapshotLinks", DiskIds="d-sys") == (403, "InvalidDiskIds.Malformed")
    assert stage.refusal("DescribeSnapshotLinks", DiskIds=json.dumps(["d"] * 101)) == (400, "InvalidParameter")


def test_growth_is_told_period_by_period(stage: TwoRegions) -> None:
    stage.write("d-data", 2)
    made = stage.snapshot()
    stage.advance(90)
    stage.ask("DeleteSnapshot", SnapshotId=made)
    stage.advance(90)

    span = {"StartTime": "2026-03-02T00:00:00Z", "EndTime": "2026-03-02T00:05:00Z"}
    points = stage.ask("DescribeSnapshotMonitorData", span)["MonitorData"]["DataPoint"]

    assert points == [
        {"TimeStamp": "2026-03-02T00:01:00Z", "Size": 2 * MIB},
        {"TimeStamp": "2026-03-02T00:02:00Z", "Size": 0},
        {"TimeStamp": "2026-03-02T00:03:00Z", "Size": 0},
    ]


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"StartTime": "today"}, (400, "InvalidStartTime.Malformed")),
        ({"EndTime": "2026-03-01T00:00:00Z"}, (400, "InvalidEndTime.Malformed")),
        ({"EndTime": "2026-03-09T00:00:00Z"}, (400, "InvalidParameter.TooManyDataQueried")),
        ({"Period": "61"}, (400, "InvalidPeriod.ValueNotSupported")),
        ({"Category": "Flash"}, (400, "InvalidParameter")),
        ({"EndTime": ""}, (400, "MissingParameter")),
    ],
)
def test_spans_that_are_refused(stage: TwoRegions, changed: dict[str, str], answer: tuple[int, str]) -> None:
    span = {"StartTime": "2026-03-02T00:00:00Z", "EndTime": "2026-03-02T00:05:00Z"}

    assert stage.refusal("DescribeSnapshotMonitorData", {**span, **changed}) == answer


STEPS = ["write", "take", "delete", "fail", "roll back", "copy", "time"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=25))
def test_the_bill_always_agrees_with_the_layers(steps: list[tuple[str, int]]) -> None:
    stage = TwoRegions()
    ecs, there = stage.ecs, stage.cloud.realm(stage.cloud.account, THERE).ecs
    volume, snapshots = ecs.disks.find("d-data").volume, ecs.snapshots
    for what, number in steps:
        held = [s for s in snapshots.shelf if s.status == "accomplished"]
        match what:
            case "write":
                volume.write(number * BLOCK, bytes([number + 1]) * BLOCK)
            case "take" | "fail" if snapshots.unfinished("d-data") < 10:
                if what == "fail":
                    snapshots.fail_next("d-data")
                snapshots.create("d-data")
            case "delete" if held:
                chosen = held[number % len(held)]
                if not chosen.copying:
                    snapshots.delete(chosen.id)
            case "roll back" if held:
                volume.roll_back(held[number % len(held)].layer)
            case "copy" if held:
                snapshots.copies.start(held[number % len(held)], there)
            case _:
                stage.advance(7)
        for region in (ecs, there):
            chains = region.snapshots.chains
            layers = [s.layer for s in region.snapshots.shelf]
            assert chains.bytes == sum(layer.bytes_owned for layer in layers)
            assert chains.bytes == sum(chain.bytes for chain in chains.shelf)
            assert sum(chain.unfinished for chain in chains.shelf) == sum(
                s.status == "progressing" for s in region.snapshots.shelf
            )


def fleet(disks: int) -> TwoRegions:
    """Each disk with as many snapshots as its quota nearly allows."""
    stage = TwoRegions()
    for _ in range(disks):
        disk = stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h")
        disk.first_instance = "i-app"
        for _ in range(250):
            stage.ecs.snapshots.take(disk)
    stage.advance(60)
    return stage


def work(run: Callable[[], object]) -> int:
    """How many Python functions are called: what a clock would tell, without the machine's mood."""
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return counted


def test_ten_times_as_many_snapshots_make_no_call_more_work() -> None:
    """A list without paging parameters is not among them: its TotalCount has to be counted."""
    small, large = fleet(2), fleet(20)
    disks = {stage: next(d.id for d in stage.ecs.disks.shelf if d.id.startswith("d-bp1")) for stage in (small, large)}
    snapshots = {stage: stage.ask("CreateSnapshot", DiskId=disks[stage])["SnapshotId"] for stage in (small, large)}

    def grown(action: str, **given: Callable[[TwoRegions], object] | object) -> float:
        asked = [
            work(
                lambda stage=stage: stage.ask(  # type: ignore[misc]
                    action, {name: value(stage) if callable(value) else value for name, value in given.items()}
                )
            )
            for stage in (small, large)
        ]
        return asked[1] / asked[0]

    assert grown("DescribeSnapshots", MaxResults=10) < 1.2
    assert grown("DescribeSnapshots", MaxResults=10, DiskId=disks.__getitem__) < 1.2
    assert grown("DescribeSnapshots", SnapshotIds=lambda stage: json.dumps([snapshots[stage]]), MaxResults=10) < 1.2
    assert grown("DescribeSnapshotLinks", MaxResults=10, DiskIds=lambda stage: json.dumps([disks[stage]])) < 1.2
    assert grown("DescribeSnapshotsUsage") < 1.2
    assert grown("CreateSnapshot", DiskId=disks.__getitem__) < 1.2
    assert grown("DeleteSnapshot", SnapshotId=snapshots.__getitem__) < 1.2
