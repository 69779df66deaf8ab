"""Several agents, one table, one clock, and a network between them that a test may silence."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.domain.errors import DrError, OutcomeUnknown, Retryable
from shared.domain.ids import HolderId, Place, SiteName
from shared.domain.pledge import Answer, Ask, Promises
from shared.ports.store import Condition, Key, Row
from shared.state.leases import Leases
from tests.agent.test_holder import PAIR, TERMS, Board, H, Table
from tests.simulation.failover_world import TruthStore
from understudy.agent.holder import Holder
from understudy.agent.pledging import Means


@dataclass
class Book:
    """Outlives the process of its agent. `broken`: it cannot be written."""

    kept: Promises | None = None
    broken: bool = False

    def keep(self, promises: Promises) -> None:
        if self.broken:
            raise OSError("no space left on device")
        self.kept = promises


@dataclass
class Network:
    """Who is reached at which place. What happens on the way is for a test to say."""

    at: dict[Place, Holder] = field(default_factory=dict)
    silent: set[Place] = field(default_factory=set)
    unproven: set[Place] = field(default_factory=set)  # the ask arrives there; its answer is not believed
    asked: list[tuple[Place, Ask]] = field(default_factory=list)
    on_the_way: Callable[[], object] = lambda: None  # after the asker began, before anybody is asked
    on_the_way_back: Callable[[], object] = lambda: None

    def ask(
        self, places: Collection[Place], ask: Ask, *, timeout: timedelta, one_is_enough: bool
    ) -> dict[Place, Answer]:
        self.on_the_way()
        answers: dict[Place, Answer] = {}
        for place in sorted(places):
            self.asked.append((place, ask))
            if place not in self.silent and place in self.at:
                answer = self.at[place].pledge(replace(ask, to=place))
                answers[place] = Answer(pledged=False, detail="unproven") if place in self.unproven else answer
        self.on_the_way_back()
        return answers


@dataclass
class PledgeTable(Table):
    network: Network = field(default_factory=Network)
    books: dict[str, Book] = field(default_factory=dict)
    store_away: set[str] = field(default_factory=set)  # agents that cannot reach the store

    def member(
        self,
        name: str,
        site: SiteName = H,
        *,
        place: str = "",
        known: bool = True,
        peers: Collection[str] = (),
        promises: Promises | None = None,
        leases: Leases | None = None,
        ready: Callable[[], bool] = lambda: True,
        on: bool = True,
    ) -> tuple[Holder, Board]:
        """An agent process at `place` (its name unless given). Started again under the same name, it recalls its book;
        `known` False: it finds nothing there."""
        board = Board()
        at = Place(place or name)
        book = self.books.setdefault(name, Book())
        if promises is None:
            fresh = Promises() if known and book.kept is None else None
            kept = book.kept if known else None
            promises = Promises.after_restart(kept or fresh, now=self.clock.at, length=TERMS.lease)
        holder = Holder(
            pair=PAIR,
            site=site,
            holder_id=HolderId(name),
            preferred=site == H,
            terms=TERMS,
            leases=leases or self.leases_of(name),
            clock=self.clock,
            board=board,
            ready=ready,
            pledging=Means(place=at, peers=self.network, book=book, tokens=self._token, promises=promises, on=on),
        )
        holder.learn([Place(peer) for peer in peers])
        self.network.at[at] = holder
        return holder, board

    def leases_of(self, name: str) -> Leases:
        return Leases(Cuttable(self, name), tokens=self._token)

    def step(self, *holders: Holder, seconds: float = 0.0) -> None:
        self.clock.at += seconds
        for holder in holders:
            holder.step()


class Cuttable(TruthStore):
    """The table from one agent's place, which may be cut off."""

    def __init__(self, table: PledgeTable, name: str) -> None:
        super().__init__(table.rows)
        self._table, self._name = table, name

    def get(self, table: str, key: Key) -> Row | None:
        self._reach(Retryable)
        return super().get(table, key)

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        self._reach(OutcomeUnknown)
        super().put(table, row, condition=condition)

    def _reach(self, failure: type[DrError]) -> None:
        if self._name in self._table.store_away:
            raise failure("cut off")
