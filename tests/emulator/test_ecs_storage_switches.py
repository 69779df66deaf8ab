"""The operator's switches for snapshots and images, over HTTP as any other tool would set them."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.testing import Local, mock_aliyun


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(random_seed=5) as cloud:
        yield cloud


def post(local: Local, path: str, **body: object) -> tuple[int, Any]:
    request = urllib.request.Request(f"{local.url}/_emulator/ecs/{path}", data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("storage", {"has_balance": 1}),
        ("storage", {"policies_per_disk": 11}),
        ("storage", {"colour": "red"}),
        ("disks/d-1/failing", {"times": 0}),
        ("disks/d-1/failing", {}),
    ],
)
def test_switches_that_are_refused_say_what_can_be_given(local: Local, path: str, body: dict[str, object]) -> None:
    status, answer = post(local, path, **body)

    assert status == 400
    assert "give" in answer["error"] or "cannot be" in answer["error"]


def test_the_account_s_standing_is_set_per_region(local: Local) -> None:
    status, answer = post(local, "storage", region="cn-shanghai", snapshot_service=False, policies_per_disk=10)

    assert (status, answer["snapshot_service"], answer["policies_per_disk"]) == (200, False, 10)
    assert post(local, "storage")[1]["snapshot_service"] is True


def test_the_next_snapshots_of_a_disk_can_be_made_to_fail(local: Local) -> None:
    assert post(local, "disks/d-1/failing", times=2) == (200, {"disk": "d-1", "times": 2})


def test_an_unknown_snapshot_has_no_owner(local: Local) -> None:
    assert post(local, "snapshots/s-nobody/owner", is_shared=True)[0] == 404
