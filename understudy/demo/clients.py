"""Clients of the region master, as users have them: what a failover feels like from where they stand.

Each sends one small command about ten times a second to whatever address the middleware name gives it. They differ only
in how long they believe an answer of the name server: not at all, for its TTL, or for 30 s (a JVM's habit).
"""

import http.client
import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from shared.ports.clock import Clock

EVERY = timedelta(milliseconds=100)
PATIENCE = 0.5  # seconds a client waits for an answer before it counts the request as lost


@dataclass(frozen=True, slots=True)
class Outcome:
    at: float  # monotonic seconds when the answer, or its absence, was known
    sent: float
    served: bool
    by: str  # the site that served
    detail: str


class Resolver:
    """The emulated name server, asked directly. `hold` None: as long as the record's TTL says."""

    def __init__(
        self, server: tuple[str, int], name: str, hold: float | None, clock: Clock, *, aged: float = 0.0
    ) -> None:
        """`aged`: seconds by which the first answer is taken for older than it is."""
        self._server, self._name, self._hold, self._clock, self._aged = server, name, hold, clock, aged
        self._address = ""
        self._good_until = float("-inf")
        self.asked: list[float] = []  # when an answer came in, monotonic seconds

    def address(self) -> str:
        if self._clock.monotonic() < self._good_until:
            return self._address
        query = dns.message.make_query(self._name, dns.rdatatype.A)
        answer = dns.query.udp(query, self._server[0], timeout=PATIENCE, port=self._server[1])
        for records in answer.answer:
            for record in records:
                hold, now = float(records.ttl) if self._hold is None else self._hold, self._clock.monotonic()
                now, self._aged = now - self._aged, 0.0
                self._address, self._good_until = record.to_text(), now + hold
                self.asked.append(now)
                return self._address
        raise OSError(f"{self._name} has no address")


class Client(threading.Thread):
    """Runs until `stop()`; `outcomes` grows in time order."""

    def __init__(self, kind: str, *, resolver: Resolver | None, fixed: str | None, port: int, clock: Clock) -> None:
        super().__init__(name=f"client-{kind}", daemon=True)
        self.kind = kind
        self.outcomes: list[Outcome] = []
        self.resolver = resolver
        self._fixed, self._port, self._clock = fixed, port, clock
        self._ended = threading.Event()
        self._sent = 0

    def run(self) -> None:
        while not self._ended.is_set():
            began = self._clock.monotonic()
            self.outcomes.append(self._ask(began))
            left = EVERY.total_seconds() - (self._clock.monotonic() - began)
            if left > 0:
                self._ended.wait(left)

    def stop(self) -> None:
        self._ended.set()

    def _ask(self, began: float) -> Outcome:
        self._sent += 1
        try:
            address = self._fixed or (self.resolver.address() if self.resolver else "")
            status, body = self._post(address, f"{self.kind}-{self._sent}")
        except (OSError, dns.exception.DNSException, http.client.HTTPException, ValueError) as error:
            return Outcome(self._clock.monotonic(), began, False, "", type(error).__name__)
        served = status == HTTPStatus.OK
        return Outcome(self._clock.monotonic(), began, served, str(body.get("site", "")), str(status))

    def _post(self, address: str, command: str) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection(address, self._port, timeout=PATIENCE)
        try:
            connection.request("POST", "/command", json.dumps({"id": command}))
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        return answer.status, body if isinstance(body, dict) else {}


def steady(client: Client, *, now: float, seconds: float) -> bool:
    """Served without a miss for the last `seconds`."""
    outcomes = list(client.outcomes)
    recent = [outcome.served for outcome in outcomes if outcome.sent >= now - seconds]
    return bool(recent) and all(recent) and outcomes[0].sent <= now - seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Seconds, counted from the loss."""

    kind: str
    cached: float | None  # how old the address was that it believed at the loss
    last_served: float | None
    first_served_again: float | None
    requests: int
    lost: int
    refused: int = 0  # of these, answered with a refusal
    refused_for: float = 0.0  # seconds from sending the first refused to the answer of the last

    @property
    def without(self) -> float | None:
        """Seconds between the last good answer of before and the first of after."""
        if self.first_served_again is None or self.last_served is None:
            return None
        return self.first_served_again - self.last_served


def is_refusal(detail: str) -> bool:
    return detail == str(int(HTTPStatus.SERVICE_UNAVAILABLE))


def gap_of(client: Client, *, loss: float, standby: str) -> Gap:
    """When `client` was last served before the change-over, and first served by the standby site after `loss`."""
    outcomes = list(client.outcomes)
    again = next((o for o in outcomes if o.served and o.sent >= loss and o.by == standby), None)
    before = [o for o in outcomes if o.served and (again is None or o.at < again.at) and o.by != standby]
    during = [o for o in outcomes if o.sent >= loss and (again is None or o.sent < again.sent)]
    refused = [o for o in during if is_refusal(o.detail)]
    asked = [at for at in client.resolver.asked if at <= loss] if client.resolver else []
    return Gap(
        kind=client.kind,
        cached=loss - asked[-1] if asked else None,
        last_served=before[-1].at - loss if before else None,
        first_served_again=again.at - loss if again else None,
        requests=len(during),
        lost=sum(not o.served for o in during),
        refused=len(refused),
        refused_for=refused[-1].at - refused[0].sent if refused else 0.0,
    )
