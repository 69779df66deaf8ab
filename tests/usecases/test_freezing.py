"""Guests are frozen around a snapshot and thawed whatever happens: their shells are real, time is emulated."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulator import seed
from emulator.cloud import Cloud
from emulator.ecs.assistant import Answer, Errand
from emulator.faults.fault import Fault
from shared.domain.errors import Forbidden, OutcomeUnknown, Retryable
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Freeze
from shared.ports.compute import Guests
from shared.state.journal import Journal
from shared.usecases.backup.freezing import Freezer, Frozen, Thawed, left_over
from shared.usecases.operations import CLAIM_FOR, ClaimLost, Work
from tests.guest_shell import GuestShell
from tests.usecases.backup_world import Died, EmulatedClock, Wire
from understudy.simulation.compute import InProcessGuests
from understudy.simulation.store import InProcessStore, create_tables

START = datetime(2026, 3, 2, tzinfo=UTC)
A, B, OFF = InstanceId("i-a"), InstanceId("i-b"), InstanceId("i-off")
OPERATION = OperationId("back_up/p/hourly/20260302T000000Z")
HOW = Freeze(before="echo frozen >> log", after="echo thawed >> log", within=timedelta(seconds=30))
ONCE = ["frozen", "thawed"]

SEED = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-1, cidr: 10.0.0.0/16}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-1}]
images: [{id: m-1, name: base, family: app, system_disk_gib: 20,
          guest: {command: [run], ports: [80], assistant: true}}]
instances:
  - {id: i-a, name: a, image: m-1, vswitch: vsw-h, address: 10.0.1.11, state: Running,
     system_disk: {id: d-a, size_gib: 20, category: cloud_essd}}
  - {id: i-b, name: b, image: m-1, vswitch: vsw-h, address: 10.0.1.12, state: Running,
     system_disk: {id: d-b, size_gib: 20, category: cloud_essd}}
  - {id: i-off, name: off, image: m-1, vswitch: vsw-h, address: 10.0.1.13, state: Stopped,
     system_disk: {id: d-off, size_gib: 20, category: cloud_essd}}
"""


def an_operation() -> Operation:
    return Operation(
        id=OPERATION,
        kind=OperationKind.BACK_UP,
        subject="p",
        state=OperationState.OPEN,
        created=START,
        policy=PolicyVersion(1),
        because="due",
        inputs={},
    )


class Waiting(EmulatedClock):
    """Waiting is letting the emulated time go on."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud.clock)
        self._cloud = cloud
        self.slept = timedelta(0)

    def sleep(self, duration: timedelta) -> None:
        self.slept += duration
        self._cloud.clock.advance(duration)


class Stage:
    def __init__(self, home: Path) -> None:
        self.cloud = Cloud(start=START)
        seed.load_text(SEED, self.cloud, where="test", settings={})
        create_tables(self.cloud, "understudy")
        self.clock = Waiting(self.cloud)
        self.wire = Wire()
        self.guests: Guests = self.wire.through(InProcessGuests(self.cloud), "guests")
        self.store = self.wire.through(InProcessStore(self.cloud, "understudy"), "store")
        self.freezer = Freezer(clock=self.clock)
        self.shells = {one: GuestShell(home / one) for one in (A, B, OFF)}
        self.cloud.ecs.assistant.on_errand(self._run, lambda _invocation, _instance: None)
        self.runs = 0
        Journal(InProcessStore(self.cloud, "understudy"), self.clock).open(an_operation())

    def work(self) -> Work:
        """A new run's hold on the operation; the claim of a dead one has run out."""
        journal = Journal(self.store, self.clock)
        self.runs += 1
        claim = Journal(InProcessStore(self.cloud, "understudy"), self.clock).claim(
            OPERATION, f"run-{self.runs}", CLAIM_FOR
        )
        assert claim is not None
        return Work(journal, claim)

    def freeze(self, *instances: InstanceId, how: Freeze = HOW, work: Work | None = None) -> Frozen:
        return self.freezer.freeze(work or self.work(), self.guests, instances, how)

    def cycle(self, *instances: InstanceId, how: Freeze = HOW, snapshot: float = 1) -> dict[InstanceId, Thawed]:
        work = self.work()
        frozen = self.freezer.freeze(work, self.guests, instances, how)
        self.cloud.clock.advance(timedelta(seconds=snapshot))
        return dict(self.freezer.thaw(work, self.guests, frozen, how))

    def calls(self, label: str) -> int:
        return self.wire.labels.count(f"guests.{label}")

    def log(self, instance: InstanceId) -> list[str]:
        return self.shells[instance].log

    def fault(self, **fault: object) -> None:
        self.cloud.faults.add_all([Fault(**fault)])  # type: ignore[arg-type]

    def _run(self, errand: Errand) -> None:
        """In a real shell at once; the answer comes a second later."""
        ran = self.shells[InstanceId(errand.instance_id)].run(errand.text)
        answer = Answer(exit_code=ran.returncode, output=ran.stdout)
        assistant = self.cloud.ecs.assistant
        self.cloud.clock.call_later(
            timedelta(seconds=1), lambda: assistant.answer(errand.invocation_id, errand.instance_id, answer)
        )

    def close(self) -> None:
        for shell in self.shells.values():
            shell.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


