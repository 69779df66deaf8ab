"""One running agent: a thread renews, one has the peers extend the deadline, others look after the master, the lag, the
peers and the heartbeat, and the doors answer. None of them waits for another.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from shared.adapters.peers import answer_body, read_ask
from shared.domain.ids import Epoch, Place, SiteName
from shared.domain.lease import LeaseState
from shared.domain.pledge import place_of
from shared.ports.clock import Clock
from shared.state.heartbeats import Heartbeat, Heartbeats
from understudy.agent.config import Identity, Pledges
from understudy.agent.door import Answer, Door
from understudy.agent.heartbeat import Beating
from understudy.agent.holder import Holder
from understudy.agent.hooks import Hooks
from understudy.agent.lag import LagWatch
from understudy.agent.master_check import MasterCheck
from understudy.agent.notify import Notify
from understudy.agent.peer_views import PeerViews
from understudy.agent.record import Record
from understudy.agent.serving import Server
from understudy.agent.sidecar import Sidecar
from understudy.agent.timing import LONGEST_CALL, ORDER_PATIENCE, TRY_AGAIN

log = logging.getLogger("understudy.agent")


@dataclass(kw_only=True)
class Agent:
    """Everything of one running agent; `start` returns at once, `stop` ends all threads without giving up the lease
    (an agent that is restarted within its lease goes on; one that is not, runs out)."""

    identity: Identity
    holder: Holder
    heartbeats: Heartbeats
    check: MasterCheck | None
    clock: Clock
    bind: tuple[str, int]
    address: str
    run_id: str
    secret: str | None = None
    pledges: Pledges = Pledges.OFF
    hooks: Hooks | None = None
    lag: LagWatch | None = None
    views: PeerViews | None = None
    sidecar_at: tuple[str, int] | None = None
    peers: Mapping[SiteName, Place] = field(default_factory=dict)  # instead of what their heartbeats say
    record: Record | None = None
    notify: Notify = field(default_factory=lambda: Notify(None))
    over: threading.Event = field(default_factory=threading.Event)  # set when this agent cannot go on

    def __post_init__(self) -> None:
        self.failed = False  # a thread ended by an error that nobody foresaw: let a supervisor start the process anew
        self._stepped_at = self.clock.monotonic()
        self._pledging: frozenset[Place] = frozenset()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._stepped = threading.Condition()
        self.door = Door(
            self.bind,
            status=self.status,
            promote=self.promote,
            demote=self.demote,
            pledge=self.pledge,
            secret=self.secret,
        )
        self._servers: list[Server] = [self.door]
        parts: dict[str, Callable[[], None]] = {"renew": self._keep, "pledge": self._live_on}
        if self.sidecar_at is not None:
            names = {"site": self.identity.site, "pair": self.identity.pair}
            grant = partial(getattr, self.holder, "grant")
            self._servers.append(Sidecar(self.sidecar_at, grant=grant, clock=self.clock, names=names))
        for server in self._servers:
            parts[type(server).__name__.lower()] = partial(server.serve_forever, poll_interval=0.1)
        self._beating = Beating(
            self.heartbeats,
            pair=self.identity.pair,
            site=self.identity.site,
            now=self._heartbeat,
            learn=self._learn,
            given=self.peers,
            also=self.record.write if self.record else lambda: None,
        )
        watched = {"heartbeat": self._beating, "master": self.check, "lag": self.lag, "peers": self.views}
        self._runs = [one for one in watched.values() if one is not None]
        parts.update({name: one.run for name, one in watched.items() if one is not None})
        if self.views is not None:
            self.views.on_look = self._name_voices
        if self.hooks is not None:
            self.hooks.on_end = self._wake.set
            self.hooks.on_failed_promotion = self._give_up_quietly
        self._threads = [
            threading.Thread(target=self._guarded, args=(name, part), name=name, daemon=True)
            for name, part in parts.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._wake.set()
        self.notify.stopping()
        for one in self._runs:
            one.stop()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)

    def _guarded(self, name: str, part: Callable[[], None]) -> None:
        """An agent of which one thread is gone would go on answering: it ends instead, and its deadline runs out."""
        try:
            part()
        except Exception as error:
            self.failed = True
            log.critical("agent.thread_died: %s: %s: %s", name, type(error).__name__, error, exc_info=error)
            self.over.set()

    def _unready(self) -> str:
        """Why this site could not be active now; empty when it could."""
        silent = self.clock.monotonic() - self._stepped_at
        terms = self.identity.terms
        if self.failed:
            return "a thread of the agent has died; it is ending"
        if silent > (terms.lease - terms.margin + 2 * LONGEST_CALL).total_seconds():
            return f"the agent has taken no step for {silent:.1f} s"
        if self.check is not None and not self.check():
            return "the master does not answer its agent"
        return ""

    def status(self) -> Answer:
        lease, trouble, unready = self.holder.lease, self.holder.trouble, self._unready()
        hook = self.hooks.trouble if self.hooks else ""
        return HTTPStatus.OK, {
            "pair": self.identity.pair,
            "site": self.identity.site,
            "active": self.holder.active(),
            "epoch": int(self.holder.grant.epoch),
            "ready": not unready and not trouble,
            "holder": self.holder.holder_id,
            "place": place_of(self.address, self.door.server_port),
            "lease_owner": None if lease is None else lease.owner,
            "lease_holder": None if lease is None else lease.holder,
            "lease_epoch": None if lease is None else int(lease.epoch),
            "detail": trouble or unready or hook or self.holder.waits,
            "pledges": self.pledges.value,
            "pledged_for_s": round(self.holder.pledged_for().total_seconds(), 3),
            **self._lag(),
            "peers": self.views.told() if self.views else {},
            "pid": os.getpid(),
        }

    def promote(self, epoch: int) -> Answer:
        self.holder.promote(Epoch(epoch))
        done = self._until(lambda: self.holder.active() and self.holder.grant.epoch >= epoch)
        body = dict(self.status()[1])
        if done:
            return HTTPStatus.OK, body
        body["detail"] = body["detail"] or (
            f"the lease names {body['lease_owner']} under epoch {body['lease_epoch']}"
            + (
                f", held by another agent of this site: {body['lease_holder']}"
                if body["lease_owner"] == self.identity.site and body["lease_holder"] != body["holder"]
                else f", not {self.identity.site} under {epoch}"
            )
        )
        return HTTPStatus.CONFLICT, body

    def pledge(self, body: bytes) -> Answer:
        """Raises BadInput."""
        secret = (self.secret or "").encode()
        ask = read_ask(body, secret)
        if ask is None:
            detail = "this ask is not sealed with this agent's secret: set UNDERSTUDY_AGENT_SECRET alike on all agents"
            return HTTPStatus.FORBIDDEN, {"pledged": False, "detail": detail}
        answer = self.holder.pledge(ask)
        status = HTTPStatus.OK if answer.pledged else HTTPStatus.CONFLICT
        return status, answer_body(ask, answer, secret)

    def demote(self) -> Answer:
        try:
            self.holder.give_up("told to")
        except OSError as error:
            detail = f"the role file cannot be written ({error}): the master stops when its deadline passes"
            return HTTPStatus.SERVICE_UNAVAILABLE, {**self.status()[1], "released": False, "detail": detail}
        released = self._until(self._is_released)
        return HTTPStatus.OK, {**self.status()[1], "released": released}

    def _is_released(self) -> bool:
        lease = self.holder.lease
        return lease is not None and (lease.state is LeaseState.FREE or lease.owner != self.identity.site)

    def _until(self, reached: Callable[[], bool]) -> bool:
        """Have the renewing thread take steps until `reached`, for at most ORDER_PATIENCE."""
        deadline = self.clock.monotonic() + ORDER_PATIENCE.total_seconds()
        with self._stepped:
            while not reached():
                left = deadline - self.clock.monotonic()
                if left <= 0:
                    return False
                self._wake.set()
                self._stepped.wait(min(left, TRY_AGAIN.total_seconds()))
            return True

    def _keep(self) -> None:
        every = self.identity.terms.renew_every.total_seconds()
        while not self._ended.is_set():
            began = self.clock.monotonic()
            self._wake.clear()
            well = self.holder.step()
            self._stepped_at = self.clock.monotonic()
            self.notify.beat()
            with self._stepped:
                self._stepped.notify_all()
            spent = self.clock.monotonic() - began
            self._wake.wait(max(0.0, every - spent) if well else TRY_AGAIN.total_seconds())

    def _live_on(self) -> None:
        """Not in the renewing thread: that one hangs in the very call whose loss makes pledges needed."""
        while not self._ended.wait(TRY_AGAIN.total_seconds()):
            self.holder.extend()

    def _learn(self, places: Mapping[SiteName, Place], pledging: frozenset[Place]) -> None:
        self._pledging = pledging
        if self.views is not None:
            self.views.learn(places)
        self._name_voices()

    def _name_voices(self) -> None:
        views = self.views
        self.holder.learn([place for place in self._pledging if views is None or views.hears(place)])

    def _give_up_quietly(self, because: str) -> None:
        with contextlib.suppress(OSError):  # the next step tries again, and releases nothing before
            self.holder.give_up(because)

    def _lag(self) -> dict[str, float | None]:
        newest = self.lag.newest if self.lag else None
        if newest is None:
            return {"lag_s": None, "lag_age_s": None}
        age = max(0.0, self.clock.monotonic() - newest.at)
        return {"lag_s": newest.behind.total_seconds(), "lag_age_s": round(age, 3)}

    def _heartbeat(self, sequence: int) -> Heartbeat:
        return Heartbeat(
            site=self.identity.site,
            sequence=sequence,
            run=self.run_id,
            at=self.clock.now(),
            active=self.holder.active(),
            epoch=self.holder.grant.epoch,
            address=self.address,
            ready=not self._unready(),
            agent_port=self.door.server_port,
            pledges=self.pledges is not Pledges.OFF,
            **self._lag(),
        )
