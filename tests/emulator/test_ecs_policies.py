"""The provider's own snapshot policies, on the emulated calendar. The stage starts on Monday, 08:00 of UTC+8."""

import json

import pytest

from tests.emulator.two_regions import HERE, THERE, TwoRegions

HOUR, DAY = 3_600, 86_400
EVERY_DAY = json.dumps([str(day) for day in range(1, 8)])
EVERY_HOUR = json.dumps([str(hour) for hour in range(24)])


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def policy(stage: TwoRegions, *disks: str, hours: str = EVERY_HOUR, **more: object) -> str:
    given = {"regionId": HERE, "timePoints": hours, "repeatWeekdays": EVERY_DAY, "retentionDays": -1, **more}
    made: str = stage.ask("CreateAutoSnapshotPolicy", given)["AutoSnapshotPolicyId"]
    if disks:
        apply(stage, made, *disks)
    return made


def apply(stage: TwoRegions, made: str, *disks: str) -> None:
    stage.ask("ApplyAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made, diskIds=json.dumps(disks))


def automatic(stage: TwoRegions, disk: str = "d-data") -> list[dict[str, object]]:
    found: list[dict[str, object]] = stage.ask("DescribeSnapshots", DiskId=disk, SnapshotType="auto", MaxResults=100)[
        "Snapshots"
    ]["Snapshot"]
    return found


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"timePoints": '["24"]'}, (403, "ParameterInvalid"), id="no such hour"),
        pytest.param({"timePoints": "[1]"}, (403, "ParameterInvalid"), id="numbers instead of texts"),
        pytest.param({"timePoints": "[]"}, (403, "ParameterInvalid"), id="never"),
        pytest.param({"repeatWeekdays": '["0"]'}, (403, "ParameterInvalid"), id="no such day"),
        pytest.param({"retentionDays": 0}, (403, "ParameterInvalid"), id="no retention"),
        pytest.param({"retentionDays": 65_536}, (403, "ParameterInvalid"), id="one day too many, unlike by hand"),
        pytest.param({"retentionDays": ""}, (400, "MissingParameter"), id="retention is mandatory"),
        pytest.param({"regionId": "cn-atlantis"}, (403, "ParameterInvalid"), id="nowhere"),
        pytest.param({"regionId": ""}, (400, "MissingParameter"), id="no region"),
        pytest.param({"autoSnapshotPolicyName": "1"}, (400, "InvalidSnapshotPolicyName.Malformed"), id="name"),
        pytest.param(
            {"EnableCrossRegionCopy": "true"}, (403, "InvalidParameter.TargetCopyRegions"), id="a copy to where?"
        ),
        pytest.param({"TargetCopyRegions": f'["{HERE}"]'}, (403, "InvalidParameter.TargetCopyRegions"), id="to here"),
        pytest.param(
            {"TargetCopyRegions": f'["{THERE}", "cn-beijing"]'}, (403, "InvalidParameter.TargetCopyRegions"), id="two"
        ),
        pytest.param(
            {"CopiedSnapshotsRetentionDays": 0},
            (403, "InvalidParameter.CopiedSnapshotsRetentionDays"),
            id="copies kept for no time",
        ),
        pytest.param({"TimePoints": '["1"]'}, (400, "UnsupportedParameter"), id="capital letters"),
    ],
)  # fmt: skip
def test_policies_that_are_refused(stage: TwoRegions, given: dict[str, object], answer: tuple[int, str]) -> None:
    full = {"regionId": HERE, "timePoints": '["1"]', "repeatWeekdays": '["1"]', "retentionDays": -1}

    assert stage.refusal("CreateAutoSnapshotPolicy", {**full, **given}) == answer


def test_a_region_holds_a_hundred_policies(stage: TwoRegions) -> None:
    for _ in range(100):
        policy(stage)

    assert stage.refusal(
        "CreateAutoSnapshotPolicy", regionId=HERE, timePoints='["1"]', repeatWeekdays='["1"]', retentionDays=1
    ) == (403, "AutoSnapshotPolicy.QuotaExceed")


