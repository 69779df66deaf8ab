"""What an agent has promised to others, and on whose promises it may live itself: the state beside a `Holder`.

See `shared.domain.pledge` for the rules and why they are safe. Everything here except `asking` and `freed_by` is called
with the holder's gate held, and reads no clock: an earlier reading is the safe side of every question.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from shared.domain.ids import Epoch, HolderId, PairName, Place
from shared.domain.lease import Lease, Terms
from shared.domain.pledge import TIMEOUT, Answer, Ask, Promises, Standing, may_pledge, others
from shared.ports.peers import Peers

log = logging.getLogger("understudy.agent")


class Book(Protocol):
    """Where promises outlive the process."""

    def keep(self, promises: Promises) -> None:
        """Raises OSError: then the old promises may stand there, or the new ones."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a holder needs for pledges. `place`: where this agent is reached. `promises`: see `Promises.after_restart`.
    `on` False: it neither asks peers nor pledges to others, and still keeps what was promised."""

    place: Place
    peers: Peers
    book: Book
    tokens: Callable[[], str]
    promises: Promises
    on: bool = True


class Pledging:
    def __init__(self, means: Means, *, pair: PairName, me: HolderId, terms: Terms) -> None:
        self.means, self._pair, self._me, self._terms = means, pair, me, terms
        self.promises = means.promises
        self._peers: frozenset[Place] = frozenset()
        self._may_stand: list[tuple[Place, ...]] = []  # the voices of each row of ours that the store may hold
        self._own_yes: set[str] = set()  # nonces of our own asks that reached us over the network

    def learn(self, peers: Collection[Place]) -> None:
        self._peers = others(peers, self.means.place)

    # --- what we promise ---

    def answer(self, ask: Ask, *, until: float, seen: Lease | None, now: float) -> Answer:
        """`until`: of our own grant."""
        if not self.means.on and ask.holder != self._me:
            return Answer(pledged=False, by=self._me, detail="pledges are off here: set UNDERSTUDY_AGENT_SECRET")
        standing = Standing(
            pair=self._pair,
            me=self._me,
            place=self.means.place,
            length=self._terms.lease,
            until=until,
            seen=seen,
            promises=self.promises,
        )
        promised = may_pledge(ask, standing, now=now)
        if isinstance(promised, Promises):
            promised = self.keep(promised) or promised
        if not isinstance(promised, Promises):
            return Answer(pledged=False, by=self._me, detail=promised)
        if ask.holder == self._me:
            self._own_yes.add(ask.nonce)
        return Answer(pledged=True, by=self._me)

    def keep(self, promises: Promises) -> str:
        """Empty when it is kept, on file first; else why not."""
        try:
            self.means.book.keep(promises)
        except OSError as error:
            return f"what is promised cannot be kept on file ({error}): free space or mend rights beside the role file"
        self.promises = promises
        return ""

    def barred(self, now: float) -> str:
        """With pledges off, an agent that finds no record does not wait for nothing: where a row has voices, its own
        yes is not given before that time is over (see `answer`)."""
        return self.promises.barred(self._me, now, forgotten=self.means.on)

    def nobody_was_ever_active(self) -> str:
        """So nobody lives on what an earlier process may have pledged. Empty, or why this cannot be kept."""
        return self.keep(replace(self.promises, unknown_until=0.0))

    def pledged_beyond(self, epoch: Epoch) -> bool:
        """Whether somebody else was ever told that it may become active after `epoch`."""
        pledge = self.promises.pledge
        return pledge is not None and pledge.holder != self._me and pledge.epoch > epoch

    # --- what others promise us ---

    def voices(self) -> tuple[Place, ...]:
        """For the next row of ours, which from now on may stand."""
        voices = tuple(sorted({*self._peers, self.means.place})) if self._peers and self.means.on else ()
        if voices not in self._may_stand:  # while writes fail it would grow with every try
            self._may_stand.append(voices)
        return voices

    def stands(self, row: Lease) -> None:
        """A row of ours was acknowledged: no earlier write of ours can be applied any more."""
        self._may_stand = [row.voices]

    def needed(self) -> frozenset[Place]:
        """All that have to pledge before a grant is extended; nobody: it cannot be."""
        rows = [others(voices, self.means.place) for voices in self._may_stand]
        return frozenset().union(*rows) if rows and all(rows) else frozenset()

    def asking(self, epoch: Epoch) -> Ask:
        return Ask(
            pair=self._pair, epoch=epoch, holder=self._me, length=self._terms.lease, nonce=self.means.tokens()
        )  # fmt: skip

    def all_pledge(self, places: frozenset[Place], epoch: Epoch) -> str:
        """Ask. Empty when all of them have pledged; else who has not, and why."""
        answers = self.means.peers.ask(places, self.asking(epoch), timeout=TIMEOUT, one_is_enough=False)
        missing = [_why(place, answers.get(place)) for place in sorted(places) if not _pledged(answers.get(place))]
        return "; ".join(missing)

    def freed_by_nobody(self, row: Lease, epoch: Epoch) -> str:
        """Ask the voices of a row that was somebody else's. Empty when one frees it, or when it has none."""
        if not row.voices:
            return ""
        ask = self.asking(epoch)
        answers = self.means.peers.ask(row.voices, ask, timeout=TIMEOUT, one_is_enough=True)
        own = ask.nonce in self._own_yes
        self._own_yes.clear()
        if own or any(_pledged(answer) for answer in answers.values()):
            return ""
        whom = "; ".join(_why(place, answers.get(place)) for place in row.voices)
        return f"epoch {row.epoch} may live on pledges, and no voice of it frees it: {whom}"


def _pledged(answer: Answer | None) -> bool:
    return answer is not None and answer.pledged


def _why(place: Place, answer: Answer | None) -> str:
    return f"{place} {'does not answer' if answer is None else answer.detail or 'refuses'}"
