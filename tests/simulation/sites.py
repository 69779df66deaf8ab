"""The ports of watches and agents in a `FailoverWorld`: each call by its own link, with what the links do to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from shared.domain.errors import CredentialsRejected, DrError, Forbidden, OutcomeUnknown, Retryable, Throttled
from shared.domain.ids import Epoch, InstanceId, SiteName
from shared.domain.inventory import Disk, Instance, SystemEvent
from shared.domain.pair import Hook
from shared.ports.hooks import HookAnswer, Said
from shared.ports.names import NameRecord, Names
from shared.ports.probes import AgentReport, PeerView, Sight
from shared.ports.resolvers import Resolved
from shared.ports.store import Key, Row
from shared.state.leases import TABLE as LEASES
from shared.state.leases import Leases
from tests.simulation.links import ECS, NAMES, STORE, How
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import Process, ProcessStore, Rows, World

if TYPE_CHECKING:
    from tests.simulation.failover_world import FailoverWorld

ADDRESS = {H: "10.0.1.21", I: "10.0.2.21"}
SLOWEST_API = 10.0  # seconds that a cloud's API may be silent before its client gives up


class SiteStore(ProcessStore):
    """As its process reaches it: not at all from a dark site."""

    def __init__(self, pair: "FailoverWorld", process: Process, place: str, *, timeout: float | None) -> None:
        super().__init__(pair.world, process, pair.rows, timeout=timeout)
        self._pair, self._place = pair, place

    def get(self, table: str, key: Key) -> Row | None:
        row = super().get(table, key)
        if table == LEASES:
            epoch = None if row is None else row.columns["epoch"]
            known = epoch if isinstance(epoch, int) else 0  # a damaged row tells none
            who = self._pair.world.current or self._process
            self._pair.looked[who.name] = (self._pair.worked(who), known)
        return row

    def _way(self, *, writes: bool, apply: Callable[[], None] | None = None) -> None:
        if self._place.startswith("watch"):
            self._pair.outside(self._process)
        if self._place in self._pair.dark:
            self._began = self._world.now
            self._give_up(writes=writes, why="dark")
        how = self._pair.links.way(self._place, STORE)
        if how is How.REFUSED:
            self.refused()
        elif how is How.SILENT or (how is How.DEAF and apply is None):
            self._began = self._world.now
            self._give_up(writes=writes, why="no answer")
        elif how is How.DEAF and apply is not None:
            self._began = self._world.now
            self._world.later(self._world.chance.uniform(0, 0.5), lambda: self._late(apply))
            self._give_up(writes=writes, why="no answer")
        elif how is not None:
            _refuse(how, "the state store")
        super()._way(writes=writes, apply=apply)


def _refuse(how: How, whom: str) -> NoReturn:
    if how is How.FORBIDDEN:
        raise Forbidden(f"{whom} says no")
    if how is How.REJECTED:
        raise CredentialsRejected(f"{whom} does not know the keys")
    raise Throttled(f"{whom} has too much to do")


class SimAgents:
    """The agents port from the place of one watch."""

    def __init__(self, pair: "FailoverWorld", process: Process, site: SiteName, place: str) -> None:
        self._pair, self._process, self._site, self._place = pair, process, site, place

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self._ask(address, timeout, lambda site: None)

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        if self._pair.refuse_promotions:
            return self._ask(address, timeout, lambda site: None)

        # The agent's own loop claims the lease; the order tells it to, and waits for it.
        def wait(site: SiteName) -> None:
            self._pair.holders[site].promote(epoch)
            until = self._pair.world.now + timeout.total_seconds() / 2
            while self._pair.world.now < until and self._pair.holders[site].grant.epoch < epoch:
                self._pair.world.wait(self._process, 0.05)

        return self._ask(address, timeout, wait)

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        def order(site: SiteName) -> None:
            self._pair.holders[site].give_up("told to")
            self._pair.world.wait(self._process, 1.3)  # its loop releases the lease meanwhile

        return self._ask(address, timeout, order)

    def _ask(self, address: str, timeout: timedelta, order: Callable[[SiteName], None]) -> AgentReport:
        pair, world = self._pair, self._pair.world
        pair.outside(self._process)
        site = next(site for site, own in ADDRESS.items() if own == address)
        world.wait(self._process, 0.002)
        lost = world.chance.random() < world.faults.lost_reply
        how = pair.way_to_agent(self._place, site)
        if how is How.SILENT or self._site in pair.blind or (lost and world.chance.random() < 0.5):
            world.wait(self._process, timeout.total_seconds())
            return AgentReport(sight=Sight.SILENT)
        if how not in (None, How.DEAF) or pair.gone(site) or site not in pair.holders or site in pair.down:
            return AgentReport(sight=Sight.REFUSED)
        order(site)
        if lost or how is How.DEAF:
            world.wait(self._process, timeout.total_seconds() / 2)
            return AgentReport(sight=Sight.SILENT)
        holder = pair.holders[site]
        active = holder.grant.active_at(pair.machines[site].reads(world.now))
        return AgentReport(
            sight=Sight.ANSWERED,
            active=active,
            epoch=holder.grant.epoch,
            site=site,
            ready=pair.ready(site),
            lag=pair.lags.get(site),
            lag_age=timedelta(seconds=1) if site in pair.lags else None,
            peers={other: self._peer(site, other) for other in ADDRESS if other != site and other in pair.holders},
        )

    def _peer(self, site: SiteName, other: SiteName) -> PeerView:
        """What the agent of `site` saw of the other one a moment ago; the moment itself is left out."""
        pair = self._pair
        age = timedelta(seconds=pair.world.chance.uniform(0.0, 2.0))
        how = pair.way_to_agent(site, other)
        if how in (How.SILENT, How.DEAF):
            return PeerView(sight=Sight.SILENT, age=age)
        if how is not None or pair.gone(other) or other in pair.down:
            return PeerView(sight=Sight.REFUSED, age=age)
        holder = pair.holders[other]
        active = holder.grant.active_at(pair.machines[other].reads(pair.world.now))
        return PeerView(sight=Sight.ANSWERED, age=age, active=active, epoch=holder.grant.epoch)


class SimHooks:
    """Somebody who is asked before a failover, and says what the test wants."""

    def __init__(self, pair: "FailoverWorld", process: Process) -> None:
        self._pair, self._process = pair, process

    def ask(self, hook: Hook, question: bytes) -> HookAnswer:  # the port's
        self._pair.outside(self._process)
        self._pair.hooks_asked.append((self._pair.world.now, self._process.name))
        silent = self._pair.hooks_say.said is Said.SILENT
        self._pair.world.wait(self._process, hook.within.total_seconds() if silent else 0.1)
        return self._pair.hooks_say


class CloudWay:
    """The way to one of the cloud's own services."""

    def __init__(self, pair: "FailoverWorld", process: Process, place: str, service: str) -> None:
        self._pair, self.process, self._place, self.service = pair, process, place, service

    @property
    def world(self) -> World:
        return self._pair.world

    def way(self, *, writes: bool) -> bool:
        """Whether an answer comes back. Raises what the service says instead."""
        pair, world = self._pair, self._pair.world
        pair.outside(self.process)
        world.maybe_pause(self.process)
        world.wait(self.process, world.chance.uniform(0, 0.1))
        if self.service == NAMES and pair.names_down:
            self.silence(1.0, writes=writes)
        how = pair.links.way(self._place, self.service)
        if how is How.SILENT:
            self.silence(world.chance.choice((1.0, 3.0, SLOWEST_API)), writes=writes)
        elif how is How.DEAF and not writes:
            self.silence(3.0, writes=False)
        elif how not in (None, How.DEAF):
            _refuse(how, self.service)
        return how is None and world.chance.random() >= world.faults.lost_reply

    def silence(self, seconds: float, *, writes: bool) -> NoReturn:
        self._pair.world.wait(self.process, seconds)
        error: DrError = OutcomeUnknown("no answer") if writes else Retryable("no answer")
        raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One rebind of the name, with the lease as it stood at that moment."""

    at: float
    value: str
    epoch: int
    owner: SiteName
    news: float  # how old the watch's last look at the lease was; what it was stopped for does not count
    seen: int  # the epoch that it saw then


class SimNames:
    """`names`: of the cloud; None: the private ones."""

    def __init__(self, pair: "FailoverWorld", process: Process, place: str, names: Names | None = None) -> None:
        self._pair, self._process = pair, process
        self._way = CloudWay(pair, process, place, NAMES)
        self._names = pair.names_of_the_cloud() if names is None else names

    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        self._way.way(writes=False)
        found = self._names.records(zone=zone, host=host, type=type)
        self._pair.world.wait(self._process, self._pair.world.chance.uniform(0, 0.02))
        return found

    def rebind(self, record: NameRecord, *, value: str) -> None:
        answered = self._way.way(writes=True)
        self._names.rebind(record, value=value)
        self._pair.moved.append((self._pair.world.now, f"{record.host}.{record.zone}", value))
        if (record.host, record.zone) == ("master", "corp.example"):
            self._binding(value)
        if not answered:
            self._way.silence(1.0, writes=True)

    def _binding(self, value: str) -> None:
        self._pair.rebinds.append((self._pair.world.now, value))
        lease = Leases(TruthStore(self._pair.rows), tokens=str).read(PAIR)
        if lease is not None:
            who = self._pair.world.current or self._process
            at, epoch = self._pair.looked.get(who.name, (float("-inf"), 0))
            self._pair.bindings.append(
                Binding(
                    at=self._pair.world.now,
                    value=value,
                    epoch=int(lease.epoch),
                    owner=lease.owner,
                    news=self._pair.worked(who) - at,
                    seen=epoch,
                )
            )
        self._pair.world.say(self._process.name, f"bound the name to {value}")

    def remark(self, record: NameRecord, *, text: str) -> None:
        answered = self._way.way(writes=True)
        self._names.remark(record, text=text)
        if not answered:
            self._way.silence(1.0, writes=True)

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        answered = self._way.way(writes=True)
        self._names.retime(record, ttl_seconds=ttl_seconds)
        if not answered:
            self._way.silence(1.0, writes=True)

    def least_ttl(self, *, zone: str) -> int:
        self._way.way(writes=False)
        return self._names.least_ttl(zone=zone)


class SimResolvers:
    """Inside the site's own network: silent from a dark site, else at hand."""

    def __init__(self, pair: "FailoverWorld", process: Process, site: SiteName) -> None:
        self._pair, self._process, self._site = pair, process, site

    def ask(self, names: Sequence[str], *, servers: Sequence[str], timeout: timedelta) -> tuple[Resolved, ...]:
        self._pair.outside(self._process)
        if self._site in self._pair.dark:
            self._pair.world.wait(self._process, timeout.total_seconds())
            return tuple(Resolved(server="vpc", name=name, why="no answer") for name in names)
        self._pair.world.wait(self._process, 0.005)
        told = self._pair.resolve(names, servers, timeout)
        return tuple(self._pair.held.get(one.name, one) for one in told)


class SimInventory:
    def __init__(self, pair: "FailoverWorld", process: Process, place: str) -> None:
        self._way = CloudWay(pair, process, place, ECS)
        self._inventory = pair.inventory_of_the_cloud()

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        self._way.way(writes=False)
        return self._inventory.instances(ids=ids, tags=tags)

    def disks(self, **_: object) -> Iterator[Disk]:
        raise AssertionError("a watch does not ask for this")

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        self._way.way(writes=False)
        return self._inventory.system_events(instance)


class TruthStore(ProcessStore):
    """The tables as they are, without any way there: for a test's own eyes."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def _way(self, *, writes: bool, apply: Callable[[], None] | None = None) -> None:
        return

    def _way_back(self, *, writes: bool) -> None:
        return

    def _write(self, apply: Callable[[], None]) -> None:
        apply()
