"""What every tick must know, in one range read: the number of the active policy, pauses, acknowledgements, cursors.

Rows of one small table, told apart by the first part of their name.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.catch_up import Stretch
from shared.domain.errors import Conflict
from shared.domain.ids import PolicyVersion
from shared.ports.store import Absent, Anything, Condition, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "controls"
POLICY: Final = "policy"
PAUSE: Final = "pause/"
PAST_PAUSE: Final = "past-pause/"
ACKNOWLEDGED: Final = "acknowledged/"
CURSOR: Final = "cursor/"
SAID: Final = "said/"
DECIDED: Final = "decided"
MARK: Final = "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    scope: str  # backups | prune | failover | rebuilds | all
    since: datetime
    because: str
    until: datetime | None = None  # when it was resumed; None: it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What becomes of the due slots of one schedule up to its cursor. It stands in the cursor's row from the moment at
    which the cursor moves until all of it is carried out, by whoever comes by: so each slot is decided once."""

    protection: str
    schedule: str
    policy: PolicyVersion
    at: datetime
    because: str = ""  # why `run` is due
    run: datetime | None = None  # the slot to take
    late: bool = False
    skipped: tuple[Stretch, ...] = ()
    tick: str = ""  # the run that decided

    @property
    def cursor(self) -> str:
        return f"{self.protection}/{self.schedule}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Undone:
    """The form in which the rows hold them."""

    decisions: tuple[Decided, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    pauses: tuple[Pause, ...] = ()


PAST_PAUSES_KEPT: Final = 20
"""Of each scope, so that slots which fell due in one can say so, even when no tick came between it and the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One reading of the whole table."""

    policy: PolicyVersion | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    past_pauses: tuple[Pause, ...] = ()  # the latest of each scope, so that what they skipped can say why
    acknowledged: Mapping[str, datetime] = field(default_factory=dict)
    cursors: Mapping[str, datetime] = field(default_factory=dict)
    undone: Mapping[str, tuple[Decided, ...]] = field(default_factory=dict)  # by cursor: decided, not yet carried out

    def paused(self, scope: str) -> Pause | None:
        """The pause that covers `scope`, if any."""
        return self.pauses.get(scope) or self.pauses.get("all")


class Controls:
    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Standing:
        policy: PolicyVersion | None = None
        pauses: dict[str, Pause] = {}
        past: list[Pause] = []
        acknowledged: dict[str, datetime] = {}
        cursors: dict[str, datetime] = {}
        undone: dict[str, tuple[Decided, ...]] = {}
        for row in self._store.scan(TABLE, ()):
            name = row.key[0]
            if name == POLICY:
                policy = PolicyVersion(int(row.columns["version"]))
            elif name.startswith(PAUSE):
                pause = codec.load(Pause, str(row.columns["body"]))
                pauses[pause.scope] = pause
            elif name.startswith(PAST_PAUSE):
                past += _past(row)
            elif name.startswith(ACKNOWLEDGED):
                acknowledged[name.removeprefix(ACKNOWLEDGED)] = codec.instant(str(row.columns["at"]))
            elif name.startswith(CURSOR):
                cursors[name.removeprefix(CURSOR)] = codec.instant(str(row.columns["at"]))
                if row.columns.get(DECIDED):
                    undone[name.removeprefix(CURSOR)] = codec.load(_Undone, str(row.columns[DECIDED])).decisions
        return Standing(
            policy=policy,
            pauses=pauses,
            past_pauses=tuple(past),
            acknowledged=acknowledged,
            cursors=cursors,
            undone=undone,
        )

    def watched(self) -> Standing:
        """Pauses and acknowledgements only, which is what a watch asks for all day: two short ranges, that do not grow
        with schedules, as `read` does."""
        pauses = (codec.load(Pause, str(row.columns["body"])) for row in self._beginning(PAUSE))
        acknowledged = self._beginning(ACKNOWLEDGED)
        return Standing(
            pauses={pause.scope: pause for pause in pauses},
            acknowledged={
                row.key[0].removeprefix(ACKNOWLEDGED): codec.instant(str(row.columns["at"])) for row in acknowledged
            },
        )

    def _beginning(self, kind: str) -> Iterator[Row]:
        """Rows whose name begins with `kind`, which ends in a slash."""
        behind = kind[:-1] + chr(ord(kind[-1]) + 1)
        return self._store.scan(TABLE, (), after=(kind,), until=(behind,))

    def pause(self, pause: Pause) -> Pause:
        """What stands now. Paused again, it keeps the older `since`: that is from when on slots were left out."""
        stands = self._store.get(TABLE, (PAUSE + pause.scope,))
        if stands is not None:
            before = codec.load(Pause, str(stands.columns["body"]))
            pause = replace(pause, since=min(before.since, pause.since))
        row = Row(key=(PAUSE + pause.scope,), columns={"body": codec.dump(pause)})
        self._store.put(TABLE, row, condition=Anything())
        return pause

    def resume(self, scope: str, at: datetime) -> bool:
        """False when it was not paused. The past pause is written first: a crash in between leaves it paused."""
        row = self._store.get(TABLE, (PAUSE + scope,))
        if row is None:
            return False
        ended = replace(codec.load(Pause, str(row.columns["body"])), until=at)
        before = self._store.get(TABLE, (PAST_PAUSE + scope,))
        earlier = [] if before is None else [one for one in _past(before) if one.since != ended.since]
        kept = _Past(pauses=tuple(earlier[1 - PAST_PAUSES_KEPT :]))
        # `body` alone is what an older version of this code reads.
        columns = {"body": codec.dump(ended), "earlier": codec.dump(kept)}
        self._store.put(TABLE, Row(key=(PAST_PAUSE + scope,), columns=columns), condition=Anything())
        self._store.delete(TABLE, (PAUSE + scope,), condition=Anything())
        return True

    def acknowledge(self, subject: str, at: datetime) -> None:
        """An operator has seen what blocked automation on `subject` (a pair, an operation)."""
        row = Row(key=(ACKNOWLEDGED + subject,), columns={"at": codec.moment(at)})
        self._store.put(TABLE, row, condition=Anything())

    def acknowledged(self, subject: str) -> datetime | None:
        row = self._store.get(TABLE, (ACKNOWLEDGED + subject,))
        return None if row is None else codec.instant(str(row.columns["at"]))

    def say(self, name: str, body: str) -> str:
        """What an operator said, once and for good: what stands under that name now. Other readers pass it over."""
        try:
            settle.put(self._store, TABLE, Row(key=(SAID + name,), columns={"body": body}), condition=Absent())
        except Conflict:
            return self.said(name) or body
        return body

    def said(self, name: str) -> str | None:
        row = self._store.get(TABLE, (SAID + name,))
        return None if row is None else str(row.columns["body"])

    def advance(self, cursor: str, *, seen: datetime | None, to: datetime, decided: Sequence[Decided] = ()) -> bool:
        """Move a schedule's cursor from what was `seen`, together with what becomes of the slots up to there; False
        when somebody else moved it first. `decided` replaces what stood there: pass on what is not carried out yet."""
        condition = Absent() if seen is None else Matches({"at": codec.moment(seen)})
        return self._cursor(cursor, to, decided, condition)

    def carried_out(self, cursor: str, *, at: datetime, decided: Sequence[Decided]) -> None:
        """All of `decided`, which stood there with the cursor at `at`, is done. Changes nothing when somebody said so
        before, or decided more in the meantime."""
        self._cursor(cursor, at, (), Matches({"at": codec.moment(at), MARK: _mark(_stored(decided))}))

    def _cursor(self, cursor: str, at: datetime, decided: Sequence[Decided], condition: Condition) -> bool:
        stored = _stored(decided)
        # The mark stands for the text in conditions: they are evaluated on short values only.
        row = Row(key=(CURSOR + cursor,), columns={"at": codec.moment(at), DECIDED: stored, MARK: _mark(stored)})
        try:
            settle.put(self._store, TABLE, row, condition=condition)
        except Conflict:
            return False
        return True


def _stored(decided: Sequence[Decided]) -> str:
    return codec.dump(_Undone(decisions=tuple(decided))) if decided else ""


def _mark(stored: str) -> str:
    return hashlib.sha256(stored.encode()).hexdigest()[:16] if stored else ""


def _past(row: Row) -> list[Pause]:
    earlier = codec.load(_Past, str(row.columns["earlier"])).pauses if "earlier" in row.columns else ()
    return [*earlier, codec.load(Pause, str(row.columns["body"]))]
