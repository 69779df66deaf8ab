"""What a replacement is made of: the newest that can really be restored, or a clear list of what is missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.ids import DiskId, ImageId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.inventory import (
    Disk,
    DiskKind,
    Image,
    ImageState,
    Instance,
    InstanceState,
    Snapshot,
    SnapshotState,
    VSwitch,
)
from shared.domain.policy import Address, DataFrom, Elsewhere, RebuildRule, Selection
from shared.domain.replacement import MAX_TAGS, Missing, Replacement, Seen, choose, newest_image, successor_tags
from shared.domain.retention import RestorePoint

NOW = datetime(2026, 3, 2, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPERATION = OperationId("rebuild/i-1/e-1")
INSTANCE = Instance(
    id=InstanceId("i-1"),
    name="one",
    state=InstanceState.RUNNING,
    zone="z",
    image=ImageId("m-old"),
    instance_type="t",
    private_address="127.0.0.9",
    vswitch="v",
    vpc="vpc",
    security_groups=("sg-1", "sg-2"),
    created=NOW,
    tags={"role": "app", "acs:rm:x": "1", "understudy:operation": "earlier"},
)


def disk(name: str, kind: DiskKind = DiskKind.DATA, device: str = "/dev/vdb") -> Disk:
    return Disk(
        id=DiskId(name),
        kind=kind,
        zone="z",
        size_gib=40,
        category="cloud_essd",
        state="in_use",
        instance=INSTANCE.id,
        device=device,
        delete_with_instance=False,
    )


HERE = VSwitch(id="v", zone="z", vpc="vpc", free_addresses=9)
THERE = VSwitch(id="v-other", zone="z-other", vpc="vpc", free_addresses=9)
RULE = RebuildRule(
    name="apps",
    select=Selection(tags={"role": "app"}),
    image_family="app",
    balancer=None,
    weight=0,
    port=80,
    patience=HOUR,
    max_at_once=1,
)
FROM_POINTS = replace(RULE, data_from=DataFrom.POINTS)
ELSEWHERE = replace(
    RULE, elsewhere=(Elsewhere(zone="z-other", vswitch="v-other"),), instance_types=("t-2",), address=Address.KEEP
)
SYSTEM, B, C = disk("d-sys", DiskKind.SYSTEM, "/dev/vda"), disk("d-b"), disk("d-c", device="/dev/vdc")
IMAGE = Image(id=ImageId("m-1"), name="m-1", family="app", state=ImageState.AVAILABLE, created=NOW - HOUR, snapshots=())


def snapshot(name: str, of: str, *, usable: bool = True, state: SnapshotState = SnapshotState.ACCOMPLISHED) -> Snapshot:
    return Snapshot(
        id=SnapshotId(name),
        disk=DiskId(of),
        disk_kind=DiskKind.DATA,
        state=state,
        usable=usable,
        created=NOW,
        size_gib=40,
        usage="none",
        progress_percent=100,
    )


def point(name: str, hours_ago: float, **disks: str) -> RestorePoint:
    return RestorePoint(
        id=name,
        subject=INSTANCE.id,
        slot=NOW - hours_ago * HOUR,
        schedule="hourly",
        taken=NOW - hours_ago * HOUR,
        usable=True,
        complete=True,
        disks=tuple((DiskId(f"d-{key}"), SnapshotId(value)) for key, value in disks.items()),
        protection="p",
        policy=PolicyVersion(1),
    )


def chosen(
    points: list[RestorePoint],
    snapshots: list[Snapshot],
    *,
    disks: tuple[Disk, ...] = (SYSTEM, B, C),
    images: tuple[Image, ...] = (IMAGE,),
    rule: RebuildRule = FROM_POINTS,
    **more: object,
) -> Replacement | Missing:
    seen = Seen(
        instance=INSTANCE,
        disks=disks,
        images=images,
        points=tuple(points),
        snapshots=tuple(snapshots),
        vswitches=(HERE, THERE),
    )
    return choose(replace(seen, **more), rule, operation=OPERATION, now=NOW)  # type: ignore[arg-type]  # fields by name


def sources(plan: Replacement | Missing) -> dict[str, str]:
    assert isinstance(plan, Replacement), plan
    return {one.disk: one.snapshot for one in plan.restored}


def test_all_data_disks_come_from_one_instant_when_any_point_has_them_all() -> None:
    points = [point("old", 3, b="s-b3", c="s-c3"), point("both", 2, b="s-b2", c="s-c2"), point("half", 1, b="s-b1")]
    snapshots = [snapshot(f"s-{d}{n}", f"d-{d}") for d in "bc" for n in (1, 2, 3)]

    assert sources(chosen(points, snapshots)) == {"d-b": "s-b2", "d-c": "s-c2"}


def test_only_otherwise_each_disk_comes_from_its_own_newest_point() -> None:
    points = [point("b", 1, b="s-b1"), point("c", 2, c="s-c2"), point("older", 5, c="s-c5")]
    snapshots = [snapshot("s-b1", "d-b"), snapshot("s-c2", "d-c"), snapshot("s-c5", "d-c")]

    assert sources(chosen(points, snapshots)) == {"d-b": "s-b1", "d-c": "s-c2"}


@pytest.mark.parametrize(
    "newest",
    [
        pytest.param([], id="the cloud no longer lists it"),
        pytest.param([snapshot("s-b1", "d-b", usable=False)], id="it is not usable yet"),
        pytest.param([snapshot("s-b1", "d-b", state=SnapshotState.FAILED)], id="it failed"),
        pytest.param([snapshot("s-b1", "d-other")], id="it is another disk's"),
    ],
)
def test_a_point_that_cannot_be_restored_now_is_passed_over_whatever_our_record_says(newest: list[Snapshot]) -> None:
    points = [point("new", 1, b="s-b1"), point("old", 2, b="s-b2")]

    assert sources(chosen(points, [*newest, snapshot("s-b2", "d-b")], disks=(SYSTEM, B))) == {"d-b": "s-b2"}


def test_a_point_dated_in_the_future_is_not_trusted() -> None:
    points = [point("future", -1, b="s-b1"), point("old", 2, b="s-b2")]

    found = chosen(points, [snapshot("s-b1", "d-b"), snapshot("s-b2", "d-b")], disks=(SYSTEM, B))

    assert sources(found) == {"d-b": "s-b2"}


def test_everything_that_is_missing_is_named_at_once() -> None:
    found = chosen([point("b", 1, b="s-b1")], [snapshot("s-b1", "d-b")], disks=(B, C), images=())

    assert isinstance(found, Missing)
    assert [problem.split(" ")[0] for problem in found.because] == ["image", "its", "data"]
    assert "d-c" in found.because[2]


# Where, and with what of the old one --------------------------------------------------------------------------------


def places(plan: Replacement | Missing) -> list[tuple[str, str, bool, bool]]:
    assert isinstance(plan, Replacement), plan
    return [(one.zone, one.instance_type, one.keeps_address, one.moves_disks) for one in plan.candidates]


BOTH = [point("both", 1, b="s-b1", c="s-c1")]
STAND = [snapshot("s-b1", "d-b"), snapshot("s-c1", "d-c")]


def test_its_own_zone_and_type_come_first_and_only_there_address_and_disks_are_kept() -> None:
    assert places(chosen(BOTH, STAND, rule=ELSEWHERE)) == [
        ("z", "t", True, True),
        ("z", "t-2", True, True),
        ("z-other", "t", False, False),
        ("z-other", "t-2", False, False),
    ]


def test_surviving_disks_need_no_point_in_their_own_zone_and_rule_another_zone_out() -> None:
    plan = chosen([], [], rule=ELSEWHERE)

    assert [place[0] for place in places(plan)] == ["z", "z"]
    assert isinstance(plan, Replacement)
    assert [one.disk for one in plan.moved] == ["d-b", "d-c"]
    assert any("z-other is out of the question" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param({"sick_disks": True}, "reports a failing disk", id="the cloud reports a failing disk"),
        pytest.param({"disks": (SYSTEM, replace(B, state="detaching"), C)}, "d-b cannot be moved", id="not in use"),
        pytest.param({"disks": (SYSTEM, replace(B, category="local_ssd_pro"), C)}, "d-b cannot", id="local"),
        pytest.param(
            {"images": (replace(IMAGE, snapshots=(SnapshotId("s-1"), SnapshotId("s-2"))),)},
            "brings data disks of its own",
            id="an image would double them",
        ),
    ],
)
def test_disks_that_cannot_move_are_made_of_points_and_that_is_told(more: dict[str, object], says: str) -> None:
    plan = chosen(BOTH, STAND, rule=RULE, **more)  # type: ignore[arg-type]  # fields by name

    assert sources(plan) == {"d-b": "s-b1", "d-c": "s-c1"}
    assert isinstance(plan, Replacement)
    assert not plan.moves_disks
    assert any(says in note for note in plan.notes)


def test_no_vswitch_that_stands_is_missing_before_anything_is_touched() -> None:
    gone = chosen(BOTH, STAND, rule=RULE, vswitches=())
    of_another_vpc = chosen(BOTH, STAND, rule=RULE, vswitches=(replace(HERE, vpc="vpc-2"),))

    assert isinstance(gone, Missing)
    assert "vSwitch v is gone" in gone.because[0]
    assert isinstance(of_another_vpc, Missing)


@pytest.mark.parametrize(("data_disks", "expected"), [(0, "m-2"), (1, "m-whole"), (2, "m-whole")])
def test_the_newest_available_image_without_disks_too_many_is_taken(data_disks: int, expected: str) -> None:
    images = [
        IMAGE,
        replace(IMAGE, id=ImageId("m-2"), created=NOW, snapshots=(SnapshotId("s-1"),)),
        replace(IMAGE, id=ImageId("m-whole"), created=NOW + HOUR, snapshots=(SnapshotId("s-1"), SnapshotId("s-2"))),
        replace(IMAGE, id=ImageId("m-creating"), created=NOW + 2 * HOUR, state=ImageState.CREATING),
        replace(IMAGE, id=ImageId("m-foreign"), created=NOW + 2 * HOUR, family="db"),
    ]

    found = newest_image(images, family="app", data_disks=data_disks)

    assert found is not None
    assert found.id == expected


def test_a_successor_takes_over_the_tags_but_not_the_clouds_nor_our_earlier_ones() -> None:
    assert successor_tags(INSTANCE, operation=OPERATION) == {
        "role": "app",
        "understudy:operation": OPERATION,
        "understudy:replaces": "i-1",
    }


def test_a_successor_never_has_more_tags_than_the_cloud_takes() -> None:
    crowded = replace(INSTANCE, tags={f"k{n:02}": "v" for n in range(30)})

    tags = successor_tags(crowded, operation=OPERATION)

    assert len(tags) == MAX_TAGS
    assert tags["understudy:replaces"] == "i-1"


def test_without_data_disks_an_image_is_enough() -> None:
    assert sources(chosen([], [], disks=(SYSTEM,))) == {}
