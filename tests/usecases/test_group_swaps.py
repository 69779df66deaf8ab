"""docs/scaling-groups.md, played on the emulated cloud: whatever its bounds and whoever made the member, a group kills,
doubles and replaces nothing while one of its members is stopped or gives its place away."""

from collections.abc import Callable
from itertools import count

import pytest

from emulator.ess.group import AUTO_CREATED, SCALE_OUT
from emulator.faults.fault import Fault
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.group_plan import Before, Do, Move, before, step_aside, step_back, swap
from shared.domain.ids import InstanceId
from shared.ports.scaling import Membership, ScalingGroup
from tests.emulator.scaling_stage import ScalingStage
from understudy.simulation.scaling import InProcessScaling

GROUP = "asg-a"
OLD, NEW = InstanceId("i-two"), InstanceId("i-free")

BOUNDS: dict[str, dict[str, int | None]] = {
    "room": {"min": 1, "max": 4, "desired": 2},
    "room without a desired capacity": {"min": 1, "max": 4, "desired": None},
    "full": {"min": 1, "max": 2, "desired": 2},
    "full without a desired capacity": {"min": 1, "max": 2, "desired": None},
    "full at its minimum": {"min": 2, "max": 2, "desired": 2},
    "full at its minimum, without a desired capacity": {"min": 2, "max": 2, "desired": None},
}
MADE = ("attached", "entrusted", "created by the group")


class Play:
    """One recipe in miniature: look, ask for one move, make it, wait; never trust an answer."""

    def __init__(self, bounds: str, made: str = "attached") -> None:
        members = [{"instance": "i-one"}, {"instance": "i-two", "entrusted": made == "entrusted"}]
        self.stage = ScalingStage(members=members, **BOUNDS[bounds])
        if made == "created by the group":
            member = self.stage.group.members[OLD]
            member.creation, member.configuration_id = AUTO_CREATED, "asc-old"
        self.scaling = InProcessScaling(self.stage.cloud)
        self.we_let_go = False
        self.moves: list[Do] = []
        self.launched_before = self.launches()
        self.mishap: tuple[int, str] | None = None
        """Which change loses its answer, and whether that is before or after its effect."""

    # The world

    def launches(self) -> int:
        activities = self.stage.cloud.ess.scaling.activities.of_group(GROUP)
        return sum(one.kind == SCALE_OUT and one.cause.startswith("The group") for one in activities)

    @property
    def group(self) -> ScalingGroup:
        return self.scaling.groups([GROUP])[GROUP]

    def member(self, instance: InstanceId) -> Membership | None:
        return self.scaling.memberships([instance]).get(instance)

    def runs(self, instance: InstanceId) -> bool:
        return self.stage.cloud.ecs.find_instance(instance).state == "Running"

    def advance(self, seconds: float) -> None:
        """Second by second: no group may do in between what is seen neither before nor after."""
        for _ in range(int(seconds)):
            self.stage.advance(1)
            assert OLD in self.stage.cloud.ecs.instances, "the old one was released"
            assert NEW in self.stage.cloud.ecs.instances, "the new one was released"
            assert "i-one" in self.stage.group.members, "somebody else was let go"
            assert not self.stage.newcomers(), "somebody was launched"

    # The recipe

    def until_settled(self, decide: Callable[[], Move], old: InstanceId = OLD) -> Do:
        for number in count():
            assert number < 200, f"it never settles: {self.moves[-5:]}"
            move = decide()
            if move.do in (Do.NOTHING, Do.STAY_OUT, Do.OPERATOR):
                return move.do
            if move.do is not Do.WAIT:
                self.moves.append(move.do)
                self.make(move, old)
            self.advance(3)
        raise AssertionError

    def make(self, move: Move, old: InstanceId) -> None:
        token = f"{move.do}-{len(self.moves)}"
        if self.mishap is not None and len(self.moves) == self.mishap[0]:
            self.stage.cloud.faults.add_all([Fault(kind=self.mishap[1], service="ess")])  # for one call
        try:
            match move.do:
                case Do.ENTER_STANDBY:
                    self.scaling.enter_standby(GROUP, [old], token=token)
                case Do.EXIT_STANDBY:
                    self.scaling.exit_standby(GROUP, [old], token=token)
                case Do.WIDEN | Do.NARROW:
                    self.scaling.set_maximum(GROUP, move.size)
                case Do.ATTACH:
                    self.scaling.attach(GROUP, [NEW], entrusted=move.entrusted, token=token)
                case Do.DETACH:
                    self.we_let_go = True  # in the journal, before the effect
                    self.scaling.detach(GROUP, [old], decrease=move.decrease, token=token)
        except (Retryable, OutcomeUnknown):
            return  # the next look decides

    def step_aside(self) -> Do:
        return self.until_settled(lambda: step_aside(self.group, self.member(OLD)))

    def step_back(self) -> Do:
        return self.until_settled(lambda: step_back(self.group, self.member(OLD), runs=self.runs(OLD)))

    def swap(self, was: Before) -> Do:
        def decide() -> Move:
            return swap(was, self.group, old=self.member(OLD), new=self.member(NEW), we_let_go=self.we_let_go)

        return self.until_settled(decide)


