"""A seed file is a world, or one clear message about what is wrong with it."""

from pathlib import Path

import pytest

from emulator.cloud import Cloud
from emulator.seed import SeedError, load, load_text

SMALL = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-a, cidr: "10.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "10.${net}.1.0/24"}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: "10.${net}.1.9"}]
"""


def complaint(text: str, **settings: str) -> str:
    with pytest.raises(SeedError) as caught:
        load_text(text, Cloud(), where="world.yaml", settings=settings)
    return str(caught.value)


def test_settings_fill_the_file() -> None:
    cloud = Cloud()

    load_text(SMALL, cloud, where="world.yaml", settings={"net": "44"})

    assert cloud.ecs.find_instance("i-a").private_ip == "10.44.1.9"
    assert [disk.kind for disk in cloud.ecs.find_instance("i-a").disks()] == ["system"]


def test_the_example_is_a_whole_world() -> None:
    cloud = Cloud()

    load("two-zones", cloud, settings={"net": "77"})

    assert sorted(cloud.ecs.instances) == ["i-web-h", "i-web-i"]
    guest = cloud.ecs.find_instance("i-web-h").guest
    assert guest is not None
    assert "$GUEST_BIND" in guest["command"][-1]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(SMALL, ("${net} has no value", "--set net="), id="a setting that is missing"),
        pytest.param("price: $5", ("write $$",), id="a lonely dollar sign"),
        pytest.param("zones: [a", ("not valid YAML",), id="not YAML"),
        pytest.param("[a, b]", ("must be a mapping", "list"), id="a list"),
        pytest.param("instanses: []", ("unknown key 'instanses'", "instances"), id="a misspelt section"),
        pytest.param("region: cn-beijing", ("cn-beijing", "--region"), id="another region"),
        pytest.param("images: [{name: x}]", ("'id' is missing",), id="no id"),
        pytest.param(
            "images: [{id: m, colour: red}]", ("images[m]", "'colour'", "system_disk_gib"), id="a foreign key"
        ),
        pytest.param(
            "vswitches: [{id: v, zone: mars, cidr: 10.0.0.0/24}]", ("vswitches[v].zone", "mars"), id="no such zone"
        ),
        pytest.param(
            SMALL.replace("image: m-a", "image: m-b").replace("${net}", "1"),
            ("instances[i-a].image", "m-b"),
            id="no image",
        ),
        pytest.param(
            SMALL.replace("1.9", "9.9").replace("${net}", "1"), ("10.1.9.9",), id="an address outside its network"
        ),
        pytest.param(
            SMALL.replace('1.9"}', '1.9", state: Melting}').replace("${net}", "1"),
            ("'Melting'", "Stopped"),
            id="a state",
        ),
        pytest.param(
            SMALL.replace('1.9"}', '1.9", system_disk: {category: tape}}').replace("${net}", "1"),
            ("category 'tape'", "cloud_essd"),
            id="a category",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, parts: tuple[str, ...]) -> None:
    message = complaint(text)

    assert message.startswith("world.yaml: ")
    for part in parts:
        assert part in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="cannot be read"):
        load(tmp_path / "nowhere.yaml", Cloud())
