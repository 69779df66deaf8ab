"""Events reach the decision by themselves, and never decide: the world does, through both sites' watches."""

import re
from collections.abc import Callable, Iterator

import pytest

from shared.domain.decision import Decision
from shared.domain.failover_fsm import State
from shared.domain.ids import SiteName
from tests.simulation.alarms import Alarms, master_failed
from tests.simulation.executors import Timers
from tests.simulation.failover_world import ADDRESS, INSTANCE, FailoverWorld
from tests.simulation.links import STORE, How, watch_at
from tests.simulation.pair_world import H, I
from tests.simulation.seeds import lived
from tests.simulation.trouble import MENU, Trouble
from tests.simulation.world import Faults, World

LOSS, HEARD = 10.0, 12.0
BOTH = ["watch-hz-h", "watch-hz-i"]

Open = Callable[..., "Scene"]


class Scene:
    """A pair whose timers do not fire, unless the test has them fire."""

    def __init__(self, *, lost: float = 0.0, doubled: float = 0.0) -> None:
        self.world = World(1, Faults.none())
        self.pair = FailoverWorld(self.world, restarts=0.0).open(watches=())
        self.timers = Timers(self.pair)
        self.alarms = Alarms(self.pair, self.timers, lost=lost, doubled=doubled)

    def lose(self, site: SiteName = H, *, watch: bool = False) -> None:
        """A site's machine; with `watch`, its whole zone."""
        self.pair.at(LOSS, lambda: self.pair.go_dark(site))
        if watch:
            self.pair.at(LOSS, lambda: self.pair.dark.add(SiteName(watch_at(site))))

    def hear(self, at: float, *, event: str = "e-1", status: str = "Executing", site: SiteName = H) -> None:
        self.pair.at(at, lambda: self.alarms.hear(master_failed(INSTANCE[site], event=event, status=status)))

    def end(self) -> tuple[set[SiteName], str, str, State, int]:
        """What a pair comes to: who is active, where the name points and under which epoch, and how often it moved."""
        record = self.pair.record()
        return self.pair.active(), record.value, record.remark, self.pair.failover().state, len(self.pair.rebinds)

    def taken(self, site: SiteName) -> list[tuple[object, ...]]:
        """What the watch of `site` decided, with its inputs, from the decision on; without times and the run's id."""
        return [
            (one.event, _told(" | ".join(one.because)), {key: _told(value) for key, value in one.inputs.items()})
            for one in self._decided(site)
        ]

    def _decided(self, site: SiteName) -> list[Decision]:
        mine = [one for one in self.pair.decisions() if one.run.startswith(f"watch-{site[-1]}")]
        return mine[[one.event for one in mine].index("failover.decided") :]


def _told(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", text)


MOVED = ({I}, ADDRESS[I], "epoch=2", State.REPROTECTING, 1)
STILL = ({H}, ADDRESS[H], "", State.WATCHING, 0)


@pytest.fixture
def scene() -> Iterator[Open]:
    made: list[Scene] = []

    def build(**how: float) -> Scene:
        made.append(Scene(**how))
        return made[-1]

    yield build
    for one in made:
        one.world.end()


def test_an_event_without_a_loss_moves_nothing(scene: Open) -> None:
    told = scene()
    told.hear(HEARD)
    told.world.run(90)

    assert told.alarms.calls == BOTH
    assert told.end()[:2] == STILL[:2]
    assert told.pair.rebinds == []
    assert {one.epoch for one in told.pair.accepted} == {1}
    assert told.pair.overlap() == ""


def test_an_event_about_the_standby_moves_nothing_though_the_standby_is_lost(scene: Open) -> None:
    told = scene()
    told.lose(I)
    told.hear(HEARD, site=I)
    told.world.run(90)

    assert told.alarms.calls == BOTH
    assert told.pair.active() == {H}
    assert told.pair.rebinds == []


def test_doubled_late_and_reordered_events_end_as_one_does(scene: Open) -> None:
    told = scene(doubled=1.0)
    told.lose()
    for at, event, status in (
        (HEARD, "e-1", "Executed"),
        (HEARD, "e-1", "Executing"),
        (HEARD + 0.01, "e-1", "Executing"),
        (HEARD + 2, "e-2", "Executing"),
        (HEARD + 25, "e-1", "Executing"),
        (HEARD + 180, "e-3", "Executing"),
    ):
        told.hear(at, event=event, status=status)
    told.world.run(HEARD + 260)

    assert told.end() == MOVED
    assert told.pair.overlap() == ""
    assert told.pair.events().count("failover.decided") == 1


def test_a_storm_leaves_room_for_the_ticks(scene: Open) -> None:
    told = scene()
    for site in (H, I):
        told.timers.begin(site, first=5)
    told.lose()
    for number in range(400):
        told.hear(HEARD + number / 4, event=f"e-{number}")
    told.world.run(HEARD + 150)

    assert told.end() == MOVED
    assert told.timers.refused == 0
    assert len(told.alarms.calls) == 4, "two a minute, one for each site"


def test_one_watch_that_cannot_be_called_leaves_it_to_the_other(scene: Open) -> None:
    told = scene()
    told.lose()
    told.pair.links.cut([("alarm", STORE)], How.SILENT)
    told.hear(HEARD)
    told.pair.at(HEARD + 8, told.pair.links.heal_all)
    told.world.run(HEARD + 90)

    assert told.end() == MOVED, "the event was delivered again, since alarm had not heard it to its end"
    assert told.alarms.answers == [("watch-hz-h", "watch-hz-i")]


def test_without_any_tick_one_event_ends_as_ticks_do_by_the_same_decisions(scene: Open) -> None:
    ticking = scene()
    ticking.lose(watch=True)  # so that one watch decides and carries out
    for site in (H, I):
        ticking.pair.at(HEARD + 0.2, lambda site=site: ticking.timers._invoke(site, ticking.pair.now()))  # type: ignore[misc]
    ticking.world.run(90)
    told = scene()
    told.lose(watch=True)
    told.hear(HEARD)
    told.world.run(90)

    assert told.alarms.calls == BOTH
    assert told.end() == ticking.end() == MOVED
    assert told.taken(I) == ticking.taken(I)
    decided = told.taken(I)[0]
    assert "the lease of hz-h has certainly run out" in str(decided[1])
    assert "situation" in str(decided[2]), "all that was judged by"


def events(trouble: Trouble) -> None:
    """A drawn number of events, true and false, some of them twice, some much too late; calls of watches are lost."""
    chance, pair = trouble.chance, trouble.pair
    alarms = Alarms(pair, trouble.timers, lost=chance.choice((0.0, 0.3)), doubled=chance.choice((0.0, 0.3)))
    trouble._tell("events", 0.0, trouble.draw.trouble, f"lost {alarms._lost}, doubled {alarms._doubled}")
    for number in range(chance.randint(1, 30)):
        event = master_failed(
            INSTANCE[chance.choice((H, I))], event=f"e-{number // 2}", status=chance.choice(("Executing", "Executed"))
        )
        for _ in range(chance.choice((1, 1, 2))):
            pair.at(chance.uniform(1, trouble.draw.trouble), lambda event=event: alarms.hear(event))  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(9000, 9025))
def test_events_of_every_kind_among_all_other_faults_keep_every_promise(seed: int) -> None:
    life = lived(seed, menu=(*MENU, (events, 1.0, 1)))

    assert "events" in life.kinds
    assert life.failures == [], life.story()
