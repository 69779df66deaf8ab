"""What falls due in one minute, against the calls that a minute allows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.domain.api_waves import allowed, calls, waves
from shared.domain.covered import Covered
from shared.domain.feasibility import study
from shared.domain.ids import AccountName
from shared.domain.policy import ApiLimits, CopyRule, Lock, Retention
from tests.unit.feasible import EVERY_HOUR, disk, every, policy, protection


def fleet(count: int, *, prefix: str = "", essd: bool = True) -> Sequence[Covered]:
    return [disk(f"d-{prefix}{number}", instance=f"i-{prefix}{number}", essd=essd) for number in range(count)]


def test_bundles_tags_and_lists_are_counted_as_the_api_takes_them() -> None:
    needed = calls(protection(), fleet(1000))

    assert needed["CreateSnapshotGroup"] == 63  # 16 disks each
    assert needed["TagResources"] == 20  # 50 each
    assert needed["DescribeDisks"] == 2  # 500 each
    assert needed["DescribeInstances"] == 10  # 100 each
    assert needed["DescribeSnapshots"] == 3 * 10
    assert sum(needed.values()) < 1000, "fewer calls than one for each disk"


def test_disks_of_an_older_kind_need_a_call_each_and_so_do_copies_and_locks() -> None:
    rule = CopyRule(region="cn-beijing", keep=Retention(daily=7), within=timedelta(hours=6))
    needed = calls(protection(copies=(rule,), lock=Lock(days=1)), fleet(30, essd=False))

    assert (needed["CreateSnapshot"], needed["CopySnapshot"], needed["LockSnapshot"]) == (30, 30, 30)
    assert "CreateSnapshotGroup" not in needed


def test_a_wave_that_ends_before_the_next_slot_is_sound_and_its_minutes_are_in_the_bound() -> None:
    one = policy(protection(), limits=ApiLimits(default=100))

    found = study(one, coverage={"p": fleet(3000, essd=False)})

    assert found.refused == ()
    assert (found.waves[0].minutes, found.waves[0].slowest) == (43, "CreateSnapshot")
    assert "the API budget lets the last instance begin 42 min later" in str(found.bound("p"))


def test_a_wave_that_cannot_end_before_the_next_slot_is_refused_with_the_limit_that_could() -> None:
    one = policy(protection(every(5)), limits=ApiLimits(default=100))

    (doubt,) = study(one, coverage={"p": fleet(3000, essd=False)}).refused

    assert "needs 3,000 calls of CreateSnapshot, and limits allow 70 a minute (100 less 30 % for recovery)" in doubt
    assert "43 minutes, but the next slot is 5 min later. What fits: limits: {actions: {CreateSnapshot: 858}}" in doubt
    enough = replace(one, limits=ApiLimits(default=100, actions={"CreateSnapshot": 858}))
    assert study(enough, coverage={"p": fleet(3000, essd=False)}).refused == ()


def test_protections_of_one_account_share_a_wave_and_those_of_others_do_not() -> None:
    ours = protection(EVERY_HOUR, name="ours")
    theirs = protection(EVERY_HOUR, name="theirs")
    disks = {"ours": fleet(100, prefix="a", essd=False), "theirs": fleet(100, prefix="b", essd=False)}

    together = waves(policy(ours, theirs), disks)
    apart = waves(policy(ours, replace(theirs, account=AccountName("other"))), disks)

    assert [one.calls["CreateSnapshot"] for one in together] == [200]
    assert [one.calls["CreateSnapshot"] for one in apart] == [100, 100]


def test_the_reserve_is_recoverys() -> None:
    limits = ApiLimits(default=300, actions={"CreateSnapshot": 10}, reserve_percent=50)

    assert (allowed(limits, "CreateSnapshot"), allowed(limits, "CopySnapshot")) == (5, 150)
    assert allowed(ApiLimits(default=1, reserve_percent=90), "anything") == 1