# What goes wrong ----------------------------------------------------------------------------------------------------


def test_a_guest_whose_machine_is_off_does_not_keep_the_others_from_freezing(stage: Stage) -> None:
    frozen = stage.freeze(A, OFF, B)

    assert frozen.held == (A, B)
    assert "the instance is not running" in frozen.refused[OFF]
    assert OFF not in frozen.to_thaw


def test_an_instance_that_is_gone_does_not_either(stage: Stage) -> None:
    gone = InstanceId("i-gone")

    frozen = stage.freeze(A, gone, B)

    assert set(frozen.held) == {A, B}
    assert "i-gone does not exist" in frozen.refused[gone]


def test_a_silent_agent_is_waited_for_half_of_the_time_and_thawed_in_case_it_wakes(stage: Stage) -> None:
    stage.cloud.ecs.assistant.silence("i-b")

    work = stage.work()
    frozen = stage.freeze(A, B, work=work)

    assert stage.clock.slept <= HOW.within / 2
    assert frozen.held == (A,)
    assert frozen.refused[B] == "freeze: pending for too long; is Cloud Assistant running in the guest?"
    assert frozen.to_thaw == (A, B)
    thawed = stage.freezer.thaw(work, stage.guests, frozen, HOW)
    assert thawed[A].held
    assert not thawed[B].held
    stage.cloud.ecs.assistant.silence("i-b", silent=False)
    stage.cloud.clock.advance(timedelta(minutes=2))
    assert stage.log(B) in ([], ONCE)  # whichever of the two commands was handed over first
    assert not stage.shells[B].timer_lives()


def test_a_before_that_fails_is_told_with_its_words_and_needs_no_thaw(stage: Stage) -> None:
    work = stage.work()
    frozen = stage.freeze(A, how=replace(HOW, before="echo no such database; exit 3"), work=work)

    assert frozen.held == frozen.to_thaw == ()
    assert frozen.refused[A] == ("freeze: failed with exit code 75: no such database\nbefore ended with exit code 3")
    assert left_over(work) == ()
    assert stage.log(A) == ["thawed"]


def test_an_after_that_fails_is_told_because_the_guest_may_still_be_frozen(stage: Stage) -> None:
    thawed = stage.cycle(A, how=replace(HOW, after="echo read-only file system; exit 1"))

    assert thawed[A].stuck
    assert "read-only file system" in thawed[A].because


def test_a_snapshot_that_took_longer_than_the_freeze_is_only_crash_consistent(stage: Stage) -> None:
    work = stage.work()
    frozen = stage.freeze(A, work=work)
    stage.cloud.clock.advance(timedelta(seconds=31))
    stage.shells[A].fire_timer()

    thawed = stage.freezer.thaw(work, stage.guests, frozen, HOW)

    assert thawed[A] == Thawed(held=False, because="the guest's own timer had thawed it before")
    assert stage.log(A) == ONCE


