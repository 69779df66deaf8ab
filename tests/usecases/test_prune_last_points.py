"""Ways in which the last good point of a disk, or one that nobody looked at, could go; and do not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.usecases.prune import prune_survey
from tests.usecases.backup_world import PLACE
from tests.usecases.certified import all_accepted, documents
from tests.usecases.prune_stage import Stage, ids, snapshots
from understudy.certificate_checker import verify
from understudy.simulation.compute import InProcessClouds


def test_points_dated_in_the_future_do_not_vouch_for_a_disk_whose_newest_real_point_is_gone() -> None:
    stage = Stage(1)
    ahead = stage.clock.now() + timedelta(days=400)
    stage.take(taken=ahead)
    stage.take(taken=ahead + timedelta(hours=1))
    old, new = stage.hours(2)
    for snapshot in snapshots(new):
        InProcessClouds(stage.cloud).at(PLACE).snapshots.delete(snapshot)  # type: ignore[arg-type]

    pruned = stage.prune()

    assert pruned.gone == 0
    assert snapshots(old) <= stage.in_place()
    assert all("one usable point per disk" in one for one in pruned.spared)


def test_what_may_go_only_since_it_was_counted_is_left_to_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caps, and a permit, are for what was counted: a copy that completes meanwhile adds nothing."""
    monkeypatch.setattr(prune_survey, "HELD", 0)
    stage = Stage(2)
    first, second, _ = stage.hours(3)
    stage.copy([second[0]], complete=False)
    done: list[int] = []

    def completes(number: int, label: str, after: bool) -> None:
        if label == "store.put" and not after and not done:  # the certificate's first row, after the survey
            done.append(number)
            stage.known.copied(second[0], "cn-shanghai", because="complete")

    stage.wire.trouble = completes
    pruned = stage.prune()

    assert snapshots([second[0]]) <= stage.in_place()
    assert pruned.gone == 2  # of the other instance
    assert all_accepted(stage) == 1
    assert stage.prune().gone == 2
    assert all_accepted(stage) == 2
    assert not snapshots(first) & stage.in_place()


def test_what_was_never_asked_for_is_not_called_gone_because_a_short_list_leaves_it_out() -> None:
    stage = Stage(2)
    old, _ = stage.hours(2)
    whole = stage.here.snapshots
    hidden: set[str] = set()

    class Short:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **how: object) -> object:
            return iter([one for one in whole.list(**how) if one.id not in hidden])

        def delete(self, snapshot: str) -> None:
            whole.delete(snapshot)
            hidden.update(snapshots(old))
            stage.command(command="pause", scope="prune", because="something is odd", by="li")
            stage.advance(minutes=1)

    stage.here.snapshots = Short()
    stage.prune()

    assert snapshots(old) & stage.in_place(), "the test needs one that was not deleted"
    assert stage.in_place() <= stage.recorded() | snapshots(old[:1])
    assert snapshots([old[1]]) <= stage.recorded()


def test_a_read_back_that_leaves_out_something_that_must_remain_proves_nothing_and_is_rejected() -> None:
    stage = Stage(2)
    old, new = stage.hours(2)
    whole = stage.here.snapshots
    (_, lost) = new[1].disks[0]
    asked: list[int] = []

    class Short:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **how: object) -> object:
            asked.append(1)
            return iter([one for one in whole.list(**how) if len(asked) == 1 or one.id != lost])

    stage.here.snapshots = Short()
    pruned = stage.prune()
    stage.here.snapshots = whole

    assert pruned.gone == 0
    assert ids(old) <= ids(stage.points())
    (document,) = documents(stage)
    assert any(lost in reason for reason in verify(document).reasons)
    assert stage.prune().gone == 2


def test_a_snapshot_that_a_kept_point_holds_too_stays() -> None:
    stage = Stage(1)
    old, new = stage.hours(2)
    shared = replace(new[0], disks=(old[0].disks[0], new[0].disks[1]))
    stage.known.put([shared])

    pruned = stage.prune()

    assert pruned.gone == 0
    assert snapshots(old) <= stage.in_place()
    assert any("never shared" in one for one in stage.prune(dry=True).spared)
