"""Whatever stands, letting image versions go keeps to its promises."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import ImageId
from shared.domain.image_versions import GRACE, Fate, Verdict, Version, newest, plan_retirement
from shared.domain.inventory import ImageState

NOW = datetime(2026, 3, 20, tzinfo=UTC)
AGES = st.integers(-2, 60).map(lambda days: NOW - timedelta(days=days))


@st.composite
def versions(draw: st.DrawFn) -> list[Version]:
    count = draw(st.integers(0, 8))
    numbers = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    found = []
    for at, number in enumerate(numbers):
        state = draw(st.sampled_from(ImageState))
        found.append(
            Version(
                image=ImageId(f"m-{at}"),
                number=number,
                made=draw(AGES),
                state=state,
                startable=state is ImageState.AVAILABLE and draw(st.booleans()),
                held=draw(st.sampled_from([(), (), ("pinned by li: audit",), ("instances made of it stand",)])),
                deprecated=draw(st.none() | AGES) if state is ImageState.DEPRECATED else None,
            )
        )
    return found


KEEP, CAP = st.integers(0, 5), st.integers(0, 5)


def planned(stands: list[Version], keep: int, cap: int) -> tuple[Verdict, ...]:
    return plan_retirement(stands, keep=keep, now=NOW, at_most=cap)


def changed(verdicts: tuple[Verdict, ...], *fates: Fate) -> list[Version]:
    return [one.version for one in verdicts if one.fate in (fates or (Fate.DEPRECATE, Fate.DELETE))]


@given(versions(), KEEP, CAP)
def test_each_version_has_one_verdict_with_its_reason(stands: list[Version], keep: int, cap: int) -> None:
    verdicts = planned(stands, keep, cap)

    assert Counter(one.version.image for one in verdicts) == Counter(one.image for one in stands)
    assert all(one.because for one in verdicts)


@given(versions(), KEEP, CAP)
def test_nothing_that_is_held_goes(stands: list[Version], keep: int, cap: int) -> None:
    """In use, named by a configuration, being copied, pinned: all of these are reasons to hold it."""
    assert not [one for one in changed(planned(stands, keep, cap)) if one.held]


@given(versions(), KEEP, CAP)
def test_the_newest_usable_ones_stay(stands: list[Version], keep: int, cap: int) -> None:
    gone = {one.image for one in changed(planned(stands, keep, cap))}
    usable = sorted((one for one in stands if one.startable), key=lambda one: one.order)

    assert not {one.image for one in usable[-max(1, keep) :]} & gone
    assert (best := newest(stands)) is None or best.image not in gone


@given(versions(), KEEP, CAP)
def test_the_last_usable_one_is_never_gone_afterwards(stands: list[Version], keep: int, cap: int) -> None:
    gone = {one.image for one in changed(planned(stands, keep, cap))}

    if any(one.startable for one in stands):
        assert [one for one in stands if one.startable and one.image not in gone]
    else:
        assert all(one.state is ImageState.FAILED for one in stands if one.image in gone)


@given(versions(), KEEP, CAP)
def test_a_run_changes_no_more_than_its_cap_and_the_oldest_first(stands: list[Version], keep: int, cap: int) -> None:
    some, all_ = changed(planned(stands, keep, cap)), changed(planned(stands, keep, 100))

    assert len(some) <= cap
    assert some == all_[: len(some)]
    assert len(some) == min(cap, len(all_))


@given(versions(), KEEP, CAP)
def test_only_what_left_its_family_a_week_ago_by_our_hand_or_failed_is_deleted(
    stands: list[Version], keep: int, cap: int
) -> None:
    for one in changed(planned(stands, keep, cap), Fate.DELETE):
        since = one.made if one.state is ImageState.FAILED else one.deprecated
        assert since is not None
        assert one.state in (ImageState.FAILED, ImageState.DEPRECATED)
        assert NOW - since >= GRACE


@given(versions(), KEEP)
def test_a_plan_that_was_carried_out_plans_nothing_more_on_that_day(stands: list[Version], keep: int) -> None:
    first = planned(stands, keep, 100)
    after = []
    for verdict in first:
        one = verdict.version
        if verdict.fate is Fate.DEPRECATE:
            gone = Version(
                image=one.image,
                number=one.number,
                made=one.made,
                state=ImageState.DEPRECATED,
                startable=False,
                deprecated=NOW,
            )
            after.append(gone)
        elif verdict.fate is Fate.KEEP:
            after.append(one)

    assert changed(planned(after, keep, 100)) == []


@given(versions(), KEEP)
def test_interrupted_after_any_change_it_arrives_at_the_same_end(stands: list[Version], keep: int) -> None:
    whole = {one.image for one in changed(planned(stands, keep, 100))}
    step_by_step: set[ImageId] = set()
    left = list(stands)
    while True:
        one_at_a_time = changed(planned(left, keep, 1))
        if not one_at_a_time:
            break
        (one,) = one_at_a_time
        step_by_step.add(one.image)
        left = [other for other in left if other.image != one.image]

    assert step_by_step == whole