def test_a_thaw_that_is_not_answered_proves_nothing(stage: Stage) -> None:
    work = stage.work()
    frozen = stage.freeze(A, work=work)
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)

    thawed = stage.freezer.thaw(work, stage.guests, frozen, HOW)

    assert not thawed[A].held
    assert "its own timer thaws it" in thawed[A].because
    assert stage.clock.slept <= HOW.within * 3 / 2


def test_throttled_before_anything_is_frozen_is_tried_later(stage: Stage) -> None:
    stage.fault(kind="throttle", action="RunCommand")
    work = stage.work()

    with pytest.raises(Retryable):
        stage.freeze(A, work=work)

    assert left_over(work) == ()
    assert stage.log(A) == []


def test_throttled_at_the_thaw_is_tried_until_it_goes_through(stage: Stage) -> None:
    work = stage.work()
    frozen = stage.freeze(A, work=work)
    stage.fault(kind="throttle", action="RunCommand", calls=3)

    assert stage.freezer.thaw(work, stage.guests, frozen, HOW)[A].held
    assert stage.log(A) == ONCE


def test_commands_that_are_not_permitted_are_a_reason_and_no_end(stage: Stage) -> None:
    def forbidden(_number: int, label: str, after: bool) -> None:
        if label == "guests.run" and not after:
            raise Forbidden("ecs RunCommand: Forbidden.RAM")

    stage.wire.trouble = forbidden

    assert stage.freeze(A, B).refused == dict.fromkeys((A, B), "ecs RunCommand: Forbidden.RAM")


@pytest.mark.parametrize("answered", [False, True], ids=["before its effect", "after its effect"])
def test_a_lost_answer_begins_no_second_freeze(stage: Stage, answered: bool) -> None:
    lost: list[str] = []

    def lose(_number: int, label: str, after: bool) -> None:
        if label == "guests.run" and after is answered and not lost:
            lost.append(label)
            raise OutcomeUnknown("no answer")

    stage.wire.trouble = lose

    thawed = stage.cycle(A)

    assert lost
    assert thawed[A].held
    assert stage.log(A) == ONCE


def test_a_script_that_is_too_large_is_refused_without_a_call(stage: Stage) -> None:
    frozen = stage.freeze(A, how=replace(HOW, before="#" * 20_000))

    assert "put them into files on the instance" in frozen.refused[A]
    assert stage.calls("run") == 0


def test_nothing_is_frozen_when_the_claim_would_run_out(stage: Stage) -> None:
    work = stage.work()
    stage.cloud.clock.advance(CLAIM_FOR - timedelta(seconds=20))

    with pytest.raises(ClaimLost):
        stage.freeze(A, work=work)

    assert stage.calls("run") == 0


# What goes well -----------------------------------------------------------------------------------------------------


def test_a_freeze_that_held_is_proved_by_its_thaw(stage: Stage) -> None:
    assert stage.cycle(A, B) == dict.fromkeys((A, B), Thawed(held=True, because=""))
    assert stage.log(A) == stage.log(B) == ONCE
    assert stage.calls("run") == 2


def test_two_hundred_and_thirty_guests_take_three_calls_each_way(stage: Stage) -> None:
    many = fleet(stage, 230)
    stage.cloud.ecs.assistant.behave(lambda errand: errand.instance_id in many, Answer())

    thawed = stage.cycle(*many)

    assert all(one.held for one in thawed.values())
    assert len(thawed) == 230
    assert stage.calls("run") == 6


