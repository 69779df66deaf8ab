"""Each guard of what is an operator's to decide, and of what is done beside a failover, broken on purpose: the story
about it must fail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from shared.domain import failover_decision, failover_obstacles
from shared.usecases.failover import fail_over, name_binding
from shared.usecases.failover.data_seen import DataSeen
from shared.usecases.failover.fencing import Fencing
from shared.usecases.failover.name_binding import NameBinding
from shared.usecases.failover.preparing import Preparing
from shared.usecases.failover.surge import SurgeKeeping
from tests.guards import Caught
from tests.simulation import test_failover_stories as stories
from tests.simulation import test_names as names
from tests.simulation import test_standby_rules as rules
from tests.simulation import test_surge as surge
from tests.simulation.broken import Broken
from tests.simulation.test_failover_stories import Open, opened
from tests.simulation.test_surge import opened as with_timers

__all__ = ["opened", "with_timers"]

Plant = Callable[[pytest.MonkeyPatch], None]


def without_rule(owner: Any, table: str, *names: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        kept = tuple(one for one in getattr(owner, table) if one[0] not in names)
        assert len(kept) == len(getattr(owner, table)) - len(names), f"{names} are not in {table}: adapt the defect"
        patch.setattr(owner, table, kept)

    return plant


def objection(*names: str) -> Plant:
    return without_rule(failover_obstacles, "ALL", *names)


def broken(owner: Any, name: str, *swaps: tuple[str, str]) -> Plant:
    return Broken(owner, name, *swaps).plant


def patched(story: Callable[[Open, pytest.MonkeyPatch], None]) -> Callable[[Open], None]:
    """A story with a patch of its own beside the defect's."""

    def told(opened: Open) -> None:
        with pytest.MonkeyPatch.context() as patch:
            story(opened, patch)

    return told


@dataclass(frozen=True)
class Planted:
    what: str
    plants: tuple[Plant, ...]
    told_by: Callable[..., None]
    timers: bool = False


PLANTED = [
    Planted(
        "a side that is unprotected is failed over to",
        (objection("unprotected", "data_behind"),),
        rules.test_a_side_that_is_back_with_old_data_is_not_failed_over_to,
    ),
    Planted(
        "a lost side is not called unprotected",
        (broken(fail_over, "_of_protection", ("case _ if apart and lost", "case _ if False")),),
        rules.test_after_a_loss_the_pair_says_at_once_that_it_is_unprotected_and_again_each_hour,
    ),
    Planted(
        "the lag is ignored",
        (objection("data_behind"),),
        rules.test_data_that_is_too_far_behind_calls_an_operator_and_one_order_moves_it_all_the_same,
    ),
    Planted(
        "the age of a lag is ignored",
        (broken(DataSeen, "_bound", ("max(0.0, self._well - one.at)", "0.0")),),
        rules.test_the_age_of_what_was_measured_counts,
    ),
    Planted(
        "a lag that is measured after the loss takes the place of one before it",
        (broken(DataSeen, "note", ("*sorted(before, key=self._bound)[:1], ", "")),),
        rules.test_what_grows_after_the_loss_does_not_count,
    ),
    Planted(
        "a veto is ignored",
        (objection("vetoed"),),
        rules.test_a_veto_calls_an_operator_and_once_it_is_withdrawn_the_pair_moves,
    ),
    Planted(
        "a planned move does not ask its hooks",
        (broken(Preparing, "prepare", ("if Rule.HOOK not in failover.force:", "if False:")),),
        lambda opened: rules.test_a_planned_move_that_is_called_off_costs_no_refused_command(
            opened, lambda pair: setattr(pair, "hooks_say", rules.VETO), "the books are open"
        ),
    ),
    Planted(
        "a maintenance window is ignored",
        (objection("forbidden"),),
        rules.test_inside_a_maintenance_window_nothing_moves_by_itself_and_after_it_does,
    ),
    Planted(
        "a pause is ignored",
        (
            without_rule(failover_decision, "RULES", "held", "resumed"),
            broken(Fencing, "fence", ("if pause is not None:", "if False:")),
        ),
        stories.test_a_pause_keeps_everything_where_it_is_until_it_ends,
    ),
    Planted(
        "the failover waits for balancer and groups",
        (broken(SurgeKeeping, "now", ("self._looks.start()", "self._looks._once()")),),
        surge.test_no_api_beside_store_agents_and_names_can_stop_or_slow_a_failover,
        timers=True,
    ),
    Planted(
        "what stood before is not kept",
        (
            broken(SurgeKeeping, "changes", ("if newest is None or", "if True or")),
            broken(SurgeKeeping, "_raised", ("if (weights, sizes) != ", "if False and (weights, sizes) != ")),
        ),
        surge.test_the_failback_puts_back_what_stood_before_and_not_before_the_preferred_site_serves,
        timers=True,
    ),
    Planted(
        "what was raised is put back before the preferred site serves",
        (
            broken(fail_over, "_of_protection", ("case On.CONFIRMED if failover.failback:", "case On.FAILBACK:")),
            broken(SurgeKeeping, "_restored", ("failover.state not in AT_REST", "False")),
        ),
        surge.test_the_failback_puts_back_what_stood_before_and_not_before_the_preferred_site_serves,
        timers=True,
    ),
    Planted(
        "a thawed executor raises by what it read long ago",
        (
            broken(
                SurgeKeeping, "_apply", ("if self._clock.monotonic() - read_at > STALE.total_seconds():", "if False:")
            ),
        ),
        patched(surge.test_an_executor_that_thaws_late_reads_the_row_again_before_it_raises_anything),
        timers=True,
    ),
    Planted(
        "a new side that was not seen to serve leaves the lost one protected",
        (broken(fail_over.FailOver, "_promote", ("self._had_it(failover)", "{}")),),
        patched(rules.test_a_new_side_that_took_another_epoch_before_it_was_seen_leaves_the_lost_one_unprotected),
    ),
    Planted(
        "a round waits for a name that is bound anew",
        (broken(NameBinding, "ask", ("self._turns.start()", "self._turns._once()")),),
        patched(names.test_a_name_service_that_hangs_over_an_update_blinds_no_watch),
        timers=True,
    ),
    Planted(
        "a name is bound anew in calm under an epoch that is not the newest",
        (
            broken(name_binding, "overtaken", ("fresh is None or fresh.epoch != lease.epoch", "False")),
            broken(NameBinding, "_barred", ("newest.lease.epoch != lease.epoch or", "")),
        ),
        patched(names.test_who_is_overtaken_while_he_looks_once_more_binds_nothing),
        timers=True,
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
def test_a_broken_guard_is_noticed(
    planted: Planted, opened: Open, with_timers: Open, monkeypatch: pytest.MonkeyPatch, caught: Caught
) -> None:
    for plant in planted.plants:
        plant(monkeypatch)

    with pytest.raises((AssertionError, StopIteration)):
        planted.told_by(with_timers if planted.timers else opened)
    caught(planted.what)
