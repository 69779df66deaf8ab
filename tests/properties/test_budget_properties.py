"""Several function instances spend from one budget, in the midst of each other's calls and with answers lost."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import budget
from shared.domain.budget import Caller
from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.policy import ApiLimits
from tests.usecases.test_pacing import Stage

ACTION = "CreateSnapshot"
LOST_BEFORE, LOST_AFTER, INTERRUPTED = range(3)


class Competition:
    """`callers`: which are recovery. Each call of the store may be struck: its answer is lost, or another caller has
    its turn in the midst of it."""

    def __init__(self, callers: list[bool], limits: ApiLimits, strokes: dict[int, tuple[int, int]]) -> None:
        self.stage = Stage(limits)
        kinds = [Caller.RECOVERY if urgent else Caller.ORDINARY for urgent in callers]
        self.callers = [(kind, self.stage.caller(kind)) for kind in kinds]
        self.strokes = strokes
        self.made: Counter[tuple[int, Caller]] = Counter()
        self.refused: Counter[tuple[int, Caller]] = Counter()
        self.unpaced: set[int] = set()
        self.busy: set[int] = set()  # callers in the midst of a call: one instance does one thing at a time
        self.stage.wire.trouble = self.strike

    def turn(self, number: int) -> None:
        number %= len(self.callers)
        if number in self.busy:
            return
        kind, pacing = self.callers[number]
        minute = budget.minute_of(self.stage.clock.now())
        self.busy.add(number)
        try:
            pacing.before(ACTION, changes=True)
        except Retryable:
            self.refused[minute, kind] += 1
        else:
            self.made[minute, kind] += 1
        finally:
            self.busy.discard(number)

    def strike(self, number: int, label: str, after: bool) -> None:
        what, who = self.strokes.get(number, (-1, 0))
        if what == INTERRUPTED:
            self.turn(who)
        elif label == "store.put" and (what, after) in ((LOST_BEFORE, False), (LOST_AFTER, True)):
            raise OutcomeUnknown("no answer")


strokes = st.dictionaries(
    st.integers(0, 120),
    st.tuples(st.sampled_from([LOST_BEFORE, LOST_AFTER, INTERRUPTED]), st.integers(0, 5)),
    max_size=40,
)
limits = st.builds(
    lambda whole, reserve: ApiLimits(default=whole, reserve_percent=reserve), st.integers(2, 30), st.integers(0, 90)
)
turns = st.lists(st.one_of(st.integers(0, 5), st.just("next minute")), max_size=150)


@given(callers=st.lists(st.booleans(), min_size=1, max_size=5), limits=limits, strokes=strokes, turns=turns)
@settings(max_examples=150, deadline=None)
def test_together_they_keep_to_the_limit_and_ordinary_callers_to_their_share(
    callers: list[bool], limits: ApiLimits, strokes: dict[int, tuple[int, int]], turns: list[Any]
) -> None:
    competition = Competition(callers, limits, {key: what for key, what in strokes.items() if _settled(key, strokes)})
    for turn in turns:
        if turn == "next minute":
            competition.stage.next_minute()
        else:
            competition.turn(turn)

    ordinary = budget.share(limits, ACTION, Caller.ORDINARY)
    for minute in {minute for minute, _ in competition.made}:
        made = {kind: competition.made[minute, kind] for kind in Caller}
        assert made[Caller.ORDINARY] <= ordinary
        assert sum(made.values()) <= limits.default


def test_wherever_one_is_interrupted_by_another_that_spends_all_it_can_get() -> None:
    limits = ApiLimits(default=10, reserve_percent=30)
    for number in range(24):
        competition = Competition([False, False], limits, {})
        stage = competition.stage

        def spend(
            at: int, _label: str, after: bool, competition: Competition = competition, number: int = number
        ) -> None:
            if at == number // 2 and after is bool(number % 2):
                for _ in range(20):
                    competition.turn(1)

        stage.wire.trouble = spend
        for _ in range(20):
            competition.turn(0)

        assert sum(competition.made.values()) == 7, f"interrupted at {number}"


def _settled(key: int, strokes: dict[int, tuple[int, int]]) -> bool:
    """Recovery goes on unpaced when the store cannot even be read back; of that another test tells. So no two lost
    answers stand so near that they strike one write, its reading back and its repetition."""
    return strokes[key][0] == INTERRUPTED or not any(
        other != key and abs(other - key) < 4 and strokes[other][0] != INTERRUPTED for other in strokes
    )


@given(
    ordinary=st.integers(1, 4), limits=limits, strokes=strokes, first=st.integers(0, 200), recovery=st.integers(0, 60)
)
@settings(max_examples=100, deadline=None)
def test_the_reserve_is_there_for_recovery_whatever_the_others_spend(
    ordinary: int, limits: ApiLimits, strokes: dict[int, tuple[int, int]], first: int, recovery: int
) -> None:
    competition = Competition([*[False] * ordinary, True], limits, strokes)
    for turn in range(first):
        competition.turn(turn % ordinary)
    competition.stage.wire.trouble = lambda number, label, after: None
    reserve = limits.default - budget.share(limits, ACTION, Caller.ORDINARY)
    before = sum(count for (_, kind), count in competition.made.items() if kind is Caller.RECOVERY)
    for _ in range(min(recovery, reserve - before)):
        competition.turn(ordinary)

    assert not any(kind is Caller.RECOVERY for _, kind in competition.refused)


@given(callers=st.integers(1, 5), limits=limits, strokes=strokes, first=st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_everybody_gets_on_again_when_the_window_turns(
    callers: int, limits: ApiLimits, strokes: dict[int, tuple[int, int]], first: int
) -> None:
    competition = Competition([False] * callers, limits, strokes)
    for turn in range(first):
        competition.turn(turn)
    competition.stage.wire.trouble = lambda number, label, after: None
    competition.stage.next_minute()
    now = budget.minute_of(competition.stage.clock.now())
    for turn in range(callers * 100):
        competition.turn(turn)

    assert competition.made[now, Caller.ORDINARY] == budget.share(limits, ACTION, Caller.ORDINARY)
