"""The agent as a process: one thread renews, one looks after the master, one writes heartbeats, the door answers."""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from shared.adapters import chance, environment
from shared.adapters.clock import SystemClock
from shared.domain.errors import BadInput, DrError, NotFound, Retryable
from shared.domain.ids import Epoch
from shared.domain.lease import LeaseState, Terms
from shared.ports.clock import Clock
from shared.ports.store import Store
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.leases import Leases
from shared.state.policies import Policies
from understudy.agent.config import AgentConfig, Identity, identity_in, parse
from understudy.agent.door import Answer, Door
from understudy.agent.holder import Holder
from understudy.agent.master_check import MasterCheck
from understudy.agent.role_file import RoleFile

log = logging.getLogger("understudy.agent")

LONGEST_CALL: Final = timedelta(seconds=1)
SHORTEST_CALL: Final = timedelta(milliseconds=250)
TRY_AGAIN: Final = timedelta(milliseconds=200)
BEAT_EVERY: Final = timedelta(seconds=5)
ORDER_PATIENCE: Final = timedelta(seconds=2)  # how long an order waits for the renewing thread
PR_SET_PDEATHSIG: Final = 1


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
    over: threading.Event = field(default_factory=threading.Event)  # set when this agent cannot go on

    def __post_init__(self) -> None:
        self.failed = False  # a thread ended by an error that nobody foresaw: let a supervisor start the process anew
        self._stepped_at = self.clock.monotonic()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._stepped = threading.Condition()
        self.door = Door(self.bind, status=self.status, promote=self.promote, demote=self.demote, secret=self.secret)
        parts: dict[str, Callable[[], None]] = {
            "renew": self._keep,
            "heartbeat": self._beat,
            "door": lambda: self.door.serve_forever(poll_interval=0.1),
        }
        if self.check is not None:
            parts["master"] = self.check.run
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
        if self.check is not None:
            self.check.stop()
        self.door.shutdown()
        self.door.server_close()
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
        return HTTPStatus.OK, {
            "pair": self.identity.pair,
            "site": self.identity.site,
            "active": self.holder.active(),
            "epoch": int(self.holder.grant.epoch),
            "ready": not unready and not trouble,
            "holder": self.holder.holder_id,
            "lease_owner": None if lease is None else lease.owner,
            "lease_holder": None if lease is None else lease.holder,
            "lease_epoch": None if lease is None else int(lease.epoch),
            "detail": trouble or unready,
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
            with self._stepped:
                self._stepped.notify_all()
            spent = self.clock.monotonic() - began
            self._wake.wait(max(0.0, every - spent) if well else TRY_AGAIN.total_seconds())

    def _beat(self) -> None:
        sequence = 0
        while not self._ended.wait(BEAT_EVERY.total_seconds() if sequence else 0.5):
            sequence += 1
            beat = Heartbeat(
                site=self.identity.site,
                sequence=sequence,
                run=self.run_id,
                at=self.clock.now(),
                active=self.holder.active(),
                epoch=self.holder.grant.epoch,
                address=self.address,
                ready=not self._unready(),
            )
            try:
                self.heartbeats.beat(self.identity.pair, beat)
            except DrError as error:
                log.warning("agent.heartbeat_lost", extra={"because": str(error)})


def build(config: AgentConfig, identity: Identity, store: Store, *, beats: Store, clock: Clock) -> Agent:
    """`store` is the renewing thread's own client, `beats` another one: a slow heartbeat must not delay a renewal.
    Raises BadInput when another agent writes the same role file, OSError when the port is taken or the role file cannot
    be written."""
    check = None if config.master is None else MasterCheck(config.master)
    run_id = chance.token()
    board = RoleFile(config.role_file, pair=identity.pair, site=identity.site)
    holder = Holder(
        pair=identity.pair,
        site=identity.site,
        holder_id=board.holder(config.instance or identity.site, token=chance.token),
        preferred=identity.preferred,
        terms=identity.terms,
        leases=Leases(store, tokens=chance.token),
        clock=clock,
        board=board,
        ready=(lambda: True) if check is None else check,
        never_active=lambda: all(beat.epoch == 0 for beat in Heartbeats(store).of(identity.pair).values()),
    )
    return Agent(
        identity=identity,
        holder=holder,
        heartbeats=Heartbeats(beats),
        check=check,
        clock=clock,
        bind=(config.bind, config.port),
        address=config.address,
        run_id=run_id,
        secret=config.secret,
    )


def identify(config: AgentConfig, store: Store, *, pause: Callable[[float], object]) -> Identity:
    """From the arguments, or from the active policy: waits for the store and for a policy as long as it takes."""
    if config.terms is not None and config.pair is not None and config.site is not None:
        return Identity(pair=config.pair, site=config.site, preferred=config.preferred, terms=config.terms)
    assert config.instance is not None, "parse saw to it"
    told = ""
    while True:
        try:
            _, policy = Policies(store).active()
            return identity_in(policy, config.instance)
        except (Retryable, BadInput, NotFound) as error:
            if str(error) != told:
                told = str(error)
                log.warning("agent.waits", extra={"because": told})
            pause(0.5)


def call_timeout(terms: Terms) -> timedelta:
    """Of one store call. A failed renewal is two of them (it is read back), and two renewals must be able to fail
    before the deadline."""
    return max(SHORTEST_CALL, min(LONGEST_CALL, (terms.lease - terms.margin) / 5))


def open_store(config: AgentConfig, *, timeout: timedelta = LONGEST_CALL) -> Store:
    # The Tablestore SDK is the heaviest import of this process.
    from shared.adapters.credentials import from_environment
    from shared.adapters.ots import OtsStore

    return OtsStore(
        endpoint=config.store_endpoint,
        instance=config.store_instance,
        credentials=from_environment,
        timeout=timeout,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        config = parse(sys.argv[1:] if arguments is None else arguments, environment.variable)
        if config.with_parent:
            end_with_parent()
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        beats = open_store(config)
        identity = identify(config, beats, pause=ended.wait)
        store = open_store(config, timeout=call_timeout(identity.terms))
        agent = build(config, identity, store, beats=beats, clock=SystemClock())
    except (DrError, OSError) as error:
        log.error("agent.cannot_start: %s", error)
        return 2
    agent.over = ended
    agent.start()
    ended.wait()
    agent.stop()
    return 1 if agent.failed else 0


def end_with_parent() -> None:
    """Linux: have the kernel kill this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
