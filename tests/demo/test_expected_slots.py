"""What act 1 expects must not be computed by the code that it judges: here it is counted by hand."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from shared.config import policy_file
from understudy.demo import act1
from understudy.demo.local_cloud import ROOT
from understudy.demo.stage import ADDRESSES, Stage


class Inventory:
    """The demo's six machines by role."""

    def instances(self, *, tags: dict[str, str]) -> list[SimpleNamespace]:
        names = [name for name in ADDRESSES if name.startswith(f"i-{tags['role']}-")]
        return [SimpleNamespace(id=name) for name in names]


def expected(hours: int) -> set[tuple[str, str, datetime]]:
    stage = SimpleNamespace(
        policy=policy_file.load(ROOT / "understudy.yaml"), view=SimpleNamespace(inventory=Inventory())
    )
    week = act1.Week(act1.MONDAY, act1.MONDAY + timedelta(hours=hours))
    return act1._expected(cast(Stage, stage), week)


def test_a_week_owes_each_application_168_hours_and_each_master_seven_nights() -> None:
    midnight_in_shanghai = datetime(2026, 3, 1, 16, tzinfo=UTC)
    by_hand = {
        (app, "applications", midnight_in_shanghai + timedelta(hours=hour))
        for app in ("i-app-h1", "i-app-h2", "i-app-i1", "i-app-i2")
        for hour in range(168)
    } | {
        (master, "masters", midnight_in_shanghai + timedelta(days=day, hours=2))
        for master in ("i-master-h", "i-master-i")
        for day in range(7)
    }

    assert expected(168) == by_hand
    assert len(by_hand) == 686


@pytest.mark.parametrize(("hours", "slots"), [(1, 4), (2, 8), (3, 14), (4, 18)])
def test_a_short_week_owes_only_what_falls_into_it(hours: int, slots: int) -> None:
    assert len(expected(hours)) == slots
