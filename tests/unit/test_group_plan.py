"""One move at a time with a scaling group: each look at it decides anew."""

from dataclasses import dataclass, field, replace

import pytest

from shared.domain.group_plan import Before, Do, Move, before, step_aside, step_back, swap


@dataclass(frozen=True, slots=True, kw_only=True)
class AGroup:
    active: bool = True
    least: int = 1
    most: int = 4
    desired: int | None = 2
    total: int = 2
    suspended: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class AMember:
    state: str = "inservice"
    created_by_group: bool = False
    entrusted: bool = False


ROOMY = AGroup()
TIGHT = AGroup(least=2, most=2)
OLD, NEW = AMember(state="standby"), AMember()
WAS = Before(most=4, desired=2, total=2, entrusted=False)
WAS_TIGHT = replace(WAS, most=2)


def next_swap(
    group: AGroup | None,
    *,
    was: Before = WAS,
    old: AMember | None = OLD,
    new: AMember | None = None,
    we_let_go: bool = False,
) -> Move:
    return swap(was, group, old=old, new=new, we_let_go=we_let_go)


# Aside --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "member", "do"),
    [
        (ROOMY, None, Do.NOTHING),
        (ROOMY, AMember(), Do.ENTER_STANDBY),
        (TIGHT, AMember(created_by_group=True), Do.ENTER_STANDBY),
        (ROOMY, AMember(state="standby"), Do.NOTHING),
        (ROOMY, AMember(state="protected"), Do.NOTHING),
        (ROOMY, AMember(state="pending"), Do.WAIT),
        (ROOMY, AMember(state="removing"), Do.WAIT),
        (ROOMY, AMember(state="stopped"), Do.OPERATOR),
        (replace(ROOMY, active=False), AMember(), Do.NOTHING),
        (None, AMember(), Do.OPERATOR),
        (None, AMember(state="standby"), Do.NOTHING),
    ],
)
def test_who_is_stopped_on_purpose_steps_aside_first(group: AGroup | None, member: AMember | None, do: Do) -> None:
    assert step_aside(group, member).do is do


@pytest.mark.parametrize(
    ("group", "member", "runs", "do"),
    [
        (ROOMY, AMember(state="standby"), True, Do.EXIT_STANDBY),
        (ROOMY, AMember(state="standby"), False, Do.WAIT),
        (ROOMY, AMember(state="pending"), True, Do.WAIT),
        (ROOMY, AMember(), True, Do.NOTHING),
        (None, AMember(state="standby"), True, Do.WAIT),
        (replace(ROOMY, active=False), AMember(state="standby"), True, Do.OPERATOR),
        (ROOMY, None, True, Do.OPERATOR),
    ],
)
def test_who_stepped_aside_comes_back_when_it_runs(
    group: AGroup | None, member: AMember | None, runs: bool, do: Do
) -> None:
    assert step_back(group, member, runs=runs).do is do


# In another one's place ---------------------------------------------------------------------------------------------


def test_a_group_that_is_not_shown_is_not_a_deleted_one() -> None:
    assert next_swap(None).do is Do.WAIT


def test_a_disabled_group_takes_nobody_in() -> None:
    assert next_swap(replace(ROOMY, active=False)).do is Do.OPERATOR


@pytest.mark.parametrize(("process", "new"), [("ScaleOut", None), ("ScaleIn", NEW)])
def test_what_somebody_suspended_is_named_to_the_operator(process: str, new: AMember | None) -> None:
    move = next_swap(replace(ROOMY, total=3, suspended=frozenset({process})), new=new)

    assert move.do is Do.OPERATOR
    assert process in move.because


def test_with_room_the_new_one_joins_first_and_is_held_like_the_old_one() -> None:
    was = before(ROOMY, AMember(created_by_group=True))

    assert next_swap(ROOMY, was=was) == Move(do=Do.ATTACH, because="there is room beside the old one", entrusted=True)
    assert not next_swap(ROOMY).entrusted


def test_a_full_group_above_its_minimum_lets_the_old_one_go_first() -> None:
    move = next_swap(AGroup(least=1, most=2), was=WAS_TIGHT)

    assert (move.do, move.decrease) == (Do.DETACH, True)


def test_a_full_group_at_its_minimum_is_widened_by_one() -> None:
    move = next_swap(TIGHT, was=WAS_TIGHT)

    assert (move.do, move.size) == (Do.WIDEN, 3)


def test_where_scale_in_is_suspended_a_full_group_is_widened_instead() -> None:
    move = next_swap(AGroup(least=1, most=2, suspended=frozenset({"ScaleIn"})), was=WAS_TIGHT)

    assert (move.do, move.size) == (Do.WIDEN, 3)


def test_a_place_that_somebody_else_took_is_not_made_twice() -> None:
    assert next_swap(AGroup(least=3, most=3, total=3, desired=3), was=WAS_TIGHT).do is Do.WAIT


def test_a_place_that_the_group_filled_itself_is_not_doubled() -> None:
    assert next_swap(ROOMY, old=None).do is Do.STAY_OUT


def test_a_place_that_we_made_free_is_ours() -> None:
    assert next_swap(replace(ROOMY, total=2), old=None, we_let_go=True).do is Do.ATTACH
    assert next_swap(replace(ROOMY, total=1, desired=1), old=None, we_let_go=True).do is Do.ATTACH


def test_a_place_that_the_group_left_empty_is_filled() -> None:
    assert next_swap(replace(ROOMY, total=1), old=None).do is Do.ATTACH


def test_a_group_that_others_filled_needs_an_operator() -> None:
    assert next_swap(replace(ROOMY, total=4), old=None, we_let_go=True).do is Do.OPERATOR


@pytest.mark.parametrize("state", ["pending", "pending:wait", "removing", "removing:wait"])
def test_what_is_on_its_way_is_waited_for(state: str) -> None:
    assert next_swap(ROOMY, old=AMember(state=state)).do is Do.WAIT
    assert next_swap(ROOMY, old=None, new=AMember(state=state)).do is Do.WAIT


@pytest.mark.parametrize(("desired", "decrease"), [(3, True), (2, False), (None, True)])
def test_the_desired_capacity_falls_with_the_old_one_if_it_rose_with_the_new_one(
    desired: int | None, decrease: bool
) -> None:
    was = replace(WAS, desired=None) if desired is None else WAS
    move = next_swap(AGroup(total=3, desired=desired), was=was, new=NEW)

    assert (move.do, move.decrease) == (Do.DETACH, decrease)


def test_nobody_leaves_a_group_at_its_minimum() -> None:
    assert next_swap(TIGHT, was=WAS_TIGHT, new=NEW).do is Do.WAIT


def test_what_was_widened_is_narrowed_when_nobody_would_be_released_for_it() -> None:
    widened = AGroup(least=2, most=3)

    assert next_swap(replace(widened, total=3), was=WAS_TIGHT, old=None, new=NEW).do is Do.WAIT
    move = next_swap(widened, was=WAS_TIGHT, old=None, new=NEW)
    assert (move.do, move.size) == (Do.NARROW, 2)


def test_a_maximum_that_somebody_else_set_stays() -> None:
    assert next_swap(AGroup(most=9), was=WAS_TIGHT, old=None, new=NEW).do is Do.NOTHING


def test_done_is_done() -> None:
    assert next_swap(ROOMY, old=None, new=NEW).do is Do.NOTHING
