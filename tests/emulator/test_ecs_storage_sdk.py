"""Copies, locks and policies through the official SDK: its spellings and shapes are the ones that count."""

from collections.abc import Iterator

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

from emulator.testing import Local, mock_aliyun

HERE, THERE = "cn-hangzhou", "cn-shanghai"


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(regions=(HERE, THERE), random_seed=4) as cloud:
        yield cloud


def client(local: Local, region: str) -> Client:
    key, secret = "testid", "testsecret"
    return Client(
        Config(
            endpoint=local.endpoints[region], protocol="http", region_id=region, access_key_id=key,
            access_key_secret=secret,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def snapshot(local: Local) -> str:
    """An accomplished one of a disk that was attached once."""

    def prepare() -> str:
        disks = local.cloud.ecs.disks
        disk = disks.add(kind="data", category="cloud_essd", size_gib=20, zone=f"{HERE}-h", id="d-sdk")
        disk.first_instance = "i-once"
        return local.cloud.ecs.snapshots.create(disk.id).id

    made = local.run(prepare)
    local.advance(60)
    return made


def test_a_copy_is_asked_for_here_and_seen_there(local: Local, snapshot: str) -> None:
    request = ecs.CopySnapshotRequest(
        region_id=HERE, snapshot_id=snapshot, destination_region_id=THERE, destination_snapshot_name="copy",
        destination_snapshot_description="a copy", tag=[ecs.CopySnapshotRequestTag(key="k", value="v")],
    )  # fmt: skip
    copy = client(local, HERE).copy_snapshot(request).body.snapshot_id
    local.advance(60)

    listed = client(local, THERE).describe_snapshots(ecs.DescribeSnapshotsRequest(region_id=THERE)).body
    [seen] = listed.snapshots.snapshot
    assert (seen.snapshot_id, seen.status, seen.source_snapshot_id) == (copy, "accomplished", snapshot)
    assert [(tag.tag_key, tag.tag_value) for tag in seen.tags.tag] == [("k", "v")]


def test_a_policy_is_made_with_small_letters_and_runs(local: Local, snapshot: str) -> None:
    assert snapshot
    there = client(local, HERE)
    made = there.create_auto_snapshot_policy(
        ecs.CreateAutoSnapshotPolicyRequest(
            region_id=HERE, time_points='["9"]', repeat_weekdays='["1"]', retention_days=-1,
            auto_snapshot_policy_name="nightly",
        )
    ).body.auto_snapshot_policy_id  # fmt: skip
    there.apply_auto_snapshot_policy(
        ecs.ApplyAutoSnapshotPolicyRequest(region_id=HERE, auto_snapshot_policy_id=made, disk_ids='["d-sdk"]')
    )
    local.advance(3_700)

    [policy] = there.describe_auto_snapshot_policy_ex(
        ecs.DescribeAutoSnapshotPolicyExRequest(region_id=HERE)
    ).body.auto_snapshot_policies.auto_snapshot_policy
    assert (policy.auto_snapshot_policy_name, policy.disk_nums, policy.retention_days) == ("nightly", 1, -1)
    automatic = ecs.DescribeSnapshotsRequest(region_id=HERE, snapshot_type="auto")
    assert len(there.describe_snapshots(automatic).body.snapshots.snapshot) == 1


def test_a_lock_and_the_usage_read_as_the_sdk_reads_them(local: Local, snapshot: str) -> None:
    there = client(local, HERE)
    info = there.lock_snapshot(
        ecs.LockSnapshotRequest(
            region_id=HERE, snapshot_id=snapshot, lock_mode="compliance", lock_duration=1, cool_off_period=0
        )
    ).body.locked_snapshot_info
    assert (info.lock_status, info.lock_duration) == ("compliance", 1)
    listed = there.describe_locked_snapshots(
        ecs.DescribeLockedSnapshotsRequest(region_id=HERE, snapshot_ids=[snapshot])
    ).body
    assert [lock.snapshot_id for lock in listed.locked_snapshots_info] == [snapshot]
    usage = there.describe_snapshots_usage(ecs.DescribeSnapshotsUsageRequest(region_id=HERE)).body
    assert usage.snapshot_count >= 1
