"""Image recovery: what instances made of an image or of a restore point hold when their guests read it."""

import json

import pytest

from shared.domain.operation import Operation
from tests.functions.deployed import Site, first_writes, holds, later_writes, phases

pytestmark = pytest.mark.timeout(120)


def test_three_instances_of_a_running_ones_image_hold_exactly_its_bytes(site: Site) -> None:
    kept = {device: first_writes(f"app-1 {device}") for device in ("vda", "vdb")}
    for device, writes in kept.items():
        site.write("i-app-1", device, *writes)
    site.cli("image", "make", "i-app-1", "app")
    image = _image(site, "Creating")
    for device in kept:
        site.write("i-app-1", device, *later_writes("app-1"))
    assert _image(site, "Available") == image

    launch = ("launch", "shop", "--family", "app", "--like", "i-app-1", "--amount", "3", "--port", "8080",
              "--behind", "lb-apps", "--weight", "40")  # fmt: skip
    assert "nothing is done yet" in site.cli(*launch).out
    assert site.made() == []
    done = site.confirmed(*launch)

    assert done.result["image"] == image
    assert _instances(done) == set(site.made())
    assert len(site.made()) == 3
    for instance in site.made():
        for device, writes in kept.items():
            assert site.read(instance, device) == holds(*writes), (instance, device)
        assert site.pool()[instance] == 40
    assert site.serving(requests=60) == {"i-app-1", "i-app-2", *site.made()}
    assert phases(done).keys() >= {"create", "boot", "answer", "serve"}


def test_an_instance_of_a_restore_point_holds_exactly_the_points_bytes(site: Site) -> None:
    kept = {device: first_writes(f"db {device}") for device in ("vda", "vdb")}
    for device, writes in kept.items():
        site.write("i-db", device, *writes)
    point = site.back_up()["i-db"]
    for device in kept:
        site.write("i-db", device, *later_writes("db"))

    done = site.confirmed("launch", "copy", "--point", point.id, "--of", "i-db", "--like", "i-db", "--port", "8080")
    [made] = site.made()
    for device, writes in kept.items():
        assert site.read(made, device) == holds(*writes), device
        assert site.read("i-db", device) == holds(*writes, *later_writes("db")), device
    assert phases(done)["image"] > 0


def _image(site: Site, state: str) -> str:
    """The newest version of the family, as soon as it is in this state."""
    for _ in range(600):
        made = [one for one in site.local.cloud.ecs.images.shelf if one.family == "app" and one.id != "m-app"]
        if [one.status for one in made] == [state]:
            return str(made[0].id)
        site.wait(seconds=2)
    raise AssertionError(made)


def _instances(done: Operation) -> set[str]:
    return {str(one[0]) for one in json.loads(done.result["instances"])}
