"""What an operator can set about addresses and agents, over the admin door."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("switches") / "seed.yaml"
    seed.write_text(WORLD.replace("guest: {command: [run], ports: [80]}", "used_gib: 0"))
    with mock_aliyun(seed=seed, regions=("cn-hangzhou",)) as cloud:
        yield cloud


def post(local: Local, path: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(f"{local.url}/_emulator/ecs/{path}", data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("network", {"eips_at_most": True}, "eips_at_most cannot be True"),
        ("network", {"colour": 1}, "colour cannot be 1"),
        ("eips/eip-none/lock", {"locked": True}, "InvalidAllocationId.NotFound"),
        ("eips/eip-none/lock", {}, "locked"),
        ("instances/i-none/agent", {"silent": True}, "InvalidInstanceId.NotFound"),
        ("instances/i-app/agent", {"silent": "yes"}, "true or false"),
        ("commands", {"pattern": "("}, "is no regular expression"),
        ("commands", {"output": "x"}, "pattern"),
        ("commands", {"pattern": "x", "colour": 1}, "pattern"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(local: Local, path: str, body: object, said: str) -> None:
    status, answer = post(local, path, body)
    assert status in (400, 404)
    assert said in answer["error"]


def test_what_is_set_takes_effect(local: Local) -> None:
    ecs = local.cloud.ecs
    assert post(local, "network", {"interfaces_at_most": 5, "eips_at_most": 1})[1] == {
        "interfaces_at_most": 5,
        "eips_at_most": 1,
        "established_survive": False,
    }
    assert (ecs.interfaces.at_most, local.cloud.vpc.quota) == (5, 1)
    assert post(local, "network", {"interfaces_at_most": None})[1]["interfaces_at_most"] is None
    assert post(local, "network", {"established_survive": True})[1]["established_survive"] is True
    assert ecs.security_groups.established_survive

    post(local, "instances/i-app/agent", {"silent": True})
    assert not local.run(lambda: ecs.assistant.is_there(ecs.instances["i-app"]))
    post(local, "instances/i-app/agent", {"silent": False})
    status, told = post(local, "commands", {"pattern": "^fsfreeze", "exit_code": 3, "output": "busy", "seconds": 2})
    assert (status, told["exit_code"]) == (200, 3)