def replaced(play: Play) -> None:
    """What both ways of making a member end in."""
    old = play.member(OLD)
    assert old is not None
    was, least = before(play.group, old), play.group.least
    assert play.step_aside() is Do.NOTHING
    play.stage.stop(OLD)
    play.advance(300)  # the new one is made, and answers
    assert play.swap(was) is Do.NOTHING
    play.advance(900)
    now = play.group

    assert (now.least, now.most, now.desired, now.total) == (least, was.most, was.desired, was.total)
    assert now.suspended == frozenset()
    assert play.stage.states() == {"i-one": "InService", NEW: "InService"}
    assert play.stage.weight(NEW) == 50
    assert play.stage.weight(OLD) is None
    new = play.member(NEW)
    assert new is not None
    assert new.entrusted is was.entrusted
    assert play.stage.cloud.ecs.find_instance(OLD).state == "Stopped"
    assert play.launches() == play.launched_before


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_failed_member_is_replaced_and_the_group_is_as_it_was(bounds: str, made: str) -> None:
    replaced(Play(bounds, made))


@pytest.mark.parametrize(
    ("bounds", "moves"),
    [
        ("room", [Do.ENTER_STANDBY, Do.ATTACH, Do.DETACH]),
        ("full", [Do.ENTER_STANDBY, Do.DETACH, Do.ATTACH]),
        ("full at its minimum", [Do.ENTER_STANDBY, Do.WIDEN, Do.ATTACH, Do.DETACH, Do.NARROW]),
    ],
)
def test_a_swap_takes_these_calls_and_no_more(bounds: str, moves: list[Do]) -> None:
    play = Play(bounds)

    replaced(play)

    assert play.moves == moves


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_member_is_stopped_for_a_rollback_and_comes_back(bounds: str, made: str) -> None:
    play = Play(bounds, made)
    was = play.group
    ecs = play.stage.cloud.ecs

    assert play.step_aside() is Do.NOTHING
    play.stage.stop(OLD)
    play.advance(1800)
    ecs.lifecycle.start(ecs.find_instance(OLD))
    assert play.step_back() is Do.NOTHING
    weight = play.stage.weight(OLD)
    play.advance(600)

    assert weight == 50, "whatever it was before: the recorded one is set next"
    assert play.moves == [Do.ENTER_STANDBY, Do.EXIT_STANDBY]
    assert play.group == was
    assert play.stage.states() == {"i-one": "InService", OLD: "InService"}
    assert play.launches() == play.launched_before


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_any_answer_may_be_lost(bounds: str, kind: str) -> None:
    undisturbed = Play(bounds, "created by the group")
    replaced(undisturbed)
    for lost in range(1, len(undisturbed.moves) + 1):
        play = Play(bounds, "created by the group")
        play.mishap = (lost, kind)
        replaced(play)
        again = [undisturbed.moves[lost - 1]] if kind == "timeout_before" else []
        assert play.moves == [*undisturbed.moves[:lost], *again, *undisturbed.moves[lost:]]


def test_a_group_that_replaced_an_attached_member_itself_gets_no_second_one() -> None:
    """It found him stopped before anybody had put him on standby."""
    play = Play("room")
    old = play.member(OLD)
    assert old is not None
    was = before(play.group, old)
    play.stage.stop(OLD)
    play.stage.advance(600)

    move = swap(was, play.group, old=play.member(OLD), new=None, we_let_go=False)

    assert move.do is Do.STAY_OUT
    assert len(play.stage.newcomers()) == 1
    assert play.group.total == 2


def test_somebody_elses_activity_is_waited_for() -> None:
    play = Play("room")
    play.scaling.attach(GROUP, [NEW], entrusted=False, token="somebody else's")

    assert play.step_aside() is Do.NOTHING
    assert play.stage.states()[OLD] == "Standby"
    assert len(play.moves) > 1, "it was refused at first, as long as the other one ran"
