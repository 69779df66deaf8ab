"""The budget of API calls: who waits, who is told to come again, and who never waits for the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from emulator.cloud import Cloud
from shared.adapters.pacing import WAIT_UNTIL, Pacing, Patience
from shared.domain import api_waves, budget
from shared.domain.budget import Caller
from shared.domain.errors import OutcomeUnknown, Retryable, Throttled
from shared.domain.place import Place
from shared.domain.policy import ApiLimits
from shared.state.budgets import Budgets
from tests.usecases.backup_world import Wire
from understudy.simulation.store import InProcessStore, create_tables

START = datetime(2026, 3, 2, 0, 0, 10, tzinfo=UTC)
HERE = Place("cn-hangzhou")
LIMITS = ApiLimits(default=100, actions={"CreateSnapshot": 20}, reserve_percent=30)
MINUTE = timedelta(minutes=1)


class Minutes:
    """An invocation's clock on the emulated calendar. Waiting lets it go on."""

    rate = 1.0
    began = 0.0

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.slept = timedelta(0)

    def now(self) -> datetime:
        return self._cloud.clock.now()

    def monotonic(self) -> float:
        return (self.now() - START).total_seconds()

    def sleep(self, duration: timedelta) -> None:
        self.slept += duration
        self._cloud.clock.advance(duration)

    def sync(self) -> None:
        self.began = self.monotonic()


class Stage:
    def __init__(self, limits: ApiLimits = LIMITS) -> None:
        self.cloud = Cloud(start=START)
        create_tables(self.cloud, "understudy")
        self.wire = Wire()
        self.store = self.wire.through(InProcessStore(self.cloud, "understudy"), "store")
        self.clock = Minutes(self.cloud)
        self.limits = limits
        self._callers = 0

    def caller(self, kind: Caller = Caller.ORDINARY) -> Pacing:
        """One function instance."""
        self._callers += 1
        return Pacing(
            HERE,
            budgets=Budgets(self.store, owner=f"instance-{self._callers}"),
            limits=lambda: self.limits,
            caller=kind,
            clock=self.clock,
            patience=Patience(self.clock),
            jitter=lambda low, high: (low + high) / 2,
        )

    def next_minute(self) -> None:
        self.cloud.clock.advance(budget.until_next(self.clock.now()))

    @property
    def asked(self) -> int:
        return len(self.wire.labels)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def made(pacing: Pacing, action: str = "DescribeDisks", *, at_most: int = 1_000) -> int:
    """How many changes go through until one is told to come again."""
    for number in range(at_most):
        try:
            pacing.before(action, changes=True)
        except Retryable:
            return number
    return at_most


def listed(pacing: Pacing) -> int:
    """How many pages are read until the invocation has waited as long as it may."""
    for number in range(1_000):
        try:
            pacing.before("DescribeDisks", changes=False)
        except Retryable:
            return number
    return 1_000


def broken(what: Exception) -> Callable[[int, str, bool], None]:
    def trouble(_number: int, _label: str, after: bool) -> None:
        if not after:
            raise what

    return trouble


# What goes wrong ----------------------------------------------------------------------------------------------------


def test_a_change_without_budget_is_told_when_to_come_again_and_what_to_turn(stage: Stage) -> None:
    pacing = stage.caller()
    made(pacing)

    with pytest.raises(Retryable, match=r"limits\.actions\.DescribeDisks in the policy") as told:
        pacing.before("DescribeDisks", changes=True)

    assert told.value.retry_after is not None
    assert timedelta(seconds=50) <= told.value.retry_after <= timedelta(seconds=55)
    assert stage.clock.slept == timedelta(0)


def test_a_listing_waits_for_the_next_minute(stage: Stage) -> None:
    pacing = stage.caller()
    made(pacing)

    pacing.before("DescribeDisks", changes=False)

    assert timedelta(seconds=50) <= stage.clock.slept <= timedelta(seconds=55)


def test_a_listing_waits_no_longer_than_its_invocation_may(stage: Stage) -> None:
    stage = Stage(ApiLimits(default=1, reserve_percent=0))
    pacing = stage.caller()

    assert listed(pacing) == 1 + WAIT_UNTIL // MINUTE
    assert stage.clock.slept <= WAIT_UNTIL


def test_the_next_invocation_may_wait_again(stage: Stage) -> None:
    stage = Stage(ApiLimits(default=1, reserve_percent=0))
    pacing = stage.caller()
    listed(pacing)

    stage.clock.sync()

    pacing.before("DescribeDisks", changes=False)


def test_nobody_waits_on_a_clock_that_stands_still(stage: Stage) -> None:
    stage.clock.rate = 0.0
    pacing = stage.caller()
    made(pacing)

    with pytest.raises(Retryable):
        pacing.before("DescribeDisks", changes=False)
    assert stage.clock.slept == timedelta(0)


def test_throttled_by_the_cloud_nobody_of_us_asks_again_before_the_next_minute(stage: Stage) -> None:
    first, second, third = stage.caller(), stage.caller(), stage.caller()
    first.before("DescribeDisks", changes=True)
    with pytest.raises(Retryable) as told:
        first.refused("DescribeDisks", Throttled("Throttling.User"), changes=True)
    assert told.value.retry_after is not None
    assert told.value.retry_after > timedelta(seconds=50)

    assert made(second) == made(third) == made(first) == 0
    stage.next_minute()
    assert made(second, at_most=5) == 5


