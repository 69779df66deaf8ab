"""What is sent to the agent's door before anybody knows who sends it."""

import http.client
from collections.abc import Iterator
from http import HTTPStatus
from threading import Thread

import pytest

from understudy.agent.door import LARGEST, Answer, Door


def fine(*_: object) -> Answer:
    return HTTPStatus.OK, {}


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door(("127.0.0.1", 0), status=fine, promote=fine, demote=fine, pledge=fine)
    thread = Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield opened
    opened.shutdown()
    opened.server_close()
    thread.join(5)


@pytest.mark.parametrize(
    ("length", "status"),
    [("2", 200), ("0", 200), (str(LARGEST + 1), 413), ("9" * 30, 413), ("-1", 413), ("many", 413)],
)
def test_a_body_is_read_only_when_it_is_small(door: Door, length: str, status: int) -> None:
    """An agent that reads whatever comes takes the memory of the master beside it."""
    caller = http.client.HTTPConnection("127.0.0.1", door.server_port, timeout=10)
    caller.putrequest("POST", "/pledge")
    caller.putheader("Content-Length", length)
    caller.endheaders()
    if length == "2":
        caller.send(b"{}")

    assert caller.getresponse().status == status
    caller.close()
