"""What an operator may do to names and balancers through the admin door."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from emulator.testing import Local, mock_aliyun


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as local:
        yield local


def post(local: Local, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    door = HTTPConnection(local.host, timeout=5)
    door.request("POST", f"/_emulator/{path}", json.dumps(body))
    answer = door.getresponse()
    read = answer.status, json.loads(answer.read())
    door.close()
    return read


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("names/settings", {"private_propagation": -1}),
        ("names/settings", {"unheard": 1}),
        ("names/records/7/lock", {"locked": True}),
        ("names/domains/nobody.example", {"forbidden": True}),
        ("load_balancers/settings", {"configuring_for": "long"}),
        ("load_balancers/settings", {"configuring_for": 1, "unheard": 1}),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(local: Local, path: str, body: dict[str, Any]) -> None:
    status, answer = post(local, path, body)
    assert status in (400, 404)
    assert answer["error"]


def test_switches_reach_the_models(local: Local) -> None:
    domain = local.run(lambda: local.cloud.alidns.add_domain("shop.example"))
    record = local.run(lambda: local.cloud.alidns.add_record(domain.name, rr="a", type="A", value="192.0.2.1"))
    settings = {"private_propagation": 3, "public_propagation": 4.5, "default_group": "NORMAL_ZONE"}
    assert post(local, "names/settings", settings) == (200, settings)
    assert post(local, f"names/records/{record.id}/lock", {"locked": True})[0] == 200
    changed = {"edition": "version_enterprise_basic", "forbidden": True}
    assert post(local, f"names/domains/{domain.name}", changed)[0] == 200
    assert post(local, "load_balancers/settings", {"configuring_for": 2})[0] == 200
    assert local.cloud.alidns.record(record.id).locked
    assert (domain.edition.min_ttl, domain.forbidden) == (60, True)
    assert local.cloud.slb.configuring_for.total_seconds() == 2
    assert not local.run(lambda: local.cloud.pvtz.add_zone("corp.example")).is_fast
