"""What else may befall a pair without agents: cuts of one direction, an API that does late what it was asked, somebody
who starts what was stopped or lets in what was shut off, all kinds of orders at any moment, and a lease row that is
deleted. Beside `unattended_days`, whose seeds keep their draws."""

from typing import cast

from shared.domain.failover_safety import OVERRIDABLE, Kind
from shared.domain.ids import Epoch
from shared.state.controls import Pause
from shared.state.failovers import SwitchOrder
from shared.state.leases import TABLE as LEASES
from tests.simulation.failover_world import INSTANCE
from tests.simulation.links import ECS, How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.trouble import Menu
from tests.simulation.unattended import SHUT
from tests.simulation.unattended_days import MENU, Days


class Wide(Days):
    def watch_link(self) -> None:
        """One watch, one master, one direction: the other watch sees it."""
        source, target = self.chance.choice((H, I)), self.chance.choice((H, I))
        self._cut("watch link", [(watch_at(source), target)], self.chance.choice((How.SILENT, How.SILENT, How.REFUSED)))

    def ecs_late(self) -> None:
        """The API takes an order and does it when whoever gave it has given up."""
        sites = self.chance.choice(((H,), (I,), (H, I)))
        self._cut("ecs late", [(watch_at(site), ECS) for site in sites], How.DEAF)

        def late(seconds: float) -> None:
            self.pair.late = seconds

        self._during("done late", "ecs", lambda: late(self.chance.uniform(1, 30)), lambda: late(0.0))

    def somebody_starts(self) -> None:
        """Whoever finds a machine stopped or shut off, and does not ask what it is for."""
        site = self.chance.choice((H, I))
        start = self.chance.uniform(5, self.draw.trouble - 1)
        self._tell("somebody starts", start, start, site)

        def starts() -> None:
            self.pair.follow()
            found = self.pair.cloud.ecs.instances[INSTANCE[site]]
            if found.security_group_ids == (SHUT,):
                self.pair.cloud.ecs.interfaces.primary(found).belong_to(("sg-t",))
            if found.state == "Stopped":
                self.pair.cloud.ecs.lifecycle.start(found)

        self.pair.at(start, starts)

    def order(self) -> None:
        super().order()
        start = float(self.draw.lines[-1].split()[0])
        self.pair.at(start, lambda: self.pair.ordered.append(start))

    def any_order(self) -> None:
        """Of any kind, with what it may override, for either site, under this epoch or one that is over."""
        kind = self.chance.choice((Kind.SWITCHOVER, Kind.FAILBACK, Kind.FAILOVER, Kind.FAILOVER))
        may = sorted(OVERRIDABLE[kind])
        force = tuple(rule for rule in may if self.chance.random() < 0.3)
        to, stale = self.chance.choice((H, I)), self.chance.random() < 0.2
        start = self.chance.uniform(3, self.draw.trouble - 1)
        self._tell("any order", start, start, f"{kind} to {to}, {', '.join(force)}{', stale' if stale else ''}")
        again = self.chance.choice((None, None, 0.1, 3.0))

        def given() -> None:
            row = self.pair.rows.table(LEASES).get((PAIR,))
            epoch = None if row is None else Epoch(int(row["epoch"]) - stale)
            order = SwitchOrder(
                pair=PAIR, to_site=to, at=self.pair.now(), because="test", kind=kind, force=force, epoch=epoch, id=id_
            )
            if "fence" in force:
                self.pair.forced = True
            self.pair.ordered.append(self.world.now)
            self.pair.orders().give(order)

        id_ = f"{kind}/{start:.3f}"
        self.pair.at(start, given)
        if again is not None:
            self.pair.at(start + again, given)

    def acknowledged(self) -> None:
        start = self.chance.uniform(3, self.draw.trouble - 1)
        self._tell("acknowledged", start, start, "as it stands")
        self.pair.at(start, self.pair.acknowledge)

    def any_pause(self) -> None:
        scope = self.chance.choice(("failover", f"failover/{PAIR}", "all", f"switch/{PAIR}"))
        controls = self.pair.controls()
        self._during(
            "any pause",
            scope,
            lambda: controls.pause(Pause(scope=scope, since=self.pair.now(), because="test")),
            lambda: controls.resume(scope, self.pair.now()),
        )

    def lease_deleted(self) -> None:
        start = self.chance.uniform(10, self.draw.trouble - 1)
        self._tell("lease deleted", start, start, "row")
        self.pair.at(start, lambda: self.pair.rows.table(LEASES).pop((PAIR,), None))

    def watch_clock(self) -> None:
        site, seconds = self.chance.choice((H, I)), self.chance.choice((-3600.0, -70.0, 70.0, 3600.0))

        def set_to(wrong: float) -> None:
            self.pair.wall[site] = wrong
            for one in self.timers.living(site):
                one.machine.wall = wrong

        self._during("watch clock", f"{watch_at(site)} by {seconds:g} s", lambda: set_to(seconds), lambda: set_to(0.0))

    def watch_crash(self) -> None:
        site, waits = self.chance.choice((H, I)), self.chance.randint(1, 60)
        start = self.chance.uniform(2, self.draw.trouble - 1)
        self._tell("watch crash", start, start, f"{watch_at(site)}, {waits} waits later")

        def doom() -> None:
            process = self._executor(site)
            if process is not None:
                process.dies_in = waits

        self.pair.at(start, doom)

    def stop(self) -> None:
        self.pair.late = 0.0
        super().stop()
        self._restore()

    def _restore(self) -> None:
        """An operator's order for a lease row that is gone: for whom clients are led to, as the runbook says."""
        if not self.pair.rows.table(LEASES).get((PAIR,)):
            led = next((site for site in (H, I) if self.pair.addressed(site)), H)
            epoch = Epoch(100 + int(self.world.now))
            order = SwitchOrder(
                pair=PAIR,
                to_site=led,
                at=self.pair.now(),
                because="test",
                kind=Kind.RESTORE,
                epoch=epoch,
                id=f"r-{epoch}",
            )
            stands = self.pair.orders().pending(PAIR)
            if stands is None or stands.kind is not Kind.RESTORE:  # as the command does: a restore takes its place
                self.pair.orders().give(order)
        self.pair.at(self.world.now + 5, self._restore)


WIDE = cast(  # kinds of these days are among them
    Menu,
    (
        *(one for one in MENU if one[0] is not Days.order),
        (Wide.order, 0.3, 1),
        (Wide.watch_link, 0.5, 3),
        (Wide.ecs_late, 0.3, 1),
        (Wide.somebody_starts, 0.3, 2),
        (Wide.any_order, 0.4, 3),
        (Wide.acknowledged, 0.3, 2),
        (Wide.any_pause, 0.2, 2),
        (Wide.lease_deleted, 0.1, 1),
        (Wide.watch_clock, 0.3, 1),
        (Wide.watch_crash, 0.5, 3),
    ),
)
