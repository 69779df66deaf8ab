"""What an agent says in /status and what a peer says to an ask, taken apart: nothing of the wrong shape is believed."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.agents import _report
from shared.adapters.peers import answer_body, ask_body, read_answer, read_ask
from shared.domain.errors import BadInput
from shared.domain.ids import Epoch, HolderId, PairName, Place
from shared.domain.pledge import Answer, Ask
from shared.ports.probes import PeerView, Sight

ASK = Ask(
    pair=PairName("control"),
    epoch=Epoch(4),
    holder=HolderId("hz-h/3c"),
    length=timedelta(seconds=5),
    nonce="n",
    to=Place("10.0.2.21:7001"),
)
ME, SECRET = HolderId("hz-i/7f"), b"s3cret"


def report(**said: Any) -> Any:
    return _report(200, json.dumps({"site": "hz-i", **said}).encode())


def test_lag_and_pledge_are_told_with_their_age() -> None:
    seen = report(lag_s=1.5, lag_age_s=0.25, pledged_for_s=3, holder="hz-i/7f")

    assert (seen.lag, seen.lag_age) == (timedelta(seconds=1.5), timedelta(seconds=0.25))
    assert seen.pledged_for == timedelta(seconds=3)
    assert seen.holder == ME


@pytest.mark.parametrize("lag", [None, -1, True, "1.5", float("nan"), float("inf"), 1e300, [1]])
def test_a_lag_that_is_none_is_not_known(lag: Any) -> None:
    assert report(lag_s=lag).lag is None


def test_an_older_agent_says_nothing_of_all_this() -> None:
    seen = report()

    assert (seen.lag, seen.lag_age, seen.pledged_for, seen.peers, seen.holder) == (None, None, None, {}, "")


def test_a_view_of_a_peer_has_an_age_or_does_not_count() -> None:
    well = {"sight": "answered", "active": True, "epoch": 4, "age_s": 0.5}
    seen = report(
        peers={
            "hz-h": well,
            "no-age": {**well, "age_s": None},
            "no-sight": {**well, "sight": "guessed"},
            "no-word": {**well, "sight": []},
            "no-object": 5,
            "odd": {**well, "active": "yes", "epoch": True},
        }
    )

    assert seen.peers == {
        "hz-h": PeerView(sight=Sight.ANSWERED, age=timedelta(seconds=0.5), active=True, epoch=Epoch(4)),
        "odd": PeerView(sight=Sight.ANSWERED, age=timedelta(seconds=0.5)),
    }
    assert report(peers="none").peers == {}


def test_brackets_without_end_are_no_agents_words() -> None:
    """An agent that died of what its peer answers would take the other site with it."""
    deep = b"[" * 60_000

    assert "not an agent's JSON" in _report(200, deep).detail
    assert not read_answer(200, deep, ASK, SECRET).pledged
    with pytest.raises(BadInput):
        read_ask(deep, SECRET)


def test_an_ask_and_its_answer_survive_the_wire() -> None:
    assert read_ask(json.dumps(ask_body(ASK, SECRET)).encode(), SECRET) == ASK
    yes = Answer(pledged=True, by=ME)
    assert read_answer(200, json.dumps(answer_body(ASK, yes, SECRET)).encode(), ASK, SECRET) == yes
    no = read_answer(
        409, json.dumps(answer_body(ASK, Answer(pledged=False, detail="busy"), SECRET)).encode(), ASK, SECRET
    )
    assert (no.pledged, no.detail) == (False, "HTTP 409: busy")


def test_an_ask_under_another_secret_is_nobodys() -> None:
    assert read_ask(json.dumps(ask_body(ASK, b"other")).encode(), SECRET) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"pair": "control", "epoch": "x"}', b'{"lease_ms": 1e400}'])
def test_what_is_no_ask_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput, match="an ask for a pledge"):
        read_ask(body, SECRET)


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (200, {"mac": ""}),
        (200, {"mac": None}),
        (200, {"by": "hz-x"}),
        (200, {"pledged": "true"}),
        (200, {"pledged": 1}),
        (409, {}),
        (500, {}),
    ],
    ids=["no seal", "null", "sealed by another", "a text", "a number", "refused", "broken"],
)
def test_a_yes_that_is_not_proven_is_a_no(status: int, change: dict[str, Any]) -> None:
    body = {**answer_body(ASK, Answer(pledged=True, by=ME), SECRET), **change}

    assert not read_answer(status, json.dumps(body).encode(), ASK, SECRET).pledged


def test_a_yes_to_another_asking_proves_nothing() -> None:
    for before in (replace(ASK, nonce="earlier"), replace(ASK, epoch=Epoch(3)), replace(ASK, to=Place("10.0.9.9:1"))):
        body = answer_body(before, Answer(pledged=True, by=ME), SECRET)
        assert not read_answer(200, json.dumps(body).encode(), ASK, SECRET).pledged


def test_an_ask_that_does_not_say_where_it_is_asked_is_refused() -> None:
    with pytest.raises(BadInput, match="an ask for a pledge"):
        read_ask(json.dumps(ask_body(replace(ASK, to=Place("")), SECRET)).encode(), SECRET)


@pytest.mark.parametrize("body", [b"", b"yes", b"[true]", b'"pledged"'])
def test_an_answer_that_is_no_agents_is_a_no(body: bytes) -> None:
    assert not read_answer(200, body, ASK, SECRET).pledged
