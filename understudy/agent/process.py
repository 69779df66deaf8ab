"""The agent as a process: put together from its arguments, started, ended by a signal."""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from shared.adapters import chance, environment
from shared.adapters.agents import HttpAgents
from shared.adapters.clock import RemoteClock, SystemClock
from shared.adapters.peers import HttpPeers
from shared.domain.errors import BadInput, DrError, NotFound, Retryable
from shared.domain.ids import HolderId
from shared.domain.pledge import Promises, place_of
from shared.ports.clock import Clock
from shared.ports.store import Store
from shared.state.decisions import Decisions
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.policies import Policies
from understudy.agent import telling
from understudy.agent.config import AgentConfig, Identity, Pledges, identity_in, parse
from understudy.agent.holder import Holder
from understudy.agent.hooks import Hooks
from understudy.agent.lag import LagWatch, by_command, by_url
from understudy.agent.master_check import MasterCheck
from understudy.agent.notify import Notify
from understudy.agent.parent import end_with_parent
from understudy.agent.peer_views import PeerViews
from understudy.agent.pledging import Means
from understudy.agent.promise_file import PromiseFile
from understudy.agent.record import Record
from understudy.agent.role_file import RoleFile
from understudy.agent.running import Agent as Agent
from understudy.agent.timing import LONGEST_CALL
from understudy.agent.timing import call_timeout as call_timeout

log = logging.getLogger("understudy.agent")

FOLLOW_EVERY: Final = timedelta(seconds=1)  # looks at a local cloud's calendar, which may jump


def build(config: AgentConfig, identity: Identity, store: Store, *, beats: Store, clock: Clock) -> Agent:
    """`store` is the renewing thread's own client, `beats` another one: a slow heartbeat must not delay a renewal.
    Raises BadInput when another agent writes the same role file, OSError when the port is taken or the role file cannot
    be written."""
    check = None if config.master is None else MasterCheck(config.master)
    run_id = chance.token()
    board = RoleFile(config.role_file, pair=identity.pair, site=identity.site)
    me = board.holder(config.instance or identity.site, token=chance.token)
    hooks = None
    if config.promote_hook or config.demote_hook:
        hooks = Hooks(
            promote=config.promote_hook,
            demote=config.demote_hook,
            timeout=config.hook_timeout,
            memory=config.role_file.with_name(config.role_file.name + ".hooks"),
            names={"UNDERSTUDY_PAIR": identity.pair, "UNDERSTUDY_SITE": identity.site},
        )
    record = Record(
        Decisions(beats), pair=identity.pair, site=identity.site, holder=me, run=f"agent-{run_id}", clock=clock
    )
    if config.pledges is Pledges.OFF:
        why = "told to" if config.secret else "UNDERSTUDY_AGENT_SECRET is not set"
        log.warning("agent.pledges_off: %s; nothing extends the lease while the store is away", why)
    holder = Holder(
        pair=identity.pair,
        site=identity.site,
        holder_id=me,
        preferred=identity.preferred,
        terms=identity.terms,
        leases=Leases(store, tokens=chance.token),
        clock=clock,
        board=board,
        ready=(lambda: True) if check is None else check,
        never_active=lambda: all(beat.epoch == 0 for beat in Heartbeats(store).of(identity.pair).values()),
        pledging=means_of(config, identity, me, clock=clock),
        prepared=hooks.prepared if hooks else lambda _: True,
        retired=hooks.retired if hooks else lambda _: True,
        told=record.tell,
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
        pledges=config.pledges,
        hooks=hooks,
        lag=lag_of(config, clock=clock),
        views=PeerViews(HttpAgents(clock=clock, source=config.source), clock=clock),
        sidecar_at=config.sidecar,
        peers=config.peers,
        record=record,
        notify=Notify(environment.variable("NOTIFY_SOCKET")),
    )


def means_of(config: AgentConfig, identity: Identity, me: HolderId, *, clock: Clock) -> Means:
    """Also with pledges off: what was promised while they were on still holds. Raises OSError."""
    place = place_of(config.address, config.port)
    book = PromiseFile(config.role_file, me=me, place=place)
    promises = Promises.after_restart(book.recall(), now=clock.monotonic(), length=identity.terms.lease)
    book.keep(promises)  # so that a restart within this lease does not begin to count anew
    return Means(
        place=place,
        peers=HttpPeers(secret=config.secret or "", clock=clock, source=config.source),
        book=book,
        tokens=chance.token,
        promises=promises,
        on=config.pledges is not Pledges.OFF,
    )


def lag_of(config: AgentConfig, *, clock: Clock) -> LagWatch | None:
    if config.lag_command is not None:
        return LagWatch(by_command(config.lag_command), clock=clock)
    return None if config.lag_url is None else LagWatch(by_url(config.lag_url), clock=clock)


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


def wall_clock() -> SystemClock | RemoteClock:
    """This machine's; beside a local cloud its calendar, so that whoever reads both sees one. Only what is told carries
    it: deadlines are reckoned by the monotonic clock, which is this machine's in either case. Raises Retryable."""
    url = environment.variable("UNDERSTUDY_CLOCK")
    if url is None:
        return SystemClock()
    clock = RemoteClock(url)
    clock.sync()
    clock.follow(every=FOLLOW_EVERY)
    return clock


def main(arguments: Sequence[str] | None = None) -> int:
    telling.to_stderr()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["unit"]:
            from understudy.agent import unit

            return unit.main(arguments[1:])
        config = parse(arguments, environment.variable)
        if config.with_parent:
            end_with_parent()
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        beats = open_store(config)
        identity = identify(config, beats, pause=ended.wait)
        store = open_store(config, timeout=call_timeout(identity.terms))
        agent = build(config, identity, store, beats=beats, clock=wall_clock())
    except (DrError, OSError) as error:
        log.error("agent.cannot_start: %s", error)
        return 2
    agent.over = ended
    agent.start()
    agent.notify.ready()  # from now on the master may start: it is active when its role file says so
    ended.wait()
    agent.stop()
    return 1 if agent.failed else 0
