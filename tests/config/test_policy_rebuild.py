"""`rebuilds` of the file: what may stand there, and what an operator reads who wrote something else."""

from datetime import timedelta
from pathlib import Path

import pytest

from shared.config import policy_file
from shared.domain.errors import BadInput
from shared.domain.policy import Address, DataFrom, Elsewhere, PlatformRestart, RebuildRule

EXAMPLE = (Path(__file__).parents[2] / "understudy.yaml").read_text()
ANCHOR = "max_at_once: 2"


def rule(more: str = "") -> RebuildRule:
    lines = [line for line in EXAMPLE.splitlines(keepends=True) if "data_from:" not in line]
    assert any(ANCHOR in line for line in lines)
    text = "".join(lines).replace(ANCHOR, f"{ANCHOR}{more}", 1)
    return policy_file.parse(text, "understudy.yaml").rebuilds[0]


def test_a_file_from_before_these_keys_means_what_it_meant_but_keeps_address_and_disks() -> None:
    found = rule()

    assert found.platform_restart is PlatformRestart.WAIT
    assert (found.max_per_hour, found.elsewhere, found.instance_types, found.image_max_age) == (10, (), (), None)
    assert (found.address, found.data_from) == (Address.KEEP, DataFrom.DISKS)


def test_every_key_is_read() -> None:
    found = rule(
        """
    max_per_hour: 3
    platform_restart: disarm
    elsewhere: [{zone: cn-hangzhou-i, vswitch: vsw-i}, {zone: cn-hangzhou-j, vswitch: vsw-j}]
    instance_types: [ecs.g6.large, ecs.c7.xlarge]
    address: new
    data_from: points
    image_max_age: 30d"""
    )

    assert found.max_per_hour == 3
    assert found.platform_restart is PlatformRestart.DISARM
    assert found.elsewhere == (
        Elsewhere(zone="cn-hangzhou-i", vswitch="vsw-i"),
        Elsewhere(zone="cn-hangzhou-j", vswitch="vsw-j"),
    )
    assert found.instance_types == ("ecs.g6.large", "ecs.c7.xlarge")
    assert (found.address, found.data_from) == (Address.NEW, DataFrom.POINTS)
    assert found.image_max_age == timedelta(days=30)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("platform_restart: disarmed", "platform_restart: 'disarmed' is not a way to treat the platform's restart"),
        ("platform_restart: disarmed", "Write wait or disarm"),
        ("address: old", "address: 'old' is not a choice of private address. Write keep or new"),
        ("data_from: point", "data_from: 'point' is not a source of data disks."),
        ("max_per_hour: 0", "max_per_hour: 0 is not a number of rebuilds (1-1,000). Use 1 or more"),
        ("image_max_age: 30", "image_max_age: 30 has no unit"),
        ("instance_types: [ecs.g6.large, ecs.g6.large]", "'ecs.g6.large' is listed twice"),
        ("elsewhere: [{zone: cn-hangzhou-i}]", "vswitch: is missing"),
        ("elsewhere: [{zone: cn-shanghai-b, vswitch: v}]", "'cn-shanghai-b' is not a zone of cn-hangzhou"),
        ("elsewhere: [{zone: cn-hangzhou-i, vswitch: v}, {zone: cn-hangzhou-i, vswitch: v}]", "'v' is listed twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(line: str, says: str) -> None:
    with pytest.raises(BadInput) as refusal:
        rule(f"\n    {line}")

    assert says in str(refusal.value)
