"""Which way a disk goes back, and every condition with its remedy, by values."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.group_plan import Do, Move
from shared.domain.ids import DiskId, ImageId, InstanceId, LoadBalancerId, OperationId, SnapshotId
from shared.domain.inventory import (
    Disk,
    DiskKind,
    Image,
    ImageDisk,
    ImageState,
    Instance,
    InstanceState,
    Snapshot,
    SnapshotState,
    SystemEvent,
)
from shared.domain.preview import Check
from shared.domain.restoring import (
    STANDS_FOR,
    DiskChange,
    DiskPlan,
    PairRole,
    ScalingRole,
    Surroundings,
    Unfit,
    Way,
    choose,
)
from shared.domain.restoring_checks import RestorePlan, plan_restore

NOW = datetime.fromisoformat("2026-03-02T10:00:00+00:00")
I, D, S = InstanceId("i-1"), DiskId("d-1"), SnapshotId("s-1")  # noqa: E741
DISK = Disk(
    id=D,
    kind=DiskKind.DATA,
    zone="h",
    size_gib=40,
    category="cloud_essd",
    state="in_use",
    instance=I,
    device="/dev/xvdb",
)
SYSTEM = replace(DISK, id=DiskId("d-sys"), kind=DiskKind.SYSTEM, device="/dev/xvda")
SNAPSHOT = Snapshot(
    id=S,
    disk=D,
    disk_kind=DiskKind.DATA,
    state=SnapshotState.ACCOMPLISHED,
    usable=True,
    created=NOW - timedelta(hours=1),
    size_gib=40,
    usage="none",
    progress_percent=100,
)
INSTANCE = Instance(
    id=I,
    name="web",
    state=InstanceState.RUNNING,
    zone="h",
    image=ImageId("m-1"),
    instance_type="ecs.g7.large",
    private_address="10.0.0.1",
    vswitch="vsw",
    vpc="vpc",
    security_groups=(),
    created=NOW,
)
VIEW = Surroundings(
    now=NOW, name=I, instance=INSTANCE, disks=(SYSTEM, DISK), snapshots={S: SNAPSHOT}, taken={D: (SNAPSHOT,)}
)
WISH = DiskChange(disk=D, way=Way.RESET, snapshot=S)


def seen(**different: Any) -> Surroundings:
    return replace(VIEW, **different)


def shown(**different: Any) -> Surroundings:
    return seen(snapshots={S: replace(SNAPSHOT, **different)})


def member(state: str, aside: Do) -> ScalingRole:
    return ScalingRole(group="asg", state=state, aside=Move(do=aside, because="so says its group"))


def planned(view: Surroundings, *wishes: DiskChange, accept_size: bool = False) -> RestorePlan:
    return plan_restore(wishes or (WISH,), view, accept_size=accept_size, kept_days=7)


def refused(view: Surroundings, *wishes: DiskChange) -> list[Check]:
    return [check for check in planned(view, *wishes).checks if not check.ok]


# -- the way -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "wish", "way"),
    [
        pytest.param(VIEW, WISH, Way.RESET, id="its own snapshot"),
        pytest.param(VIEW, replace(WISH, way=Way.CLONE), Way.CLONE, id="asked for"),
        pytest.param(seen(copied=True), WISH, Way.CLONE, id="a copied point"),
        pytest.param(shown(disk=DiskId("d-other")), WISH, Way.CLONE, id="another disk's snapshot"),
        pytest.param(
            seen(disks=(replace(DISK, id=DiskId("d-clone"), tags={STANDS_FOR: D}),)), WISH, Way.CLONE, id="a clone"
        ),
        pytest.param(
            shown(disk=DiskId("d-old-sys"), disk_kind=DiskKind.SYSTEM),
            replace(WISH, disk=DiskId("d-old-sys")),
            Way.REPLACE,
            id="a system disk that was replaced since",
        ),
    ],
)
def test_the_way_follows_from_whose_snapshot_it_is(view: Surroundings, wish: DiskChange, way: Way) -> None:
    chosen = choose(wish, view)

    assert isinstance(chosen, DiskPlan), chosen
    assert chosen.way is way


@pytest.mark.parametrize(("image_gib", "becomes"), [(20, 40), (40, 40), (60, 60), (0, 40)])
def test_a_replaced_system_disk_never_shrinks(image_gib: int, becomes: int) -> None:
    """The cloud's own choice would: it looks at the image only."""
    made_of = ImageDisk(snapshot=S, kind=DiskKind.SYSTEM, size_gib=image_gib)
    image = Image(
        id=ImageId("m-2"), name="", family="", state=ImageState.AVAILABLE, created=NOW, snapshots=(S,), disks=(made_of,)
    )
    view = seen(images={image.id: image}, disks=(SYSTEM, DISK), taken={})
    plan = planned(view, DiskChange(disk=SYSTEM.id, way=Way.REPLACE, image=image.id))

    assert [one.becomes_gib for one in plan.disks] == [becomes]
    assert [one.ok for one in plan.checks if one.name == "size"] == ([True] if becomes != SYSTEM.size_gib else [])


