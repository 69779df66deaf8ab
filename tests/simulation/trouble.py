"""A bad time for a `FailoverWorld`, drawn from its seed: what befalls whom, from when until when. Then all faults stop.

Each line of a `Draw` names one fault, so that a failing seed tells what it was about.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.domain.ids import SiteName
from shared.state.controls import Pause
from shared.state.failovers import SwitchOrder
from tests.simulation.executors import Timers, Triggers
from tests.simulation.failover_world import FailoverWorld
from tests.simulation.links import ECS, NAMES, STORE, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.variety import variety
from tests.simulation.world import Faults, Process, World

Do = Callable[[], object]

SHORT, LONG = 45.0, 240.0  # seconds of trouble
LONG_ONES = 0.04  # of the seeds: freezes of minutes need room
MOST_DRIFT = 0.01
PLACES = (H, I, watch_at(H), watch_at(I))
SERVICES = (STORE, NAMES, ECS)


@dataclass
class Draw:
    seed: int
    trouble: float
    lines: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}, {self.trouble:.0f} s of trouble", *sorted(self.lines)])


class Trouble:
    def __init__(self, pair: FailoverWorld, timers: Timers, menu: "Menu") -> None:
        self.pair, self.timers, self.world, self.chance = pair, timers, pair.world, pair.world.chance
        self.draw = Draw(pair.world.seed, LONG if self.chance.random() < LONG_ONES else SHORT)
        self._background()
        for kind, often, most in menu:
            for _ in range(most):
                if self.chance.random() < often:
                    kind(self)
        for _ in range(2):
            self.crash()
        pair.at(self.draw.trouble, self.stop)

    def _background(self) -> None:
        """What goes on all the time."""
        faults = self.world.faults
        self._tell("background", 0.0, self.draw.trouble, f"{_uneven(faults)}, restarts {self.pair.restarts:g}")
        triggers = self.timers.triggers
        triggers.lost = self.chance.choice((0.0, 0.0, 0.3))
        triggers.doubled = self.chance.choice((0.0, 0.2))
        triggers.late = self.chance.choice((0.0, 0.3))
        triggers.late_seconds = self.chance.choice((10.0, 40.0, 90.0))
        self._tell("triggers", 0.0, self.draw.trouble, str(triggers))

    def _tell(self, kind: str, start: float, end: float, what: str) -> None:
        self.draw.kinds.append(kind)
        self.draw.lines.append(f"{start:6.1f} to {end:6.1f} s  {kind}: {what}")

    def _window(self, longest: float = 30.0) -> tuple[float, float]:
        start = self.chance.uniform(3, self.draw.trouble - 3)
        return start, min(self.draw.trouble, start + self.chance.uniform(1, longest))

    def _during(self, kind: str, what: str, begin: Do, end: Do, *, longest: float = 30.0) -> None:
        start, over = self._window(longest)
        self._tell(kind, start, over, what)

        def started() -> None:
            self.world.say("world", f"{kind}: {what}")
            begin()

        self.pair.at(start, started)
        self.pair.at(over, end)

    # --- the network ---

    def _cut(self, kind: str, links: list[tuple[str, str]], how: How) -> None:
        def begin() -> None:
            cut = self.pair.links.cut(links, how)
            ends.append(lambda: self.pair.links.heal(cut))

        ends: list[Do] = []
        shown = ", ".join(f"{a} -> {b}" for a, b in links)
        self._during(kind, f"{shown} {how}", begin, lambda: [one() for one in ends])

    def one_link(self) -> None:
        source = self.chance.choice(PLACES)
        target = self.chance.choice([one for one in (H, I, *SERVICES) if one != source])
        self._cut("one link", [(source, target)], self._how())

    def agents_apart(self) -> None:
        links = self.chance.choice(([(H, I)], [(I, H)], [(H, I), (I, H)]))
        self._cut("agents apart", list(links), self._how())

    def watches_blind(self) -> None:
        site = self.chance.choice((H, I))
        self._cut("watch blind", [(watch_at(site), H), (watch_at(site), I)], How.SILENT)

    def store_only(self) -> None:
        count = self.chance.randint(1, len(PLACES))
        places = self.chance.sample(PLACES, count)
        how = self.chance.choice((How.SILENT, How.REFUSED, How.DEAF))
        self._cut("store only", [(place, STORE) for place in places], how)

    def site_dark(self) -> None:
        """A zone: its machine and its watch hear each other and nobody else."""
        site = self.chance.choice((H, I))
        other = I if site == H else H
        inside, outside = (site, watch_at(site)), (other, watch_at(other))
        links = [(a, b) for a in inside for b in (other, *SERVICES)] + [(a, site) for a in outside]
        if self.chance.random() < 0.3:
            links = [one for one in links if one[0] in inside] if self.chance.random() < 0.5 else links[-2:]
        self._cut("site dark", links, How.SILENT)

    def _how(self) -> How:
        return self.chance.choice((How.SILENT, How.SILENT, How.DEAF, How.REFUSED))

    def api(self) -> None:
        service = self.chance.choice(SERVICES)
        places = self.chance.choice((PLACES[2:], PLACES[2:3], PLACES[3:]))
        self._cut("api", [(place, service) for place in places], self.chance.choice(tuple(How)))

    # --- processes and machines ---

    def crash(self) -> None:
        """Before or after any call: at some wait from some moment on."""
        whom = self.chance.choice(("agent-h", "agent-i", "watch-h", "watch-i"))
        start, waits = self.chance.uniform(2, self.draw.trouble - 2), self.chance.randint(1, 30)
        self._tell("crash", start, start, f"{whom}, {waits} waits later")
        site = H if whom[-1] == "h" else I

        def doom() -> None:
            process = self._executor(site) if whom.startswith("watch") else self.pair.agents[site]
            if process is not None:
                process.dies_in = waits

        self.pair.at(start, doom)

    def _executor(self, site: SiteName) -> Process | None:
        living = self.timers.living(site)
        return self.chance.choice(living).process if living else None

    def agent_dead(self) -> None:
        site = self.chance.choice((H, I))
        self._during("agent dead", site, lambda: self.pair.dead.add(site), lambda: self.pair.dead.discard(site))

    def master_ill(self) -> None:
        site = self.chance.choice((H, I))
        self._during("master ill", site, lambda: self.pair.unready.add(site), lambda: self.pair.unready.discard(site))

    def machine_frozen(self) -> None:
        machine = self.pair.machines[self.chance.choice((H, I))]
        self._during(
            "machine frozen",
            machine.name,
            lambda: self.world.freeze(machine),
            lambda: self.world.thaw(machine),
            longest=self.chance.choice((8.0, 30.0, 180.0)),
        )

    def executor_frozen(self) -> None:
        site = self.chance.choice((H, I))
        frozen: list[Process] = []

        def begin() -> None:
            process = self._executor(site)
            if process is not None:
                frozen.append(process)
                self.world.freeze(process.machine)

        self._during(
            "executor frozen",
            watch_at(site),
            begin,
            lambda: self.world.thaw(frozen[0].machine) if frozen else None,
            longest=self.chance.choice((8.0, 30.0, 180.0)),
        )

    def reboot(self) -> None:
        """The machine is gone for a while, and with it all that was not on disk; its boottime begins anew."""
        site = self.chance.choice((H, I))
        machine = self.pair.machines[site]

        def end() -> None:
            self.world.reboot(machine)
            self.pair.down.add(site)  # until its agent is started again
            self.world.thaw(machine)

        self._during("reboot", site, lambda: self.world.freeze(machine), end)

    def clock_set(self) -> None:
        site = self.chance.choice((H, I))
        agents = self.chance.random() < 0.5
        seconds = self.chance.choice((-3600.0, -5.0, 5.0, 70.0, 3600.0))

        def set_to(wrong: float) -> None:
            if agents:
                self.pair.machines[site].wall = wrong
                return
            self.pair.wall[site] = wrong
            for one in self.timers.living(site):
                one.machine.wall = wrong

        whose = site if agents else watch_at(site)
        self._during("clock set", f"{whose} by {seconds:g} s", lambda: set_to(seconds), lambda: set_to(0.0))

    # --- operators ---

    def order(self) -> None:
        to = self.chance.choice((H, I))
        start = self.chance.uniform(3, self.draw.trouble - 3)
        self._tell("order", start, start, f"switch to {to}")
        self.pair.at(
            start,
            lambda: self.pair.orders().give(SwitchOrder(pair=PAIR, to_site=to, at=self.pair.now(), because="test")),
        )

    def pause(self) -> None:
        controls = self.pair.controls()
        self._during(
            "pause",
            "failover",
            lambda: controls.pause(Pause(scope="failover", since=self.pair.now(), because="test")),
            lambda: controls.resume("failover", self.pair.now()),
        )

    # --- the end ---

    def stop(self) -> None:
        pair, world = self.pair, self.world
        world.say("world", "faults stop")
        world.faults = replace(Faults.none(), drift=world.faults.drift)
        pair.restarts = 0.0
        self.timers.triggers = Triggers()
        pair.links.heal_all()
        for kind in (pair.dark, pair.dead, pair.unready, pair.blind):
            kind.clear()
        pair.wall.clear()
        machines = [*pair.machines.values(), *(one.machine for site in (H, I) for one in self.timers.executors[site])]
        for machine in machines:
            machine.wall = 0.0
            world.thaw(machine)
        for process in world.processes():
            process.unreachable_until = 0.0
            process.dies_in = 0
        self._acknowledge()

    def _acknowledge(self) -> None:
        """What an operator does then, until it helps."""
        self.pair.acknowledge()
        self.pair.at(self.world.now + 10, self._acknowledge)


Menu = tuple[tuple[Callable[[Trouble], None], float, int], ...]

MENU: Menu = (  # what, how probable, and how often at most
    (Trouble.one_link, 0.5, 3),
    (Trouble.agents_apart, 0.25, 1),
    (Trouble.watches_blind, 0.2, 1),
    (Trouble.store_only, 0.4, 2),
    (Trouble.site_dark, 0.5, 1),
    (Trouble.api, 0.4, 2),
    (Trouble.agent_dead, 0.25, 2),
    (Trouble.master_ill, 0.25, 1),
    (Trouble.machine_frozen, 0.3, 1),
    (Trouble.executor_frozen, 0.4, 2),
    (Trouble.reboot, 0.2, 1),
    (Trouble.clock_set, 0.3, 2),
    (Trouble.order, 0.2, 1),
    (Trouble.pause, 0.15, 1),
)


def _uneven(faults: Faults) -> str:
    return str(faults).removeprefix("Faults")


def troubled(seed: int, *, menu: Menu = MENU, varied: bool = True, **more: object) -> tuple[FailoverWorld, Trouble]:
    """A pair with timers, a block or none, pledges or none, and what its seed has drawn for it. `varied`: some seeds
    draw a policy with data rules, hooks, surge, more names, or of a pair that may not move by itself."""
    policy = variety(seed if varied else None)
    world = World(seed)
    world.faults = replace(world.faults, drift=min(world.faults.drift, MOST_DRIFT))
    chance = world.chance
    drawn: dict[str, object] = {
        "block": timedelta(hours=chance.choice((0, 0, 1))),
        "pledges": chance.random() < 0.8,
        "master_threads": False,
        "agreed": policy.agreed,
        **policy.fields,
        **more,
    }
    pair = FailoverWorld(
        world,
        **drawn,  # type: ignore[arg-type]  # fields by name
    )
    timers = Timers(pair)
    pair.open(watches=())
    first = chance.uniform(0, 60)
    for site in (H, I):
        timers.begin(site, first=first)
    trouble = Trouble(pair, timers, menu)
    policy.befall(pair, trouble.draw)
    return pair, trouble
