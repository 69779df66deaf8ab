"""Each guard of pledges and failover, broken on purpose: drawn bad days must notice.

Those of the lease alone are planted in test_never_two_active.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from shared.domain import pledge as pledge_rules
from shared.domain.lease import Grant, Sighting
from shared.domain.pledge import Promises
from shared.usecases.failover.fail_over import FailOver
from shared.usecases.failover.fencing import Fencing
from shared.usecases.failover.name_keeping import NameKeeping
from shared.usecases.failover.naming import Naming
from shared.usecases.failover.witness import Witness
from tests.guards import Caught
from tests.simulation.broken import Broken
from tests.simulation.links import STORE, How, watch_at
from tests.simulation.pair_world import Defects, H, I, PairWorld
from tests.simulation.peers import MemoryBook
from tests.simulation.seeds import lived
from tests.simulation.trouble import Trouble
from tests.simulation.world import World
from understudy.agent.client import RoleReader
from understudy.agent.holder import Holder
from understudy.agent.pledging import Pledging

SEEDS = 2000
SECONDS = 60.0


def bad_day(seed: int, defects: Defects) -> Sequence[str]:
    return lived(seed, varied=False, defects=defects).failures


def unseen_master(seed: int, defects: Defects) -> Sequence[str]:
    """Nobody sees the first master, and no voice has to be asked: whether it is at work only its lease can tell."""
    menu = ((_unseen, 1.0, 1), (Trouble.store_only, 1.0, 4), (Trouble.machine_frozen, 0.5, 2))
    return lived(seed, menu=menu, varied=False, pledges=False, defects=defects).failures


def _unseen(trouble: Trouble) -> None:
    pair, links = trouble.pair, trouble.pair.links
    pair.at(3.0, lambda: links.cut([(watch_at(H), H), (watch_at(I), H), (I, H)], How.SILENT))
    for minute in (8.0, 20.0, 32.0):
        at = minute + trouble.chance.uniform(0, 5)
        pair.at(at, lambda: pair.at(pair.world.now + 6.0, partial(links.heal, links.cut([(H, STORE)], How.SILENT))))


def day_of_orders(seed: int, defects: Defects) -> Sequence[str]:
    """Operators switch over again and again, to masters that can hardly be reached."""
    menu = ((Trouble.order, 1.0, 6), (Trouble.one_link, 1.0, 4), (Trouble.machine_frozen, 0.5, 2))
    return lived(seed, menu=menu, varied=False, defects=defects).failures


def two_machines_a_site(seed: int, defects: Defects) -> Sequence[str]:
    """Takers that look at nothing but the lease, and agents that are restarted often."""
    world = World(seed)
    pair = PairWorld(world, twins=True, pledges=True, master_threads=False, restarts=0.03, defects=defects).build()
    try:
        world.run(SECONDS)
    finally:
        world.end()
    return [one for one in [pair.overlap()] if one]


class CountsAnExtensionFromItsAnswer(Holder):
    def extend(self) -> bool:
        extended = super().extend()
        if extended:
            now = self._clock.monotonic()
            with self._gate:
                if self._grant.until:
                    length = self._terms.lease - self._terms.margin
                    self._grant = Grant(self._grant.epoch, now + length.total_seconds())
                    self._board.publish(self._grant)
        return extended


@dataclass(frozen=True)
class Planted:
    what: str
    broken: tuple[Broken, ...] = ()
    noticed_by: Callable[[int, Defects], Sequence[str]] = bad_day
    holder: type[Holder] = Holder
    second_look: bool = True
    window: int = 0  # where a catching seed is known to lie, to save time: from here on, then all that come before

    def seeds(self) -> Iterator[int]:
        """All of them, in whichever order: a window that is out of date costs time and hides nothing."""
        yield from range(self.window, SEEDS)
        yield from range(self.window)


def without(owner: object, name: str, old: str, new: str) -> tuple[Broken, ...]:
    return (Broken(owner, name, (old, new)),)


PLANTED = [
    Planted(
        "the name is bound before the standby is active",
        without(FailOver, "_promote", "if report.sight is Sight.ANSWERED and report.active and", "if True or"),
    ),
    Planted(
        "the lease is not read again before the name is bound",
        without(Naming, "rebind", "newer = self._witness.newer(epoch)", "newer = None"),
    ),
    Planted(
        "the answer to an order to give up is believed",
        without(
            Fencing,
            "fence",
            "or sighting\n        if not self._takeable(sighting):",
            "or sighting\n        if False:",
        ),
        day_of_orders,
    ),
    Planted(
        "a resumed failover asks neither its own eyes nor the version",
        (
            Broken(
                Fencing,
                "fence",
                ("elif not self._takeable(sighting):", "elif False:"),
                ("and lease.version != failover.seen_version", "and False"),
            ),
        ),
        window=40,
    ),
    Planted("the name is not asserted in calm", without(NameKeeping, "assert_name", "lease is None or", "True or")),
    Planted(
        "an extension counts from the answer",
        holder=CountsAnExtensionFromItsAnswer,
        noticed_by=two_machines_a_site,
    ),
    Planted("a master does not look twice", second_look=False, window=180),
    Planted(
        "a master believes the role file of an earlier boot",
        without(RoleReader, "look", "role.boot != self._boot", "False"),
        window=100,
    ),
    Planted(
        "a watch waits for 60 % of the lease",
        without(Sighting, "expires_at", ".total_seconds()", ".total_seconds() * 0.6"),
        noticed_by=unseen_master,
        window=780,
    ),
    Planted(
        "a watch counts from before its read",
        (
            Broken(
                Witness,
                "read_lease",
                ("    try:\n", "    returned = self._clock.monotonic()\n    try:\n"),
                ("    returned = self._clock.monotonic()\n    gap", "    gap"),
            ),
        ),
        noticed_by=unseen_master,
        window=1530,
    ),
    Planted(
        "one pledge of several is enough",
        without(
            Pledging, "all_pledge", 'return "; ".join(missing)', 'return "" if len(missing) < len(places) else "no"'
        ),
        two_machines_a_site,
        window=110,
    ),
    Planted(
        "nobody's pledge is needed",
        without(Pledging, "all_pledge", 'return "; ".join(missing)', 'return ""'),
    ),
    Planted(
        "a lease is claimed without the word of a voice",
        without(Pledging, "freed_by_nobody", "if not row.voices:", "if True:"),
        two_machines_a_site,
    ),
    Planted(
        "an agent becomes active while it is pledged",
        (
            Broken(Pledging, "barred", ("return ", 'return "" and ')),
            Broken(Pledging, "freed_by_nobody", ("if not row.voices:", "if True:")),
        ),
        two_machines_a_site,
    ),
    Planted(
        "an agent pledges while it is active itself",
        without(pledge_rules, "may_pledge", "now < standing.until and", "False and"),
        two_machines_a_site,
    ),
    Planted(
        "an agent pledges to two",
        without(pledge_rules, "may_pledge", "if barred:", "if False:"),
        two_machines_a_site,
    ),
    Planted(
        "a restarted agent has forgotten its pledge",
        (Broken(MemoryBook, "kept", ("return self._kept[1] if", "return Promises() if True or")),),
        two_machines_a_site,
        window=180,
    ),
    Planted(
        "a restarted agent that knows no pledge does not wait",
        (
            Broken(Promises, "after_restart", ("cls(unknown_until=now + length.total_seconds())", "cls()")),
            Broken(MemoryBook, "kept", ("return self._kept[1] if", "return None if True or")),
        ),
        two_machines_a_site,
        window=180,
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
@pytest.mark.timeout(300)  # a window that no longer holds a catching seed makes it a search
def test_a_broken_guard_is_noticed(planted: Planted, monkeypatch: pytest.MonkeyPatch, caught: Caught) -> None:
    for one in planted.broken:
        one.plant(monkeypatch)

    defects = Defects(holder=planted.holder, second_look=planted.second_look)
    noticed = next((seed for seed in planted.seeds() if planted.noticed_by(seed, defects)), None)

    assert noticed is not None, f"no seed of {SEEDS} noticed that {planted.what}"
    caught(planted.what)


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_with_every_guard_the_same_days_end_well(seed: int) -> None:
    for one in range(seed, seed + 20):
        assert not two_machines_a_site(one, Defects()), f"seed {one}"


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_with_every_guard_such_days_end_well(first: int) -> None:
    for seed in range(first, first + 25):
        assert not day_of_orders(seed, Defects()), f"seed {seed}"
        assert not unseen_master(seed, Defects()), f"seed {seed}"
