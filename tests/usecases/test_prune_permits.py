"""A plan over the caps stops, asks, and is let through once by a permit for that very plan."""

import re

import pytest

from shared.domain.errors import BadInput
from shared.domain.policy import PruneLimits
from shared.state.certificates import CertificateState
from tests.usecases.backup_world import MASTERS, a_policy
from tests.usecases.certified import all_accepted, documents
from tests.usecases.prune_stage import Stage, keeping, snapshots

FEW = PruneLimits(max_items=3, max_percent=100)


def over_the_cap() -> Stage:
    stage = Stage(4, a_policy(keeping(last=1), MASTERS, prune=FEW))
    stage.hours(2)
    return stage


def test_a_refused_run_tells_the_one_command_that_allows_this_very_plan() -> None:
    stage = over_the_cap()

    pruned = stage.prune()

    assert "4 restore points would go, more than max_items 3" in pruned.refused[0]
    assert f"understudy prune --apply --allow {pruned.permit}`" in pruned.refused[0]
    assert re.fullmatch(r"4-\d{8}T\d{6}Z-[0-9a-f]{16}", pruned.permit)
    assert stage.told()[0] == "prune.refused"
    assert stage.certificates()[0].state is CertificateState.REFUSED
    assert len(stage.points()) == 8
    assert all_accepted(stage) == 1


def test_a_permit_lets_that_plan_through_once_also_some_time_later() -> None:
    stage = over_the_cap()
    permit = stage.prune().permit
    stage.advance(minutes=40)

    allowed = stage.prune(allow=permit)
    again = stage.prune(allow=permit)

    assert allowed.gone == 4
    assert again.gone == 0
    assert documents(stage)[0]["head"]["terms"]["allowed"] == permit
    assert all_accepted(stage) == 2


def test_what_came_in_between_is_not_covered_and_changes_nothing_of_what_is() -> None:
    stage = over_the_cap()
    permit = stage.prune().permit
    stage.advance(minutes=1)
    newer = stage.take()  # now the second round would go as well

    allowed = stage.prune(allow=permit)

    assert allowed.gone == 4
    assert len(stage.points()) == 8
    assert snapshots(newer) <= stage.in_place()
    assert stage.prune().refused
    assert all_accepted(stage) == 3


def test_a_plan_that_is_another_by_one_point_is_not_covered() -> None:
    stage = over_the_cap()
    permit = stage.prune().permit
    point = stage.points()[-1]
    stage.command(command="pin", instance=point.subject, point=point.id, by="li", because="audit")

    pruned = stage.prune(allow=permit)

    assert "as of then 3 would go now" in pruned.refused[0]
    assert len(stage.points()) == 8
    assert all_accepted(stage) == 2


def test_a_permit_of_another_policy_is_none() -> None:
    stage = over_the_cap()
    permit = stage.prune().permit
    stage.policies.append(a_policy(keeping(last=1), prune=FEW))

    assert "permit" in stage.prune(allow=permit).refused[0]
    assert len(stage.points()) == 8


@pytest.mark.parametrize("text", ["1234", "x-20260302T103000Z-0", "4-20260302-0123", "4-20260302T103000Z-0-1"])
def test_what_is_no_permit_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(BadInput, match="--allow"):
        over_the_cap().prune(allow=text)


def test_a_permit_that_is_a_day_old_or_of_the_future_is_none() -> None:
    stage = over_the_cap()
    permit = stage.prune().permit
    ahead = permit.replace("2026", "2027", 1)
    stage.advance(hours=25)

    for each in (permit, ahead):
        with pytest.raises(BadInput, match="more than a day ago"):
            stage.prune(allow=each)


def test_what_the_guardrails_spare_does_not_count_against_the_cap() -> None:
    stage = over_the_cap()
    for point in (one for one in stage.points() if one.subject == "i-000"):
        stage.cloud.ecs.snapshots.find(point.disks[0][1]).images.add("m-1")

    assert stage.prune().gone == 3
    assert all_accepted(stage) == 1


def test_a_dry_run_tells_the_same_permit_as_a_real_one() -> None:
    stage = over_the_cap()

    assert stage.prune(dry=True).permit == stage.prune().permit


def test_one_protection_is_pruned_and_capped_by_itself() -> None:
    stage = Stage(4, a_policy(keeping(last=1), MASTERS, prune=FEW))
    stage.hours(2)
    subject = stage.subjects[0]
    for number, point in enumerate(one for one in stage.points() if one.subject == subject):
        stage.known.forget([point])
        stage.record(subject, point.taken, point.disks, id=f"m-{number}", protection=MASTERS.name)

    everything = stage.prune(dry=True)
    mine = stage.prune(protection=MASTERS.name)
    rest = stage.prune(protection="applications")

    # The masters keep two; of the applications three go, which is what the cap allows.
    assert everything.goes == 3
    assert (mine.gone, rest.gone) == (0, 3)
    assert documents(stage)[0]["head"]["terms"]["protection"] == "applications"
    with pytest.raises(BadInput, match="protection 'nothing' is not in policy"):
        stage.prune(protection="nothing")
    assert all_accepted(stage) == 1