def test_a_throttled_listing_goes_on_in_the_next_minute(stage: Stage) -> None:
    pacing = stage.caller()
    pacing.before("DescribeDisks", changes=False)

    pacing.refused("DescribeDisks", Throttled("Throttling.User"), changes=False)

    assert stage.clock.now() > START.replace(second=0) + MINUTE
    pacing.before("DescribeDisks", changes=False)


def test_a_longer_wait_that_the_cloud_asks_for_is_passed_on(stage: Stage) -> None:
    throttled = Throttled("Throttling.User", retry_after=timedelta(minutes=2))
    with pytest.raises(Retryable) as told:
        stage.caller().refused("CreateSnapshot", throttled, changes=True)
    assert told.value.retry_after == timedelta(minutes=2)


@pytest.mark.parametrize("trouble", [Retryable("down"), OutcomeUnknown("no answer")], ids=["down", "no answer"])
def test_back_ups_stop_when_nobody_can_say_what_is_left(stage: Stage, trouble: Exception) -> None:
    stage.wire.trouble = broken(trouble)

    with pytest.raises(Retryable):
        stage.caller().before("CreateSnapshot", changes=True)


@pytest.mark.parametrize("trouble", [Retryable("down"), OutcomeUnknown("no answer")], ids=["down", "no answer"])
def test_recovery_goes_on_without_the_store_and_asks_it_once_a_minute(stage: Stage, trouble: Exception) -> None:
    stage.wire.trouble = broken(trouble)
    recovery = stage.caller(Caller.RECOVERY)

    assert made(recovery, "CreateSnapshot", at_most=500) == 500
    once = stage.asked
    assert made(recovery, "CreateSnapshot", at_most=500) == 500
    assert stage.asked == once


def test_recovery_that_is_throttled_asks_again_within_the_minute(stage: Stage) -> None:
    recovery = stage.caller(Caller.RECOVERY)
    recovery.before("DescribeDisks", changes=False)
    for _ in range(3):
        recovery.refused("DescribeDisks", Throttled("Throttling.User"), changes=False)

    assert stage.clock.slept == timedelta(seconds=1 + 2 + 4)
    recovery.before("DescribeDisks", changes=False)


# What is given ------------------------------------------------------------------------------------------------------


def test_back_ups_stop_at_their_share_and_recovery_has_the_rest(stage: Stage) -> None:
    ordinary = [stage.caller() for _ in range(4)]

    assert sum(made(one) for one in ordinary) == 70
    assert made(stage.caller(Caller.RECOVERY)) == 30


def test_each_action_and_each_minute_has_its_own_window(stage: Stage) -> None:
    pacing = stage.caller()
    assert made(pacing, "DescribeDisks") == 70
    assert made(pacing, "CreateSnapshot") == 14
    stage.next_minute()
    assert made(pacing, "CreateSnapshot") == 14


def test_what_is_left_of_a_batch_is_not_spent_in_a_later_minute(stage: Stage) -> None:
    first, second = stage.caller(), stage.caller()
    first.before("DescribeDisks", changes=True)
    stage.next_minute()

    assert made(second) + made(first) == 70


def test_a_clock_that_lags_takes_nothing_from_a_minute_that_is_over(stage: Stage) -> None:
    budgets = Budgets(stage.store, owner="a")
    assert budgets.take(HERE, "DescribeDisks", minute=100, share=70, caller=Caller.ORDINARY) == 7
    assert budgets.take(HERE, "DescribeDisks", minute=99, share=70, caller=Caller.ORDINARY) == 0


def test_a_clock_that_jumped_ahead_keeps_the_others_from_nothing(stage: Stage) -> None:
    """Its row would stand in their way until its minute comes."""
    wrong, right = Budgets(stage.store, owner="a"), Budgets(stage.store, owner="b")
    wrong.take(HERE, "DescribeDisks", minute=100 + 24 * 60, share=70, caller=Caller.ORDINARY)
    wrong.close(HERE, "DescribeDisks", minute=100 + 24 * 60)

    assert right.take(HERE, "DescribeDisks", minute=100, share=70, caller=Caller.ORDINARY) == 7
    right.close(HERE, "DescribeDisks", minute=100)
    assert right.take(HERE, "DescribeDisks", minute=100, share=70, caller=Caller.ORDINARY) == 0


@pytest.mark.parametrize("answered", [False, True], ids=["before its effect", "after its effect"])
def test_a_lost_answer_of_the_store_gives_nothing_twice(stage: Stage, answered: bool) -> None:
    pacing, lost = stage.caller(), []

    def lose(number: int, label: str, after: bool) -> None:
        if label == "store.put" and after is answered and number % 3 == 0:
            lost.append(number)
            raise OutcomeUnknown("no answer")

    stage.wire.trouble = lose

    assert made(pacing) <= 70
    assert lost


def test_a_hundred_calls_ask_the_store_six_times(stage: Stage) -> None:
    stage = Stage(ApiLimits(default=300, reserve_percent=30))
    pacing = stage.caller()
    assert made(pacing, at_most=100) == 100

    # One read and one write for the first batch of 21, one write for each of the four others.
    assert stage.asked == 6


def test_a_share_that_is_used_up_is_asked_for_once_a_minute(stage: Stage) -> None:
    pacing = stage.caller()
    made(pacing)
    before = stage.asked
    for _ in range(50):
        assert made(pacing) == 0
    assert stage.asked == before


def test_the_feasibility_check_reckons_with_the_same_share() -> None:
    for limits in (LIMITS, ApiLimits(default=1), ApiLimits(default=7, reserve_percent=95)):
        for action in ("CreateSnapshot", "DescribeDisks"):
            assert budget.share(limits, action, Caller.ORDINARY) == api_waves.allowed(limits, action)
