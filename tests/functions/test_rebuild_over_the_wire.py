"""Rebuilds that keep what can be kept, and plans that rebuild: with guests that say which bytes they have."""

import pytest

from shared.domain.operation import Operation, OperationState
from tests.functions.deployed import H, I, Site, first_writes, holds, later_writes, phases

pytestmark = pytest.mark.timeout(120)


def test_a_lost_instance_comes_back_with_its_addresses_and_its_own_disks(site: Site) -> None:
    first, later = first_writes("app-1"), later_writes("app-1")
    public = site.give_public_address("i-app-1")
    address = site.address("i-app-1")
    site.write("i-app-1", "vdb", *first)
    site.back_up()
    site.write("i-app-1", "vdb", *later)

    done = site.ended(site.fail("i-app-1"))
    new = done.result["replacement"]
    assert site.made() == [new]
    assert site.address(new) == address
    assert site.disk(new, "vdb").id == "d-1-data"
    assert site.read(new, "vdb") == holds(*first, *later)
    assert site.read(new, "vda") == holds()  # as its image is
    eip = site.local.cloud.vpc.find(public)
    assert (eip.instance_id, eip.status) == (new, "InUse")
    assert site.pool() == {new: 60, "i-app-2": 90}
    assert site.serving() == {new, "i-app-2"}
    old = site.instance("i-app-1")
    assert (old.state, old.private_ip == address) == ("Stopped", False)
    assert phases(done)["decide"] >= 6 * 60  # the platform's own restart was waited for


def test_without_stock_in_its_zone_it_comes_back_in_the_other_from_its_points(site: Site) -> None:
    first = first_writes("app-1")
    site.write("i-app-1", "vdb", *first)
    point = site.back_up()["i-app-1"]
    site.write("i-app-1", "vdb", *later_writes("app-1"))
    site.local.run(lambda: site.local.cloud.ecs.buying.stock.set(H, "ecs.g7.large", 0))

    done = site.ended(site.fail("i-app-1"))
    new = done.result["replacement"]
    assert site.made() == [new]
    assert site.instance(new).zone == I
    assert site.read(new, "vdb") == holds(*first)
    assert float(done.result["rpo_seconds"]) >= (site.operation(str(done.id)).created - point.taken).total_seconds()
    assert done.result["mapped"] == f"127.{site.net}.1.11 -> {site.address(new)}"
    assert site.disk("i-app-1", "vdb").id == "d-1-data"  # kept, with what was written after the point
    assert site.pool() == {new: 60, "i-app-2": 90}
    phases(done)


def test_a_plan_brings_databases_back_before_it_asks_about_applications(site: Site) -> None:
    first, later = first_writes("data"), later_writes("data")
    for instance in ("i-db", "i-app-1"):
        site.write(instance, "vdb", *first)
    site.back_up()
    for instance in ("i-db", "i-app-1"):
        site.write(instance, "vdb", *later)

    assert "nothing is done yet" in site.cli("plan", "show", "site").out
    token = site.cli("plan", "show", "site", "--json").json()["token"]
    run = site.cli("plan", "run", "site", "--confirm", token, "--json").json()["run"]
    _until(site, run, "approve")
    assert site.read("i-db", "vdb") == holds(*first)
    assert site.made() == []
    assert site.read("i-app-1", "vdb") == holds(*first, *later)

    site.cli("plan", "approve", run)
    done = site.ended(run)
    [new] = site.made()
    assert site.read(new, "vdb") == holds(*first, *later)  # its own disk, moved over
    assert site.read("i-db", "vdb") == holds(*first)
    assert site.serving() == {new, "i-app-2"}
    phases(done)


def _until(site: Site, run: str, says: str) -> Operation:
    for _ in range(80):
        found = site.operation(run)
        assert found.state is OperationState.OPEN, dict(found.result)
        if says in site.cli("plan", "status", run).out:
            return found
        site.wait(seconds=30)
    raise AssertionError(site.cli("plan", "status", run).out)


def test_one_that_is_asked_for_is_shown_first_and_replaced_as_it_was_confirmed(site: Site) -> None:
    writes = first_writes("app-1")
    site.write("i-app-1", "vdb", *writes)

    shown = site.cli("rebuild", "i-app-1")
    assert "d-1-data is detached from i-app-1" in shown.out
    assert site.instance("i-app-1").state == "Running"
    token = site.cli("rebuild", "i-app-1", "--json").json()["token"]
    refused = site.cli("rebuild", "i-app-1", "--confirm", "yes", "--json").json()["operation"]
    assert "is not what 'yes' confirmed" in site.ended(refused, state=OperationState.REFUSED).result["because"]

    operation = site.cli("rebuild", "i-app-1", "--confirm", token, "--json").json()["operation"]
    done = site.ended(operation)
    new = done.result["replacement"]
    assert site.made() == [new]
    assert site.read(new, "vdb") == holds(*writes)
    assert site.pool() == {new: 60, "i-app-2": 90}
    assert "rebuild.replaced" in site.cli("explain", "i-app-1").out
