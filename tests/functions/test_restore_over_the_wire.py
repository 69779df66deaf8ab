"""The ways back for disks that are still there, from an operator's terminal to the bytes that guests read."""

import pytest

from shared.domain.operation import OperationState
from shared.domain.restoring import Way
from tests.functions.deployed import (
    ELSEWHERE,
    POLICY,
    Site,
    first_writes,
    holds,
    later_writes,
    phases,
)

pytestmark = pytest.mark.timeout(120)


def test_a_data_disk_is_rolled_back_and_the_rollback_undone(site: Site) -> None:
    """Of a member of a scaling group: it is not released while it stands still, and has its weight again."""
    first, later = first_writes("app-2"), later_writes("app-2")
    site.write("i-app-2", "vdb", *first)
    point = site.back_up()["i-app-2"]
    site.write("i-app-2", "vdb", *later)
    rollback = ("rollback", "i-app-2", "--point", point.id, "--disk", "d-2-data")

    shown = site.cli(*rollback)
    assert "nothing is done yet" in shown.out
    assert "roll d-2-data back in place" in shown.out
    assert "to do exactly this" in shown.out
    refused = site.ended(site.started(*rollback, confirm="0123456789"), state=OperationState.REFUSED)
    assert "confirms something else" in refused.result["because"]
    assert site.instance("i-app-2").state == "Running"

    done = site.confirmed(*rollback)
    assert site.read("i-app-2", "vdb") == holds(*first)
    assert site.disk("i-app-2", "vdb").id == "d-2-data"
    assert site.pool() == {"i-app-1": 60, "i-app-2": 90}
    assert site.members() == {"i-app-2": "InService"}
    assert site.serving() == {"i-app-1", "i-app-2"}
    assert phases(done).keys() >= {"decide", "drain", "stop", "secure", "change", "start", "serve"}
    assert f"undo-rollback {done.id}" in done.result["because"]
    assert str(done.id) in site.cli("explain", str(done.id)).out

    undone = site.confirmed("undo-rollback", str(done.id))
    assert site.read("i-app-2", "vdb") == holds(*first, *later)
    assert site.pool() == {"i-app-1": 60, "i-app-2": 90}
    assert site.members() == {"i-app-2": "InService"}
    phases(undone)


def test_all_disks_of_a_point_are_rolled_back_together(site: Site) -> None:
    kept = {device: first_writes(f"db {device}") for device in ("vda", "vdb")}
    for device, writes in kept.items():
        site.write("i-db", device, *writes)
    site.back_up()
    for device in kept:
        site.write("i-db", device, *later_writes(f"db {device}"))

    done = site.ended(site.started("rollback", "i-db", confirm="db"))  # its newest point, by its name typed back
    for device, writes in kept.items():
        assert site.read("i-db", device) == holds(*writes), device
    assert {site.disk("i-db", device).id for device in kept} == {"d-db-sys", "d-db-data"}
    assert len(done.result["safety"].split(",")) == 2
    phases(done)


class TestFromACopy:
    @pytest.fixture
    def policy(self) -> str:
        copies = f"copies: [{{region: {ELSEWHERE}, keep: {{last: 3}}, within: 12h}}]"
        return POLICY.replace("    rpo_target: 75m\n", f"    rpo_target: 75m\n    {copies}\n")

    def test_a_copied_point_comes_back_as_a_clone_in_the_old_disks_place(self, site: Site) -> None:
        first, later = first_writes("app-1"), later_writes("app-1")
        site.write("i-app-1", "vdb", *first)
        point = site.back_up()["i-app-1"]
        site.write("i-app-1", "vdb", *later)
        copy = site.copied(point.id)

        done = site.confirmed("rollback", "i-app-1", "--point", copy, "--disk", "d-1-data")
        assert site.read("i-app-1", "vdb") == holds(*first)
        clone = site.disk("i-app-1", "vdb").id
        assert clone != "d-1-data"
        old = site.local.cloud.ecs.disks.find("d-1-data")
        assert (old.instance_id, old.state, done.result["kept"]) == (None, "Available", "d-1-data")
        assert site.pool() == {"i-app-1": 60, "i-app-2": 90}
        assert phases(done)["prepare"] > 0

        site.confirmed("undo-rollback", str(done.id))
        assert site.read("i-app-1", "vdb") == holds(*first, *later)
        assert {disk.state for disk in site.local.cloud.ecs.disks.shelf.by_id.values()} == {"In_use", "Available"}


def test_a_data_disk_is_made_as_new(site: Site) -> None:
    site.write("i-db", "vda", *first_writes("system"))
    site.write("i-db", "vdb", *first_writes("data"))

    done = site.confirmed("reinitialise", "i-db", "--disk", "d-db-data")
    assert site.read("i-db", "vdb") == holds()
    assert site.read("i-db", "vda") == holds(*first_writes("system"))
    phases(done)

    site.confirmed("undo-rollback", str(done.id))
    assert site.read("i-db", "vdb") == holds(*first_writes("data"))


def test_the_system_disk_is_replaced_by_one_of_an_image_and_the_data_stay(site: Site) -> None:
    site.write("i-db", "vda", *first_writes("system"))
    site.write("i-db", "vdb", *first_writes("data"))

    done = site.confirmed("replace-system-disk", "i-db", "--image", "m-app-2")
    assert site.read("i-db", "vda") == holds()
    assert site.read("i-db", "vdb") == holds(*first_writes("data"))
    assert site.instance("i-db").image_id == "m-app-2"
    assert site.disk("i-db", "vdb").id == "d-db-data"
    assert site.disk("i-db", "vda").size_gib == 20  # the cloud's own choice would be 40
    assert str(Way.REPLACE) in done.result["disks"]
    phases(done)

    site.confirmed("undo-rollback", str(done.id))
    assert site.read("i-db", "vda") == holds(*first_writes("system"))
