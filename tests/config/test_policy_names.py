"""The names of a pair in `understudy.yaml`: what each service takes, and what is refused before it is deployed."""

from typing import Any

import pytest
import yaml

from shared.config import policy_file
from shared.domain.errors import BadInput
from shared.domain.ids import SiteName
from shared.domain.pair import NameService, Pair

POLICY = """
version: 1
region: cn-hangzhou
time_zone: Asia/Shanghai
sites: {hz-h: {zone: cn-hangzhou-h}, hz-i: {zone: cn-hangzhou-i}}
pairs:
  - name: control
    preferred: hz-h
    members:
      hz-h: {instance: i-bp1h, port: 7000, agent_port: 7001}
      hz-i: {instance: i-bp1i, port: 7000, agent_port: 7001}
    domain_name: {zone: corp.example, host: master, ttl: 5s}
    data: {unknown: accept}
"""
PUBLIC = {
    "zone": "corp.example",
    "host": "master",
    "ttl": "10s",
    "service": "public",
    "values": {"hz-h": "203.0.113.1", "hz-i": "203.0.113.2"},
}


def parsed(**more: Any) -> Pair:
    tree = yaml.safe_load(POLICY)
    tree["pairs"][0].update(more)
    [pair] = policy_file.parse(yaml.safe_dump(tree), "understudy.yaml").pairs
    return pair


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"domain_name": {"zone": "corp.example", "host": "master", "ttl": "10s"}}, "not a time to live that Private"),
        ({"more_names": [{**PUBLIC, "ttl": "2d"}]}, "Use whole seconds from 1s to 1d"),
        ({"more_names": [{**PUBLIC, "ttl": "0s"}]}, "Use whole seconds from 1s to 1d"),
        ({"more_names": [{**PUBLIC, "ttl": "1m30s", "service": "private"}]}, "not a time to live that PrivateZone"),
        ({"more_names": [{**PUBLIC, "values": {}}]}, "does not hold private addresses"),
        ({"more_names": [{**PUBLIC, "values": {"hz-h": "203.0.113.1"}}]}, "the pair's sites are"),
        ({"more_names": [{**PUBLIC, "type": "CNAME"}]}, "a name, not an address"),
        ({"more_names": [{"zone": "corp.example", "host": "master", "ttl": "5s"}]}, "already belongs to pair"),
        ({"resolvers": ["dns.corp.example"]}, "no DNS server"),
        ({"resolvers": ["100.100.2.136:99999"]}, "no DNS server"),
        ({"name_every": "0.5s"}, "outside 1s to 1m"),
        ({"name_every": "2m"}, "outside 1s to 1m"),
    ],
)
def test_what_could_not_be_kept_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(**more)
    assert says in str(refused.value)


def test_a_private_and_a_public_record_may_bear_one_name_and_move_in_order() -> None:
    pair = parsed(more_names=[PUBLIC], resolvers=["100.100.2.136", "127.0.0.1:5353"], name_every="10s")
    assert [(str(one), one.service, one.ttl_seconds) for one in pair.names] == [
        ("master.corp.example", NameService.PRIVATE, 5),
        ("master.corp.example", NameService.PUBLIC, 10),
    ]
    assert pair.names[1].values == {SiteName("hz-h"): "203.0.113.1", SiteName("hz-i"): "203.0.113.2"}
    assert pair.resolvers == ("100.100.2.136", "127.0.0.1:5353")


def test_the_zone_itself_may_be_the_name() -> None:
    pair = parsed(domain_name={"zone": "corp.example", "host": "@", "ttl": "30s"})
    assert str(pair.names[0]) == "corp.example"
