"""The role of watch, as deployed for an account with a public domain, moves names of that domain and of no other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.bootstrap import Account, policy
from emulator.testing import Local, mock_aliyun
from shared.adapters.alidns import AlidnsNames
from shared.adapters.credentials import Credentials
from shared.adapters.sdk import Endpoint
from shared.domain.errors import Forbidden

ACCOUNT = Account(
    id="1000000000000001", region="cn-hangzhou", ots_instance="understudy", public_domains=("corp.example",)
)
SEED = {
    "ram": {
        "users": [
            {
                "name": "watch",
                "access_keys": [{"id": "watch", "secret": "secret"}],
                "policies": [json.loads(policy("watch", ACCOUNT))],
            }
        ]
    },
    "public_domains": [
        {
            "name": name,
            "edition": "version_enterprise_advanced",
            "records": [{"rr": "master", "type": "A", "value": "203.0.113.1", "ttl": 5}],
        }
        for name in ("corp.example", "other.example")
    ],
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Local]:
    seed = tmp_path / "seed.yaml"
    seed.write_text(json.dumps(SEED))  # which is YAML too
    with mock_aliyun(seed=seed) as running:
        yield running


@pytest.fixture
def names(cloud: Local) -> AlidnsNames:
    return AlidnsNames(endpoint=Endpoint("cn-hangzhou", cloud.url), credentials=lambda: Credentials("watch", "secret"))


def test_a_name_of_another_domain_is_out_of_reach(names: AlidnsNames) -> None:
    with pytest.raises(Forbidden):
        names.records(zone="other.example", host="master")


def test_a_name_of_the_domain_is_listed_moved_timed_and_marked(names: AlidnsNames) -> None:
    [record] = names.records(zone="corp.example", host="master")
    names.rebind(record, value="203.0.113.2")
    [record] = names.records(zone="corp.example", host="master")
    names.rebind(record, value="203.0.113.2")  # refused as a duplicate, and read
    names.retime(record, ttl_seconds=1)
    names.remark(record, text="epoch=2")
    [record] = names.records(zone="corp.example", host="master")
    assert (record.value, record.ttl_seconds, record.remark) == ("203.0.113.2", 1, "epoch=2")


def test_what_watch_does_not_do_it_may_not(names: AlidnsNames) -> None:
    with pytest.raises(Forbidden):
        names.least_ttl(zone="corp.example")
