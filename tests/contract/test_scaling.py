"""The contract of scaling groups, on both doors: the official SDK over HTTP, and straight onto the models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.ess import seed as ess_seed
from emulator.faults.fault import Fault
from emulator.seed import load_text
from emulator.slb.model import Backend
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ess import EssScaling
from shared.adapters.sdk import Endpoint
from shared.domain.errors import BadInput, Conflict, NotFound, Permanent, QuotaReached, Retryable
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId
from shared.ports.scaling import ActivityState, Membership, Scaling
from tests.contract.conftest import PROXIES
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults
from tests.emulator.scaling_stage import GROUP as SEEDED
from tests.emulator.scaling_stage import WORLD
from understudy.simulation.scaling import InProcessScaling

GROUP, CONFIGURATION = "asg-a", "asc-old"
ONE, TWO, FREE = InstanceId("i-one"), InstanceId("i-two"), InstanceId("i-free")
"""`i-one` was attached, `i-two` attached as entrusted, `i-free` is nobody's."""
NOBODY = InstanceId("i-nobody")
ENOUGH = 120
"""Seconds in which every activity ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    scaling: Scaling
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None]

    def group(self, **changes: object) -> Any:
        """The model's group, with these of its fields changed."""
        found = self.cloud.ess.group(GROUP)

        def change() -> None:
            for name, value in changes.items():
                setattr(found, name, value)

        self.run(change)
        return found

    def states(self) -> dict[InstanceId, str]:
        return {one.instance: one.state for one in self.scaling.members(GROUP)}

    def weight(self, instance: InstanceId) -> int | None:
        backend = self.run(lambda: self.cloud.slb.get("lb-a").backends.get(instance))
        return None if backend is None else int(backend.weight)

    def stop(self, instance: InstanceId) -> None:
        ecs = self.cloud.ecs
        self.run(lambda: ecs.lifecycle.stop(ecs.find_instance(instance)))

    def exists(self, instance: InstanceId) -> bool:
        return bool(self.run(lambda: instance in self.cloud.ecs.instances))

    def newcomers(self) -> list[InstanceId]:
        return [one for one in self.states() if one not in (ONE, TWO, FREE)]


def stand(cloud: Cloud) -> None:
    load_text(WORLD, cloud, where="test", settings={})
    ess_seed.load([SEEDED], cloud.home)


