"""What every tick must know, in one range read: the number of the active policy, pauses, acknowledgements, cursors.

Rows of one small table, told apart by the first part of their name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import PolicyVersion
from shared.ports.store import Absent, Anything, Matches, Row, Store
from shared.state import codec, settle

TABLE: Final = "controls"
POLICY: Final = "policy"
PAUSE: Final = "pause/"
PAST_PAUSE: Final = "past-pause/"
ACKNOWLEDGED: Final = "acknowledged/"
CURSOR: Final = "cursor/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    scope: str  # backups | prune | failover | rebuilds | all
    since: datetime
    because: str
    until: datetime | None = None  # when it was resumed; None: it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One reading of the whole table."""

    policy: PolicyVersion | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    past_pauses: tuple[Pause, ...] = ()  # the latest of each scope, so that what it skipped can say why
    acknowledged: Mapping[str, datetime] = field(default_factory=dict)
    cursors: Mapping[str, datetime] = field(default_factory=dict)

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
        for row in self._store.scan(TABLE, ()):
            name = row.key[0]
            if name == POLICY:
                policy = PolicyVersion(int(row.columns["version"]))
            elif name.startswith(PAUSE):
                pause = codec.load(Pause, str(row.columns["body"]))
                pauses[pause.scope] = pause
            elif name.startswith(PAST_PAUSE):
                past.append(codec.load(Pause, str(row.columns["body"])))
            elif name.startswith(ACKNOWLEDGED):
                acknowledged[name.removeprefix(ACKNOWLEDGED)] = codec.instant(str(row.columns["at"]))
            elif name.startswith(CURSOR):
                cursors[name.removeprefix(CURSOR)] = codec.instant(str(row.columns["at"]))
        return Standing(
            policy=policy, pauses=pauses, past_pauses=tuple(past), acknowledged=acknowledged, cursors=cursors
        )

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
        past = Row(key=(PAST_PAUSE + scope,), columns={"body": codec.dump(ended)})
        self._store.put(TABLE, past, condition=Anything())
        self._store.delete(TABLE, (PAUSE + scope,), condition=Anything())
        return True

    def acknowledge(self, subject: str, at: datetime) -> None:
        """An operator has seen what blocked automation on `subject` (a pair, an operation)."""
        row = Row(key=(ACKNOWLEDGED + subject,), columns={"at": codec.moment(at)})
        self._store.put(TABLE, row, condition=Anything())

    def acknowledged(self, subject: str) -> datetime | None:
        row = self._store.get(TABLE, (ACKNOWLEDGED + subject,))
        return None if row is None else codec.instant(str(row.columns["at"]))

    def advance(self, cursor: str, *, seen: datetime | None, to: datetime) -> bool:
        """Move a schedule's cursor from what was `seen`; False when another tick moved it first."""
        row = Row(key=(CURSOR + cursor,), columns={"at": codec.moment(to)})
        condition = Absent() if seen is None else Matches({"at": codec.moment(seen)})
        try:
            settle.put(self._store, TABLE, row, condition=condition)
        except Conflict:
            return False
        return True
