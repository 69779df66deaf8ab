"""Setting the time to live of a pair's names from a terminal: an order to the watches, if there is anything to set."""

import pytest

from emulator.testing import Local
from shared.state.name_orders import NameOrders
from shared.wiring import foundation
from tests.cli.conftest import Run
from tests.cli.test_failover_commands import PAIR, pair, said
from tests.cli.test_names import Zone

__all__ = ["pair"]


@pytest.fixture
def zone(pair: Local) -> Zone:
    return Zone(pair)


def test_names_of_a_pair_that_is_not_there_are_not_prepared(run: Run, zone: Zone) -> None:
    ended = run("name", "prepare", "kontrol")
    assert ended.code == 2
    assert "'kontrol' is no pair of policy 1; it has: control" in said(ended)


def test_nothing_is_ordered_when_nothing_differs(run: Run, zone: Zone) -> None:
    zone.add()
    assert "every name has the policy's time to live" in said(run("name", "prepare", "control"))
    assert NameOrders(foundation.store()).pending(PAIR) is None


def test_a_time_to_live_that_is_not_the_policys_is_shown_and_set_by_an_order_to_the_watches(
    run: Run, zone: Zone
) -> None:
    zone.add(ttl=60)
    shown = run("name", "show", "control")
    assert "has a time to live of 60 s, the policy says 5 s" in said(shown)
    assert "`understudy name prepare control`" in said(shown)

    ended = run("name", "prepare", "control")
    assert ended.code == 0, ended.err
    assert "for up to 60 s more" in said(ended)
    order = NameOrders(foundation.store()).pending(PAIR)
    assert order is not None
    assert order.by
    assert "names.prepare_ordered" in said(run("explain", "control"))
