"""Pledges over HTTP: POST /pledge of the peers' agents, and what is said on it.

    {"pair": "control", "epoch": 4, "holder": "i-a/7f3c", "lease_ms": 5000, "nonce": "...", "to": "10.0.2.21:7001",
     "mac": "..."}
    200 {"pledged": true, "by": "i-b/19aa", "detail": "", "mac": "..."}      409 {"pledged": false, "by": ..., ...}

Both directions carry an HMAC under UNDERSTUDY_AGENT_SECRET: a forged yes would make two sites active at once, and a
forged ask would keep a standby off. The secret itself is never sent.
"""

import hmac
import http.client
import json
from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from shared.adapters.agents import exchange
from shared.adapters.clock import SystemClock
from shared.domain.errors import BadInput
from shared.domain.ids import Epoch, HolderId, PairName, Place
from shared.domain.pledge import Answer, Ask, address_of, seal
from shared.ports.clock import Clock


class HttpPeers:
    """Peers port. Safe to share between threads."""

    def __init__(self, *, secret: str, clock: Clock | None = None, source: str | None = None) -> None:
        """`source`: the local address to ask from; None: as the system chooses."""
        self._secret = secret.encode()
        self._clock: Clock = clock or SystemClock()
        self._source = source
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="peers")

    def ask(
        self, places: Collection[Place], ask: Ask, *, timeout: timedelta, one_is_enough: bool
    ) -> dict[Place, Answer]:
        asked = {self._pool.submit(self._one, place, ask, timeout): place for place in places}
        answers: dict[Place, Answer] = {}
        ends = self._clock.monotonic() + timeout.total_seconds()
        open_: set[Future[Answer]] = set(asked)
        while open_ and not (one_is_enough and any(answer.pledged for answer in answers.values())):
            done, open_ = wait(open_, timeout=max(0.0, ends - self._clock.monotonic()), return_when=FIRST_COMPLETED)
            if not done:
                break
            answers.update({asked[one]: one.result() for one in done})
        return answers

    def _one(self, place: Place, ask: Ask, timeout: timedelta) -> Answer:
        ask = replace(ask, to=place)
        body = json.dumps(ask_body(ask, self._secret)).encode()
        head = (
            f"POST /pledge HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            address, port = address_of(place)
            status, answer = exchange(self._clock, head.encode() + body, address, port, timeout, source=self._source)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Answer(pledged=False, detail=f"does not answer: {error or type(error).__name__}")
        return read_answer(status, answer, ask, self._secret)


def ask_body(ask: Ask, secret: bytes) -> dict[str, object]:
    return {
        "pair": ask.pair,
        "epoch": int(ask.epoch),
        "holder": ask.holder,
        "lease_ms": round(ask.length.total_seconds() * 1000),
        "nonce": ask.nonce,
        "to": ask.to,
        "mac": seal(secret, ask),
    }


def read_ask(body: bytes, secret: bytes) -> Ask | None:
    """None: it is not from one who knows the secret. Raises BadInput."""
    try:
        given = json.loads(body)
        ask = Ask(
            pair=PairName(str(given["pair"])),
            epoch=Epoch(int(given["epoch"])),
            holder=HolderId(str(given["holder"])),
            length=timedelta(milliseconds=int(given["lease_ms"])),
            nonce=str(given["nonce"]),
            to=Place(str(given["to"])),
        )
        mac = str(given["mac"])
        if not ask.to:
            raise ValueError("it does not say where it is asked")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(f"an ask for a pledge is a JSON object of the peer's agent, not {body[:80]!r}") from error
    return ask if hmac.compare_digest(mac.encode(), seal(secret, ask).encode()) else None


def answer_body(ask: Ask, answer: Answer, secret: bytes) -> dict[str, object]:
    body: dict[str, object] = {"pledged": answer.pledged, "by": answer.by, "detail": answer.detail}
    return {**body, "mac": seal(secret, ask, by=answer.by)} if answer.pledged else body


def read_answer(status: int, body: bytes, ask: Ask, secret: bytes) -> Answer:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, Mapping):
        return Answer(pledged=False, detail=f"HTTP {status}, not an agent's JSON: {body[:80]!r}")
    by, detail = HolderId(str(given.get("by") or "")), str(given.get("detail") or "")
    if status != HTTPStatus.OK or given.get("pledged") is not True:
        return Answer(pledged=False, by=by, detail=f"HTTP {status}: {detail}")
    if not hmac.compare_digest(str(given.get("mac")).encode(), seal(secret, ask, by=by).encode()):
        return Answer(pledged=False, by=by, detail="its yes is not proven: UNDERSTUDY_AGENT_SECRET differs there")
    return Answer(pledged=True, by=by, detail=detail)