def test_hours_are_utc_plus_8_everywhere(stage: TwoRegions) -> None:
    policy(stage, "d-data", hours='["10"]')

    stage.advance(2 * HOUR - 1)
    assert automatic(stage) == []
    stage.advance(1)
    [made] = automatic(stage)
    assert made["CreationTime"] == "2026-03-02T02:00:00Z"
    assert str(made["SnapshotName"]).startswith("auto2.0_20260302_")
    stage.advance(DAY)
    assert len(automatic(stage)) == 2


def test_weekdays_are_utc_plus_8_too(stage: TwoRegions) -> None:
    policy(stage, "d-data", hours='["3"]', repeatWeekdays='["2"]')  # Tuesday 03:00 there is Monday 19:00 UTC

    stage.advance(19 * HOUR)

    [made] = automatic(stage)
    assert made["CreationTime"] == "2026-03-02T19:00:00Z"


def test_a_run_is_skipped_while_the_previous_snapshot_is_under_way(stage: TwoRegions) -> None:
    policy(stage, "d-old")
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)  # the first one cannot leave its zone

    stage.advance(3 * HOUR)

    assert len(automatic(stage, "d-old")) == 1
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    stage.advance(HOUR)
    assert len(automatic(stage, "d-old")) == 2


def test_also_a_disk_that_may_have_several_snapshots_under_way_has_one_automatic_one(stage: TwoRegions) -> None:
    apply(stage, policy(stage), "d-data")
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)  # nothing that is taken there gets on
    stage.advance(3 * HOUR)
    assert len(automatic(stage)) == 1
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    stage.advance(HOUR)
    assert len(automatic(stage)) == 2


def test_a_manual_snapshot_under_way_does_not_keep_such_a_disk_from_its_automatic_one(stage: TwoRegions) -> None:
    apply(stage, policy(stage), "d-data")
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    stage.snapshot("d-data")
    stage.advance(HOUR)
    assert len(automatic(stage)) == 1


def test_nothing_is_taken_while_the_instance_stops(stage: TwoRegions) -> None:
    policy(stage, "d-data")
    stage.advance(HOUR - 2)
    stage.ask("StopInstance", InstanceId="i-app")

    stage.advance(3)

    assert automatic(stage) == []


def test_the_oldest_of_a_thousand_makes_room(stage: TwoRegions) -> None:
    disk = stage.ecs.disks.find("d-data")
    old = [stage.ecs.snapshots.take(disk, type="auto").id for _ in range(1_000)]
    held = stage.ecs.snapshots.find(old[0])
    held.is_shared = True
    stage.advance(60)
    policy(stage, "d-data")

    stage.advance(HOUR)

    chains = stage.ecs.snapshots.chains
    assert chains.count("d-data", "auto") == 1_000
    assert stage.show(old[0]) is not None
    assert stage.show(old[1]) is None
    assert stage.snapshot()  # they do not count against the manual quota


def test_their_retention_ends_by_itself(stage: TwoRegions) -> None:
    policy(stage, "d-data", hours='["9"]', retentionDays=2)

    stage.advance(5 * DAY)

    assert len(automatic(stage)) == 2


def test_applying_replaces_unless_the_account_was_upgraded(stage: TwoRegions) -> None:
    first, second, third = policy(stage, "d-data"), policy(stage), policy(stage)
    apply(stage, second, "d-data")

    listed = stage.ask("DescribeAutoSnapshotPolicyAssociations", DiskId="d-data")
    assert listed["AutoSnapshotPolicyAssociations"]["AutoSnapshotPolicyAssociation"] == [
        {"AutoSnapshotPolicyId": second, "DiskId": "d-data"}
    ]
    stage.ecs.snapshots.policies.per_disk = 2
    apply(stage, first, "d-data")
    given = {"regionId": HERE, "autoSnapshotPolicyId": third, "diskIds": '["d-data"]'}
    assert stage.refusal("ApplyAutoSnapshotPolicy", given) == (403, "QuotaExceed.AppliedAutoSnapshotPolicyQuota")
    cancel = {"regionId": HERE, "diskIds": '["d-data"]'}
    assert stage.refusal("CancelAutoSnapshotPolicy", cancel) == (403, "OperationDenied.TooManyAutoSnapshotPolicies")
    stage.ask("CancelAutoSnapshotPolicy", {**cancel, "autoSnapshotPolicyId": first})
    stage.ask("CancelAutoSnapshotPolicy", cancel)
    assert stage.ecs.snapshots.policies.of_disk("d-data") == []


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"autoSnapshotPolicyId": "sp-nobody"}, (404, "ParameterInvalid"), id="no such policy is 404"),
        pytest.param({"diskIds": '["d-nobody"]'}, (404, "InvalidDiskId.NotFound"), id="no such disk"),
        pytest.param({"diskIds": "d-data"}, (403, "ParameterInvalid"), id="not JSON"),
        pytest.param({"diskIds": "[]"}, (403, "ParameterInvalid"), id="no disk"),
    ],
)
def test_applications_that_are_refused(stage: TwoRegions, given: dict[str, object], answer: tuple[int, str]) -> None:
    full = {"regionId": HERE, "autoSnapshotPolicyId": policy(stage), "diskIds": '["d-data"]'}

    assert stage.refusal("ApplyAutoSnapshotPolicy", {**full, **given}) == answer