@pytest.fixture(params=["sdk", "in process"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    if request.param == "in process":
        cloud = Cloud()
        stand(cloud)
        yield Door(
            scaling=InProcessScaling(cloud),
            cloud=cloud,
            run=lambda fn: fn(),
            advance=lambda seconds: cloud.clock.advance(timedelta(seconds=seconds)),
        )
        return
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with mock_aliyun() as local:
        local.run(lambda: stand(local.cloud))
        key = Credentials(*local.access_key)
        scaling = EssScaling(endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: key)
        yield Door(scaling=scaling, cloud=local.cloud, run=local.run, advance=local.advance)


# Refused ------------------------------------------------------------------------------------------------------------


def test_what_does_not_exist_is_missing_from_answers_and_not_found_by_changes(door: Door) -> None:
    scaling = door.scaling

    assert scaling.groups(["asg-none"]) == {}
    assert scaling.members("asg-none") == ()
    assert scaling.memberships([NOBODY, FREE]) == {}
    assert scaling.configurations(["asc-none"]) == {}
    assert scaling.activity(GROUP, "asa-none") is None
    for change in (
        lambda: scaling.enter_standby("asg-none", [ONE], token="t1"),
        lambda: scaling.enter_standby(GROUP, [NOBODY], token="t2"),
        lambda: scaling.exit_standby(GROUP, [FREE], token="t3"),
        lambda: scaling.attach(GROUP, [NOBODY], entrusted=False, token="t4"),
        lambda: scaling.detach(GROUP, [FREE], decrease=True, token="t5"),
        lambda: scaling.suspend("asg-none", ["HealthCheck"]),
        lambda: scaling.resume("asg-none", ["HealthCheck"]),
        lambda: scaling.publish("asc-none", ImageId("m-new")),
        lambda: scaling.publish(CONFIGURATION, ImageId("m-none")),
    ):
        with pytest.raises(NotFound):
            change()


def test_nothing_asked_for_is_nothing_found(door: Door) -> None:
    """An empty filter means everything on the wire, and must not here."""
    assert door.scaling.memberships([]) == {}
    assert door.scaling.groups([]) == {}
    assert door.scaling.configurations([]) == {}


def test_a_process_that_there_is_not_cannot_be_suspended(door: Door) -> None:
    with pytest.raises(Permanent):
        door.scaling.suspend(GROUP, ["Breathing"])


def test_who_is_on_standby_cannot_enter_it_again_and_who_is_not_cannot_leave_it(door: Door) -> None:
    door.scaling.enter_standby(GROUP, [TWO], token="in")

    with pytest.raises(Permanent):
        door.scaling.enter_standby(GROUP, [TWO], token="in again")
    with pytest.raises(Permanent):
        door.scaling.exit_standby(GROUP, [ONE], token="out")


def test_one_who_does_not_run_cannot_be_attached(door: Door) -> None:
    door.stop(FREE)
    door.advance(60)

    with pytest.raises(Permanent):
        door.scaling.attach(GROUP, [FREE], entrusted=False, token="join")


def test_a_member_cannot_be_attached_again(door: Door) -> None:
    with pytest.raises(Permanent, match="Detach the instance"):
        door.scaling.attach(GROUP, [ONE], entrusted=False, token="join")


def test_attaching_beyond_the_maximum_says_which_number_stands_in_the_way(door: Door) -> None:
    door.group(max_size=2)

    with pytest.raises(QuotaReached, match="MaxSize"):
        door.scaling.attach(GROUP, [FREE], entrusted=False, token="join")
    assert FREE not in door.states()


@pytest.mark.parametrize("decrease", [True, False])
def test_detaching_below_the_minimum_is_refused_whether_or_not_one_is_launched_instead(
    door: Door, decrease: bool
) -> None:
    door.group(min_size=2)

    with pytest.raises(Permanent, match="MinSize"):
        door.scaling.detach(GROUP, [ONE], decrease=decrease, token="go")
    door.advance(600)

    assert door.states() == {ONE: "inservice", TWO: "inservice"}


def test_while_scale_out_is_suspended_nobody_joins_and_while_scale_in_is_nobody_leaves(door: Door) -> None:
    door.scaling.suspend(GROUP, ["ScaleOut", "ScaleIn"])

    with pytest.raises(Permanent, match="resume its processes"):
        door.scaling.attach(GROUP, [FREE], entrusted=False, token="join")
    with pytest.raises(Permanent, match="resume its processes"):
        door.scaling.detach(GROUP, [ONE], decrease=True, token="go")


def test_a_maximum_below_what_is_wanted_is_refused(door: Door) -> None:
    with pytest.raises(Permanent):
        door.scaling.set_maximum(GROUP, 1)
    with pytest.raises(NotFound):
        door.scaling.set_maximum("asg-none", 5)
    assert door.scaling.groups([GROUP])[GROUP].most == 4


@pytest.mark.parametrize("size", [0, 5])
def test_a_size_outside_the_groups_bounds_is_refused(door: Door, size: int) -> None:
    door.group(min_size=1)
    before = door.scaling.groups([GROUP])[GROUP].desired

    with pytest.raises(Permanent):
        door.scaling.resize(GROUP, desired=size)
    with pytest.raises(NotFound):
        door.scaling.resize("asg-none", desired=3)

    assert door.scaling.groups([GROUP])[GROUP].desired == before


def test_a_raised_size_is_reached_by_launches_of_the_groups_own_and_asking_twice_adds_nothing(door: Door) -> None:
    door.scaling.resize(GROUP, desired=3)
    door.scaling.resize(GROUP, desired=3)
    door.advance(ENOUGH)
    door.advance(ENOUGH)

    assert door.scaling.groups([GROUP])[GROUP].desired == 3
    assert len(door.newcomers()) == 1


def test_while_one_activity_runs_another_one_waits(door: Door) -> None:
    door.scaling.attach(GROUP, [FREE], entrusted=False, token="join")

    with pytest.raises(Retryable):
        door.scaling.enter_standby(GROUP, [ONE], token="in")
    door.advance(ENOUGH)
    door.scaling.enter_standby(GROUP, [ONE], token="in")

    assert door.states()[ONE] == "standby"


def test_an_inactive_group_is_seen_and_moves_nobody(door: Door) -> None:
    door.run(lambda: door.cloud.ess.disable(door.cloud.ess.group(GROUP)))

    assert door.scaling.groups([GROUP])[GROUP].active is False
    assert door.scaling.memberships([ONE])[ONE].group == GROUP
    with pytest.raises(Permanent, match="Enable the scaling group"):
        door.scaling.enter_standby(GROUP, [ONE], token="in")


def test_a_token_with_another_question_is_somebody_elses(door: Door) -> None:
    door.scaling.enter_standby(GROUP, [TWO], token="t")

    with pytest.raises(Conflict):
        door.scaling.enter_standby(GROUP, [ONE], token="t")


def test_a_token_that_is_no_token_is_refused(door: Door) -> None:
    with pytest.raises(Permanent) as refused:
        door.scaling.enter_standby(GROUP, [ONE], token="x" * 65)
    assert not isinstance(refused.value, BadInput)
    assert door.states()[ONE] == "inservice"


# Told ---------------------------------------------------------------------------------------------------------------


def test_a_group_is_told_as_it_is(door: Door) -> None:
    found = door.scaling.groups([GROUP, GROUP])[GROUP]

    assert (found.name, found.active, found.least, found.most, found.desired) == ("app", True, 1, 4, 2)
    assert (found.total, found.standby, found.configuration) == (2, 0, CONFIGURATION)
    assert (found.checks_health, found.suspended, found.balancers) == (True, frozenset(), (LoadBalancerId("lb-a"),))


def test_a_group_without_a_desired_capacity_has_none(door: Door) -> None:
    door.group(desired=None)

    assert door.scaling.groups([GROUP])[GROUP].desired is None


def test_a_group_whose_health_check_is_off_looks_after_nobody(door: Door) -> None:
    door.group(health_checks=("NONE",))

    assert not door.scaling.groups([GROUP])[GROUP].checks_health


def test_members_are_told_with_who_made_them(door: Door) -> None:
    group = door.group(desired=3)
    door.run(lambda: door.cloud.ess.will.awaken(group))
    door.advance(ENOUGH)
    (newcomer,) = door.newcomers()

    found = door.scaling.memberships([ONE, TWO, newcomer, FREE])

    assert found[ONE] == Membership(instance=ONE, group=GROUP, state="inservice", created_by_group=False, weight=50)
    assert found[TWO].entrusted
    assert (found[newcomer].created_by_group, found[newcomer].entrusted) == (True, False)
    assert FREE not in found


def test_more_groups_and_members_than_a_page_holds_are_all_told(door: Door) -> None:
    def grow() -> None:
        ess = door.cloud.ess
        more = [
            {"id": f"asg-{n}", "min": 0, "max": 0, "vswitches": ["vsw-h"], "enabled": False,
             "configuration": {"id": f"asc-{n}", "image": "m-old", "security_groups": ["sg-a"]}}
            for n in range(120)
        ]  # fmt: skip
        ess_seed.load(more, door.cloud.home)
        group = ess.group(GROUP)
        like = group.members[ONE]
        for n in range(230):
            member = type(like)(
                instance_id=f"i-{n}", creation=like.creation, entrusted=False, joined=like.joined, state=like.state
            )
            ess.scaling.enrol(group, member)

    door.run(grow)
    ids = [InstanceId(f"i-{n}") for n in range(230)]

    assert len(door.scaling.groups([f"asg-{n}" for n in range(120)])) == 120
    assert len(door.scaling.configurations([f"asc-{n}" for n in range(120)])) == 120
    assert len(door.scaling.members(GROUP)) == 232
    assert set(door.scaling.memberships(ids)) == set(ids)


def test_a_hundred_instances_are_asked_about_in_one_call(door: Door) -> None:
    if not isinstance(door.scaling, EssScaling):
        pytest.skip("there are no pages between two Python objects")
    found = door.scaling.memberships([InstanceId(f"i-{n}") for n in range(98)] + [ONE, TWO])

    assert set(found) == {ONE, TWO}
    assert door.cloud.requests.count("DescribeScalingInstances") == 1


# Standing by --------------------------------------------------------------------------------------------------------


def test_standby_drains_a_member_keeps_it_counted_and_lets_it_be_stopped(door: Door) -> None:
    activity = door.scaling.enter_standby(GROUP, [TWO], token="in")
    done = door.scaling.activity(GROUP, activity)
    door.stop(TWO)
    door.advance(7200)
    group = door.scaling.groups([GROUP])[GROUP]

    assert done is not None
    assert done.state is ActivityState.SUCCESSFUL
    assert (group.total, group.standby, group.desired) == (2, 1, 2)
    assert door.weight(TWO) == 0
    assert door.scaling.memberships([TWO])[TWO].on_standby
    assert door.exists(TWO)
    assert door.newcomers() == []


def test_without_standby_a_stopped_member_is_replaced(door: Door) -> None:
    door.stop(TWO)
    door.advance(600)

    assert not door.exists(TWO), "entrusted: released with its disks"
    assert len(door.newcomers()) == 1


def test_who_leaves_standby_serves_with_weight_50_whatever_it_had(door: Door) -> None:
    door.run(lambda: door.cloud.slb.set_weights("lb-a", [Backend(server="i-two", weight=80)]))
    door.scaling.enter_standby(GROUP, [TWO], token="in")
    door.scaling.exit_standby(GROUP, [TWO], token="out")

    assert door.states()[TWO] == "inservice"
    assert door.weight(TWO) == 50


def test_the_same_token_again_moves_nobody_twice(door: Door) -> None:
    first = door.scaling.enter_standby(GROUP, [TWO], token="in")
    door.scaling.exit_standby(GROUP, [TWO], token="out")

    assert door.scaling.enter_standby(GROUP, [TWO], token="in") == first
    assert door.states()[TWO] == "inservice"


# Coming and going ---------------------------------------------------------------------------------------------------


def test_who_is_detached_with_a_decrease_leaves_a_smaller_group_and_lives_on(door: Door) -> None:
    activity = door.scaling.detach(GROUP, [TWO], decrease=True, token="go")
    running = door.scaling.activity(GROUP, activity)
    door.advance(600)
    over = door.scaling.activity(GROUP, activity)

    assert running is not None
    assert not running.over
    assert over is not None
    assert over.state is ActivityState.SUCCESSFUL
    assert door.states() == {ONE: "inservice"}
    assert door.scaling.groups([GROUP])[GROUP].desired == 1
    assert door.weight(TWO) is None
    assert door.exists(TWO)


def test_who_is_detached_without_a_decrease_is_replaced(door: Door) -> None:
    door.scaling.detach(GROUP, [TWO], decrease=False, token="go")
    door.advance(600)

    assert door.scaling.groups([GROUP])[GROUP].desired == 2
    assert len(door.newcomers()) == 1
    assert door.exists(TWO)


def test_who_is_attached_serves_with_the_groups_weight(door: Door) -> None:
    activity = door.scaling.attach(GROUP, [FREE], entrusted=True, token="join")
    pending = door.states()[FREE]
    door.advance(ENOUGH)
    found = door.scaling.memberships([FREE])[FREE]

    assert pending == "pending"
    assert (found.state, found.entrusted, found.created_by_group) == ("inservice", True, False)
    assert door.weight(FREE) == 50
    assert door.scaling.groups([GROUP])[GROUP].desired == 3
    told = door.scaling.activity(GROUP, activity)
    assert told is not None
    assert told.over


def test_one_that_stops_while_it_joins_ends_in_a_failed_activity(door: Door) -> None:
    activity = door.scaling.attach(GROUP, [FREE], entrusted=False, token="join")
    door.stop(FREE)
    door.advance(ENOUGH)
    told = door.scaling.activity(GROUP, activity)

    assert told is not None
    assert told.state is ActivityState.FAILED
    assert "IncorrectInstanceStatus" in told.message
    assert FREE not in door.states()
    assert door.exists(FREE)


def test_an_activity_is_its_own_groups(door: Door) -> None:
    activity = door.scaling.enter_standby(GROUP, [TWO], token="in")

    assert door.scaling.activity("asg-other", activity) is None


def test_a_suspended_health_check_spares_the_stopped_until_it_is_resumed(door: Door) -> None:
    door.scaling.suspend(GROUP, ["HealthCheck", "AlarmNotification"])
    door.scaling.suspend(GROUP, ["HealthCheck"])
    suspended = door.scaling.groups([GROUP])[GROUP]
    door.stop(ONE)
    door.advance(3600)
    spared = ONE in door.states()
    door.scaling.resume(GROUP, ["HealthCheck", "AlarmNotification"])
    door.scaling.resume(GROUP, ["HealthCheck"])
    door.advance(600)

    assert suspended.suspended == {"HealthCheck", "AlarmNotification"}
    assert not suspended.checks_health
    assert spared
    assert ONE not in door.states()
    assert door.scaling.groups([GROUP])[GROUP].suspended == frozenset()


# Images -------------------------------------------------------------------------------------------------------------


def test_a_published_image_is_booted_by_the_next_launch_and_by_nobody_that_runs(door: Door) -> None:
    door.scaling.publish(CONFIGURATION, ImageId("m-new"))
    door.scaling.publish(CONFIGURATION, ImageId("m-new"))
    told = door.scaling.configurations([CONFIGURATION])[CONFIGURATION]
    door.scaling.detach(GROUP, [TWO], decrease=False, token="go")
    door.advance(600)
    (newcomer,) = door.newcomers()
    images = door.run(lambda: {one: door.cloud.ecs.instances[one].image_id for one in (ONE, newcomer)})

    assert (told.image, told.family, told.group) == ("m-new", "", GROUP)
    assert images == {ONE: "m-old", newcomer: "m-new"}


def test_a_configuration_by_family_has_no_image_until_one_is_published(door: Door) -> None:
    configuration = door.cloud.ess.configuration(CONFIGURATION)
    door.run(lambda: door.cloud.ess.boot(configuration, "", "app"))
    before = door.scaling.configurations([CONFIGURATION])[CONFIGURATION]
    door.scaling.publish(CONFIGURATION, ImageId("m-new"))
    after = door.scaling.configurations([CONFIGURATION])[CONFIGURATION]

    assert (before.image, before.family) == (None, "app")
    assert (after.image, after.family) == ("m-new", "")


# With faults on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_change_that_goes_wrong_is_cleared_up_by_reading_back(door: Door, mishap: Mishap) -> None:
    scaling = door.scaling

    def suspended() -> bool:
        return "HealthCheck" in scaling.groups([GROUP])[GROUP].suspended

    def image() -> ImageId | None:
        return scaling.configurations([CONFIGURATION])[CONFIGURATION].image

    for write in (
        Write(
            action="EnterStandby",
            send=lambda: scaling.enter_standby(GROUP, [TWO], token="in"),
            done=lambda: door.states()[TWO] == "standby",
        ),
        Write(
            action="ExitStandby",
            send=lambda: scaling.exit_standby(GROUP, [TWO], token="out"),
            done=lambda: door.states()[TWO] == "inservice",
        ),
        Write(
            action="AttachInstances",
            send=lambda: scaling.attach(GROUP, [FREE], entrusted=False, token="join"),
            done=lambda: FREE in door.states(),
        ),
        Write(
            action="DetachInstances",
            send=lambda: scaling.detach(GROUP, [FREE], decrease=True, token="go"),
            done=lambda: door.states().get(FREE) in (None, "removing"),
        ),
        Write(action="SuspendProcesses", send=lambda: scaling.suspend(GROUP, ["HealthCheck"]), done=suspended),
        Write(
            action="ResumeProcesses",
            send=lambda: scaling.resume(GROUP, ["HealthCheck"]),
            done=lambda: not suspended(),
        ),
        Write(
            action="ModifyScalingGroup",
            send=lambda: scaling.set_maximum(GROUP, 9),
            done=lambda: scaling.groups([GROUP])[GROUP].most == 9,
        ),
        Write(
            action="ModifyScalingConfiguration",
            send=lambda: scaling.publish(CONFIGURATION, ImageId("m-new")),
            done=lambda: image() == "m-new",
        ),
    ):
        hold_write(door.cloud, door.run, "ess", write, mishap)
        door.advance(ENOUGH)
    assert len(door.states()) == 2, "nobody joined twice, and nobody was launched"


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_size_whose_reply_is_lost_is_reached_once(door: Door, mishap: Mishap) -> None:
    write = Write(
        action="ModifyScalingGroup",
        send=lambda: door.scaling.resize(GROUP, desired=3),
        done=lambda: door.scaling.groups([GROUP])[GROUP].desired == 3,
    )
    hold_write(door.cloud, door.run, "ess", write, mishap)
    door.advance(ENOUGH)
    door.advance(ENOUGH)

    assert len(door.newcomers()) == 1


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_listing_that_cannot_be_read_is_not_an_empty_one(door: Door, mishap: Mishap) -> None:
    activity = door.scaling.enter_standby(GROUP, [TWO], token="in")
    for read in (
        Read(action="DescribeScalingInstances", ask=lambda: door.scaling.memberships([ONE])),
        Read(action="DescribeScalingInstances", ask=lambda: door.scaling.members(GROUP)),
        Read(action="DescribeScalingGroups", ask=lambda: door.scaling.groups([GROUP])),
        Read(action="DescribeScalingConfigurations", ask=lambda: door.scaling.configurations([CONFIGURATION])),
        Read(action="DescribeScalingActivities", ask=lambda: door.scaling.activity(GROUP, activity)),
    ):
        hold_read(door.cloud, door.run, "ess", read, mishap)


@pytest.mark.parametrize("code", ["ScalingActivityInProgress", "ServiceUnavailable"])
def test_a_busy_group_is_asked_again_later(door: Door, code: str) -> None:
    refuse = Fault(kind="error", action="EnterStandby", code=code, status=400)
    with with_faults(door.cloud, door.run, refuse), pytest.raises(Retryable):
        door.scaling.enter_standby(GROUP, [ONE], token="in")
    assert door.states()[ONE] == "inservice"