def fleet(stage: Stage, size: int) -> list[InstanceId]:
    lines = [
        f"  - {{id: i-{n}, name: n{n}, image: m-1, vswitch: vsw-h, address: 10.0.2.{n}, state: Running,\n"
        f"     system_disk: {{id: d-{n}, size_gib: 20, category: cloud_essd}}}}\n"
        for n in range(1, size + 1)
    ]
    text = SEED.partition("instances:")[0].replace("10.0.1.0/24", "10.0.2.0/24") + "instances:\n" + "".join(lines)
    stage.cloud = Cloud(start=START)
    seed.load_text(text, stage.cloud, where="test", settings={})
    create_tables(stage.cloud, "understudy")
    stage.clock = Waiting(stage.cloud)
    stage.guests = stage.wire.through(InProcessGuests(stage.cloud), "guests")
    stage.store = InProcessStore(stage.cloud, "understudy")
    stage.freezer = Freezer(clock=stage.clock)
    Journal(stage.store, stage.clock).open(an_operation())
    return [InstanceId(f"i-{n}") for n in range(1, size + 1)]


# Interruptions ------------------------------------------------------------------------------------------------------


def recovered(stage: Stage, instances: Sequence[InstanceId]) -> dict[InstanceId, Thawed]:
    """What a run after a crash does first, a claim later; the guests' timers have not fired yet."""
    stage.cloud.clock.advance(CLAIM_FOR + timedelta(seconds=1))
    stage.wire.trouble = lambda number, label, after: None
    work = stage.work()
    thawed = stage.freezer.thaw_left_over(work, stage.guests, HOW)
    assert left_over(work) == ()
    assert set(thawed) <= set(instances)
    return dict(thawed)


@pytest.mark.parametrize("fired", [False, True], ids=["before the timer fires", "after the timer fired"])
def test_wherever_it_dies_a_later_run_thaws_what_it_froze(tmp_path: Path, fired: bool) -> None:
    uninterrupted = Stage(tmp_path / "whole")
    uninterrupted.cycle(A)
    points = [(number, after) for number in range(len(uninterrupted.wire.labels)) for after in (False, True)]
    uninterrupted.close()

    for number, after in points:
        stage = Stage(tmp_path / f"{number}-{after}")
        stage.wire.trouble = die_at(number, after)
        thawed: dict[InstanceId, Thawed] = {}
        try:
            stage.cycle(A)
        except Died:
            stage.cloud.clock.advance(timedelta(seconds=5))  # what was sent is handed over
            was_fired = fired and stage.shells[A].timer_lives() and stage.shells[A].fire_timer()
            thawed = recovered(stage, [A])
            assert not (was_fired and thawed[A].held), f"died at {number}, after={after}"
        assert stage.log(A) in ([], ONCE), f"died at {number}, after={after}: {stage.log(A)}"
        assert stage.shells[A].timer_ends()
        stage.close()


def test_a_thaw_that_was_done_and_not_recorded_is_still_a_proof(stage: Stage) -> None:
    thaws = 0

    def die_after_the_thaw(_number: int, label: str, after: bool) -> None:
        nonlocal thaws
        thaws += label == "guests.run" and after
        if thaws == 2 and label == "guests.results":
            raise Died

    stage.wire.trouble = die_after_the_thaw
    with pytest.raises(Died):
        stage.cycle(A)
    stage.cloud.clock.advance(timedelta(seconds=5))

    assert recovered(stage, [A])[A].held
    assert stage.log(A) == ONCE


def test_with_us_dead_for_good_the_guest_thaws_itself(stage: Stage) -> None:
    stage.freeze(A)
    stage.shells[A].fire_timer()

    assert stage.shells[A].timer_ends()
    assert stage.log(A) == ONCE


def test_a_freeze_that_the_policy_dropped_meanwhile_is_left_to_the_guests_timer(stage: Stage) -> None:
    work = stage.work()
    stage.freeze(A, work=work)

    assert stage.freezer.thaw_left_over(work, stage.guests, None) == {}
    assert left_over(work) == ()


def test_a_later_freeze_of_the_same_operation_is_another_one(stage: Stage) -> None:
    stage.cycle(A)
    stage.cloud.clock.advance(CLAIM_FOR + timedelta(seconds=1))

    assert stage.cycle(A)[A].held
    assert stage.log(A) == [*ONCE, *ONCE]


def die_at(number: int, after: bool) -> Callable[[int, str, bool], None]:
    def trouble(at: int, _label: str, now: bool) -> None:
        if (at, now) == (number, after):
            raise Died

    return trouble