def test_a_policy_copies_to_another_region_with_a_retention_of_its_own(stage: TwoRegions) -> None:
    policy(
        stage, "d-data", hours='["9"]', EnableCrossRegionCopy="true", TargetCopyRegions=f'["{THERE}"]',
        CopiedSnapshotsRetentionDays=7,
    )  # fmt: skip

    stage.advance(HOUR + 120)

    [copy] = stage.there("DescribeSnapshots")["Snapshots"]["Snapshot"]
    [source] = automatic(stage)
    assert (copy["SourceSnapshotId"], copy["SourceRegionId"], copy["RetentionDays"]) == (source["SnapshotId"], HERE, 7)
    assert copy["Tags"] == {"Tag": []}


def test_regionid_finds_the_policy_from_any_endpoint(stage: TwoRegions) -> None:
    made = policy(stage)

    stage.there("ModifyAutoSnapshotPolicyEx", regionId=HERE, autoSnapshotPolicyId=made, retentionDays=65_535)

    [shown] = stage.ask("DescribeAutoSnapshotPolicyEx")["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]
    assert (shown["RetentionDays"], json.loads(shown["TimePoints"])[:2], shown["DiskNums"]) == (65_535, ["0", "1"], 0)
    assert shown["RegionId"] == HERE


def test_changing_the_hours_moves_the_next_run(stage: TwoRegions) -> None:
    made = policy(stage, "d-data", hours='["10"]')
    stage.ask("ModifyAutoSnapshotPolicyEx", regionId=HERE, autoSnapshotPolicyId=made, timePoints='["9"]')

    stage.advance(HOUR)

    assert len(automatic(stage)) == 1


def test_a_deleted_policy_leaves_its_snapshots_and_no_trace_on_the_calendar(stage: TwoRegions) -> None:
    before = stage.cloud.clock.next_due()
    made = policy(stage, "d-data")
    assert stage.cloud.clock.next_due() != before
    stage.advance(HOUR + 60)
    stage.ask("DeleteAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made)

    assert stage.cloud.clock.next_due() == before
    assert len(automatic(stage)) == 1
    assert stage.refusal("DeleteAutoSnapshotPolicy", regionId=HERE, autoSnapshotPolicyId=made) == (
        404,
        "ParameterInvalid",
    )


def test_automatic_snapshots_go_with_their_disk_manual_ones_stay(stage: TwoRegions) -> None:
    policy(stage, "d-data", hours='["9"]')
    by_hand = stage.snapshot()
    stage.advance(HOUR + 60)
    stage.ask("DetachDisk", InstanceId="i-app", DiskId="d-data")
    stage.advance(90)
    stage.ask("DeleteDisk", DiskId="d-data")

    assert automatic(stage) == []
    assert stage.show(by_hand) is not None
    assert stage.ask("DescribeAutoSnapshotPolicyEx")["AutoSnapshotPolicies"]["AutoSnapshotPolicy"][0]["DiskNums"] == 0


def test_automatic_snapshots_complete_as_timer_events(stage: TwoRegions) -> None:
    policy(stage, "d-data", hours='["9"]')
    stage.advance(HOUR + 60)

    assert stage.events[-1].content["snapshotType"] == "timer"
    assert automatic(stage)[0]["SnapshotType"] == "auto"