@pytest.mark.parametrize(
    ("view", "name"),
    [
        pytest.param(seen(snapshots={}), "snapshot exists", id="gone"),
        pytest.param(shown(state=SnapshotState.FAILED, usable=False), "snapshot usable", id="failed"),
        pytest.param(shown(usable=False, progress_percent=40), "snapshot usable", id="unfinished"),
        pytest.param(shown(archived=True), "snapshot not archived", id="archived"),
        pytest.param(shown(encrypted=True), "encrypted alike", id="encrypted"),
        pytest.param(shown(disk_kind=DiskKind.SYSTEM), "snapshot of this disk", id="of a system disk"),
        pytest.param(seen(disks=(SYSTEM,)), "disk attached to this instance", id="detached"),
    ],
)
def test_a_snapshot_that_will_not_do_is_named_with_its_remedy(view: Surroundings, name: str) -> None:
    chosen = choose(WISH, view)

    assert isinstance(chosen, Unfit)
    assert chosen.name == name
    assert chosen.remedy


# -- the conditions ------------------------------------------------------------------------------------------------


def test_what_is_well_may_start() -> None:
    assert refused(VIEW) == []
    assert planned(VIEW).may_start


EVENT = SystemEvent(id="e-1", instance=I, type="SystemFailure.Reboot", status="executing", published=NOW, finished=None)


@pytest.mark.parametrize(
    ("view", "name", "remedy"),
    [
        (seen(instance=None), "instance exists", "understudy launch"),
        (seen(instance=replace(INSTANCE, state=InstanceState.STARTING)), "instance settled", "Wait"),
        (seen(instance=replace(INSTANCE, locks=("financial",))), "instance not locked", "arrears"),
        (seen(held_by=OperationId("rebuild/i-1/e")), "no other operation", "understudy explain rebuild/i-1/e"),
        (seen(pair=PairRole(pair="control", site="h", active=True)), "not the active master", "other site"),
        (seen(events=(EVENT,)), "no platform event under way", "Wait for its end"),
        (
            seen(scaling=member("removing", Do.WAIT)),
            "scaling group lets it stand by",
            "Wait until it is in service",
        ),
        (
            seen(
                instance=replace(INSTANCE, state=InstanceState.STOPPED),
                scaling=member("inservice", Do.ENTER_STANDBY),
            ),
            "scaling group lets it stand by",
            "start it, or put it on standby",
        ),
        (seen(scaling=member("inservice", Do.OPERATOR)), "scaling group lets it stand by", "EnableScalingGroup"),
        (seen(disks=(replace(DISK, state="detaching"),)), "disk attached to this instance", "in_use"),
        (seen(taken={D: (SNAPSHOT,) * 256}), "room for a safety snapshot", "understudy prune --apply"),
        (shown(size_gib=20), "size", "--accept-size"),
    ],
)
def test_each_condition_fails_by_itself_with_its_remedy(view: Surroundings, name: str, remedy: str) -> None:
    (check,) = refused(view)

    assert check.name == name
    assert remedy in check.remedy


def test_the_standby_of_a_pair_may_be_restored() -> None:
    assert refused(seen(pair=PairRole(pair="control", site="i", active=False))) == []


def test_a_member_whose_health_nobody_looks_at_is_not_put_on_standby() -> None:
    """ExitStandby would leave a protected one unprotected."""
    plan = planned(seen(scaling=member("protected", Do.NOTHING)))

    assert plan.may_start
    assert not [one.does for one in plan.actions if "standby" in one.does or "service" in one.does]


def test_what_is_not_drained_is_said() -> None:
    assert any("vServer group" in one for one in planned(VIEW).warnings)
    stopped = seen(instance=replace(INSTANCE, state=InstanceState.STOPPED))
    assert not any("vServer group" in one for one in planned(stopped).warnings)


def test_all_conditions_that_fail_are_told_at_once() -> None:
    view = seen(instance=replace(INSTANCE, locks=("security",)), events=(EVENT,), taken={D: (SNAPSHOT,) * 256})

    assert [one.name for one in refused(view)] == [
        "instance not locked",
        "no platform event under way",
        "room for a safety snapshot",
    ]


def test_automatic_snapshots_take_no_room() -> None:
    assert refused(seen(taken={D: (replace(SNAPSHOT, automatic=True),) * 300})) == []


def test_one_disk_is_changed_once() -> None:
    (check,) = refused(VIEW, WISH, replace(WISH, way=Way.REINITIALISE, snapshot=None))

    assert check.says == "d-1 would be changed twice"


def test_the_token_is_of_what_would_be_done() -> None:
    token = planned(VIEW).token

    assert planned(seen(weights={LoadBalancerId("lb"): 50})).token == token
    assert planned(seen(disks=(replace(DISK, size_gib=60),))).token != token
    assert planned(VIEW, replace(WISH, way=Way.CLONE)).token != token


def test_what_is_lost_is_said() -> None:
    warnings = planned(seen(alone_in=(LoadBalancerId("lb"),))).warnings

    assert warnings[0].startswith("what was written to d-1 since 2026-03-02 09:00:00Z is lost")
    assert warnings[1] == "no other server of lb takes traffic: its service is away until the end"
