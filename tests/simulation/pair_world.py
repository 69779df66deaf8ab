"""The lease between two sites in a `World`: real agents, real masters' role reader, takers on the real lease values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from shared.domain.errors import Conflict, DrError, OutcomeUnknown, Retryable
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.domain.lease import Grant, Sighting, Terms
from shared.domain.pledge import Promises
from shared.state.leases import Leases
from tests.simulation.links import How
from tests.simulation.masters import EventMaster, boot_of
from tests.simulation.peers import MemoryBook, SimPeers, place
from tests.simulation.world import Crash, Machine, Process, ProcessClock, ProcessStore, Rows, World, tokens
from understudy.agent.client import Role, RoleReader
from understudy.agent.holder import Holder
from understudy.agent.pledging import Means
from understudy.agent.record import Tell, untold

PAIR = PairName("control")
H, I = SiteName("hz-h"), SiteName("hz-i")  # noqa: E741
TERMS = Terms(lease=timedelta(seconds=5), margin=timedelta(seconds=1), renew_every=timedelta(seconds=1))


class MemoryBoard:
    """The role file of one machine. `fails` is asked at each write; one that fails may be done all the same."""

    def __init__(
        self,
        site: SiteName,
        machine: Machine,
        *,
        fails: Callable[[Grant], bool] = lambda _: False,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`told`: of each epoch with which a deadline is published."""
        self._site, self._machine, self._fails, self._told = site, machine, fails, told
        self.content = b""

    def publish(self, grant: Grant) -> None:
        failed = self._fails(grant)
        if failed and self._fails(grant):
            raise OSError("no space left on device")
        self._write(grant)
        if failed:
            raise OSError("input/output error")

    def _write(self, grant: Grant) -> None:
        if grant.until:
            self._told(int(grant.epoch))
        boot = boot_of(self._machine)
        self.content = Role(PAIR, self._site, int(grant.epoch), grant.until, boot).encode()


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted command: the site was active at some instant of [`since`, `until`] (true seconds)."""

    site: str
    unit: str  # the machine: a site may, by mistake, have two
    epoch: int
    since: float
    until: float


@dataclass
class Defects:
    """Deliberate breakages of one guard each; a test plants them and sees them caught."""

    holder: type[Holder] = Holder
    leases: type[Leases] = Leases
    second_look: bool = True
    taker_waits: float = 1.0  # of the lease
    since_start_of_read: bool = False
    counts_suspension: bool = True
    terms: Terms = TERMS
    book: type[MemoryBook] = MemoryBook
    peers: type[SimPeers] = SimPeers


@dataclass
class PairWorld:
    world: World
    rows: Rows = field(default_factory=Rows)
    accepted: list[Accepted] = field(default_factory=list)
    refused: int = 0
    withdrawn: int = 0
    take_overs: int = 0
    defects: Defects = field(default_factory=Defects)
    restarts: float = 0.01  # per step, as often as orders to give up
    twins: bool = False  # each site has a second machine with an agent and a master of its own
    board_fails: float = 0.0  # of the revocations that are to be published
    pledges: bool = False  # agents live on their peers' pledges while they cannot renew
    master_threads: bool = True  # False: masters are events, which is cheaper, and stop between their steps only
    machines: dict[SiteName, Machine] = field(default_factory=dict)
    boards: dict[SiteName, MemoryBoard] = field(default_factory=dict)
    holders: dict[SiteName, Holder] = field(default_factory=dict)
    agents: dict[SiteName, Process] = field(default_factory=dict)
    books: dict[SiteName, MemoryBook] = field(default_factory=dict)
    granted: dict[tuple[SiteName, int], float] = field(default_factory=dict)  # when a master was first told of an epoch
    denied: list[tuple[float, SiteName]] = field(default_factory=list)  # when a master refused a command
    keeps_denials: bool = False
    lived_on: int = 0  # how often a grant was extended by pledges
    down: set[SiteName] = field(default_factory=set)  # units whose agent process crashed and is not up again

    def build(self, *, takers: int = 2) -> "PairWorld":
        for site in (H, I):
            for unit in self.units(site):
                self.machines[unit] = self.world.machine(unit)
                self.boards[unit] = MemoryBoard(
                    site, self.machines[unit], fails=self._board_fails, told=partial(self._granted, site)
                )
                short = unit.removeprefix("hz-")
                self.agents[unit] = self.world.spawn(f"agent-{short}", self.machines[unit], self._agent(site, unit))
                self.books[unit] = self.defects.book(self.machines[unit])
                if self.pledges:
                    self.world.spawn(f"pledge-{short}", self.machines[unit], self._extends(unit))
                if self.master_threads:
                    self.world.spawn(f"master-{short}", self.machines[unit], self._master(site, unit))
                else:
                    EventMaster(self, site, unit).begin()
        for number in range(takers):
            self.world.spawn(f"taker-{number}", self.world.machine(f"fc-{number}"), self._taker())
        return self

    def units(self, site: SiteName) -> tuple[SiteName, ...]:
        """The keys of this site's machines in `machines`, `boards` and `holders`."""
        return (site, SiteName(f"{site}-twin")) if self.twins else (site,)

    @staticmethod
    def sites() -> tuple[SiteName, ...]:
        return (H, I)

    def way_to_agent(self, source: str, unit: SiteName) -> How | None:
        """How an attempt to reach the agent of `unit` fails now; None: it does not."""
        return How.SILENT if self.machines[unit].stopped else None

    def _extends(self, unit: SiteName) -> Callable[[Process], None]:
        """The agent's thread that has the peers extend a grant. Woken only when there may be something to do."""

        def live(process: Process) -> None:
            world = self.world

            def due() -> None:
                world.later(self.defects.terms.renew_every.total_seconds() / 4, due, on=process.machine)
                holder = self.holders.get(unit)
                if holder is None or unit in self.down or self.gone(unit) or not holder.grant.until:
                    return
                if (
                    process.machine.reads(world.now) - holder._renewed_at
                    > self.defects.terms.renew_every.total_seconds()
                ):
                    world.poke(process)

            due()
            while True:
                try:
                    world.park(process)
                    holder = self.holders.get(unit)
                    if holder is not None and unit not in self.down and not self.gone(unit) and holder.extend():
                        self.lived_on += 1
                except Crash:  # with its machine
                    continue

        return live

    def _means(self, unit: SiteName, process: Process, clock: ProcessClock) -> Means:
        return Means(
            place=place(unit),
            peers=self.defects.peers(self, process, unit),
            book=self.books[unit],
            tokens=tokens(self.world),
            promises=Promises.after_restart(
                self.books[unit].kept(), now=clock.monotonic(), length=self.defects.terms.lease
            ),
        )

    def _granted(self, site: SiteName, epoch: int) -> None:
        self.granted.setdefault((site, epoch), self.world.now)

    def _board_fails(self, grant: Grant) -> bool:
        # Mostly revocations: a new deadline that cannot be published ends the agent, and then there is little to see.
        chance = self.board_fails / (20 if grant.until else 1)
        return chance > 0 and self.world.chance.random() < chance

    def leases(self, process: Process) -> Leases:
        return self.defects.leases(self.store_of(process), tokens=tokens(self.world))

    def store_of(self, process: Process) -> ProcessStore:
        return ProcessStore(self.world, process, self.rows)

    def ready(self, site: SiteName) -> bool:
        return True

    def tells(self, unit: SiteName, clock: ProcessClock) -> Tell:
        """How the agent of `unit` records what it made of the lease. Here nobody asks later."""
        return untold

    def gone(self, site: SiteName) -> bool:
        """Whether the agent process of this site is dead."""
        return False

    def _agent(self, site: SiteName, unit: SiteName) -> Callable[[Process], None]:
        def live(process: Process) -> None:
            world = self.world
            clock = ProcessClock(world, process, counts_suspension=self.defects.counts_suspension)
            while True:  # one turn is one life of the agent process
                try:
                    if unit in self.down:
                        world.wait(process, world.chance.uniform(0.2, 5))
                        self.down.discard(unit)
                    if self.gone(site):
                        world.wait(process, 0.5)
                        continue
                    self._serve(site, unit, process, clock)
                    world.say(process.name, "restarted")
                except OSError as error:
                    world.say(process.name, f"ended by {error}")
                    self.down.add(unit)
                except Crash:
                    world.say(process.name, "crashed")
                    self.down.add(unit)

        return live

    def _serve(self, site: SiteName, unit: SiteName, process: Process, clock: ProcessClock) -> None:
        """One life of an agent process. Raises OSError when it ends by its role file."""
        world, chance = self.world, self.world.chance
        holder = self.holders[unit] = self.defects.holder(
            pair=PAIR,
            site=site,
            holder_id=HolderId(f"{unit}.{self.machines[unit].boot}"),  # the role file of before does not outlive a boot
            preferred=site == H,
            terms=self.defects.terms,
            leases=self.leases(process),
            clock=clock,
            board=self.boards[unit],
            ready=lambda: self.ready(site),
            never_active=lambda: True,
            pledging=self._means(unit, process, clock) if self.pledges else None,
            told=self.tells(unit, clock),
        )
        holder.learn([place(other) for one in self.sites() if one != site for other in self.units(one)])
        while chance.random() >= self.restarts and not self.gone(site):
            if chance.random() < self.restarts:
                try:
                    holder.give_up("told to")
                    world.say(process.name, f"gave up epoch {holder.grant.epoch}")
                except OSError as error:
                    # As the door does: it answers that it did not come off.
                    world.say(process.name, f"could not give up: {error}")
            well = holder.step()
            clock.sleep(self.defects.terms.renew_every if well else timedelta(seconds=0.2))

    def _master(self, site: SiteName, unit: SiteName) -> Callable[[Process], None]:
        def live(process: Process) -> None:
            world = self.world
            clock = ProcessClock(world, process, counts_suspension=self.defects.counts_suspension)
            read_at = 0.0

            def read() -> bytes:
                nonlocal read_at
                read_at = world.now
                return self.boards[unit].content

            role = RoleReader("unused", clock=clock.monotonic, boot=boot_of(process.machine), read=read)
            while True:
                clock.sleep(timedelta(seconds=world.chance.uniform(0.1, 0.6)))
                first = role.look()
                if not first.active:
                    self.refused += 1
                    continue
                clock.sleep(timedelta(seconds=world.chance.uniform(0, 0.05)))  # the work, and its record
                if not self.defects.second_look:
                    self._accept(site, unit, first.epoch, world.now, world.now)
                    continue
                second = role.confirm(first)
                if second.active:
                    self._accept(site, unit, second.epoch, process.machine.at(second.at), read_at)
                else:
                    self.withdrawn += 1

        return live

    def _accept(self, site: SiteName, unit: SiteName, epoch: int, since: float, until: float) -> None:
        self.accepted.append(Accepted(site, unit, epoch, min(since, until), until))

    def _taker(self) -> Callable[[Process], None]:
        def live(process: Process) -> None:
            world, clock = self.world, ProcessClock(self.world, process)
            leases = self.leases(process)
            sighting: Sighting | None = None
            terms = Terms(
                lease=TERMS.lease * self.defects.taker_waits,
                margin=TERMS.margin * self.defects.taker_waits,
                renew_every=TERMS.renew_every * self.defects.taker_waits,
            )
            while True:
                clock.sleep(timedelta(seconds=world.chance.uniform(0.2, 1)))
                try:
                    started = clock.monotonic()
                    lease = leases.read(PAIR)
                    returned = started if self.defects.since_start_of_read else clock.monotonic()
                    if lease is None:
                        continue
                    sighting = (
                        sighting.then(lease, returned=returned)
                        if sighting
                        else Sighting.first(lease, returned=returned)
                    )
                    if sighting.takeable(clock.monotonic(), terms):
                        target = I if lease.owner == H else H
                        taken = leases.take(sighting.lease, target, length=terms.lease)
                        self.take_overs += 1
                        world.say(process.name, f"gave epoch {taken.epoch} to {target}")
                        self._promote(target, taken.epoch)
                except (Conflict, Retryable, OutcomeUnknown) as error:
                    world.say(process.name, f"{type(error).__name__}")
                except DrError as error:
                    raise AssertionError(str(error)) from error

        return live

    def _promote(self, site: SiteName, epoch: Epoch) -> None:
        """The order reaches every agent of the site, or one in ten times none."""
        if self.world.chance.random() < 0.1:
            return
        for unit in self.units(site):
            if unit in self.holders:
                self.holders[unit].promote(epoch)

    def overlap(self) -> str:
        """Empty when no command of one epoch was accepted after one of a later epoch."""
        epochs = sorted({one.epoch for one in self.accepted})
        for epoch in epochs:
            units = {one.unit for one in self.accepted if one.epoch == epoch}
            if len(units) > 1:
                return f"epoch {epoch} was used by {sorted(units)}"
        for earlier, later in ((a, b) for a in epochs for b in epochs if a < b):
            last = max((one for one in self.accepted if one.epoch == earlier), key=lambda one: one.until)
            first = min((one for one in self.accepted if one.epoch == later), key=lambda one: one.since)
            if last.until >= first.since:
                return f"{last} overlaps {first}"
        return ""
