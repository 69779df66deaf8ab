"""Raises what a site must carry once it is the only one: weights of the balancer and sizes of scaling groups, beside
the failover and never in its way; puts them back once the preferred site serves and the other one is protected. While
an operator holds the pair back by a pause or its switch, nothing is changed: neither raised nor put back.

Level, not edge: the failover's row says which site carries more than its share, and what stood before. Whoever looks
compares that with what stands, and takes the steps that are left; so a watch that dies between any two calls changes
nothing in the end. What stood before is written down before the first step, and not again after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import Conflict, CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.failover_fsm import AT_REST, State
from shared.domain.ids import InstanceId, SiteName
from shared.domain.lease import Lease
from shared.domain.pair import Pair, Surge
from shared.domain.site_capacity import (
    Before,
    GroupRoom,
    Room,
    Step,
    Weigh,
    before,
    raising,
    restoring,
    shortage,
)
from shared.ports.balancer import Balancer
from shared.ports.clock import Clock
from shared.ports.scaling import Scaling
from shared.state.failovers import Failover, Failovers
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.fail_over import FailOver

CHECK_EVERY: Final = timedelta(minutes=5)
UNFINISHED_EVERY: Final = timedelta(seconds=10)
REMEMBERED: Final = timedelta(minutes=1)  # what stood before, once it stands again: a late call may yet raise it
STALE: Final = timedelta(seconds=15)  # a row read longer ago is read again before a step: frozen executors thaw late
ROOM_GOOD_FOR: Final = 2 * CHECK_EVERY  # what was seen longer ago is not what stood before a failover


@dataclass(frozen=True, slots=True)
class Done:
    room: Room
    finished: bool


class SurgeKeeping:
    def __init__(
        self,
        pair: Pair,
        *,
        balancer: Balancer | None,
        scaling: Callable[[], Scaling] | None,
        failovers: Failovers,
        over: FailOver,
        clock: Clock,
        run: Run,
    ) -> None:
        """`over` records what is done, beside the decisions about the pair."""
        self._pair, self._balancer, self._scaling = pair, balancer, scaling
        self._failovers, self._over, self._clock = failovers, over, clock
        self._looks: Aside[Done] = Aside(self._tend, what=f"capacity of {pair.name}", run=run, clock=clock)
        self._began = self._read_at = float("-inf")
        self._seen: tuple[object, ...] = ()  # of the row, when it was last looked at
        self._says_since = float("-inf")
        self._said: tuple[object, ...] = ()
        self._owner = ""  # of the lease, as last seen
        self._restful = (-1, 0.0)  # the row's version, and since when (monotonic) all it tells of was seen put back
        self._home: int | None = None  # the version of the row beside which the preferred site was seen to serve
        self._held = False

    @property
    def _needed(self) -> bool:
        return any(one.weights or one.groups for one in self._pair.surge.values())

    def look(self, failover: Failover, lease: Lease | None, *, held: bool) -> None:
        """Every few minutes; at once when the row says something new, and soon while something is left to do. Returns
        at once. `lease`: as seen with that row; `held`: the pair is paused, or switched off."""
        home = lease is not None and lease.owner == self._pair.preferred and lease.epoch >= (failover.epoch or 0)
        self._owner = "" if lease is None else lease.owner
        self._home, self._held = failover.version if home else None, held
        rests = failover.state in AT_REST
        says = (failover.surged, bool(failover.weights or failover.sizes), rests, home, held, failover.unprotected)
        now, newest = self._clock.monotonic(), self._looks.newest()
        if says != self._seen:
            self._says_since = now
        # One that was under way when the row changed has not seen what it says now, and kept another from beginning.
        finished = newest is not None and newest[0] >= self._says_since and newest[1].finished
        finished = finished and not self._looks.trouble
        waits = bool(failover.short) and failover.state is State.NEEDS_OPERATOR  # perhaps for room
        every = CHECK_EVERY if finished and not waits else UNFINISHED_EVERY
        if says != self._seen or now - self._began >= every.total_seconds():
            self._seen = says
            self.now()

    def now(self) -> None:
        """Returns at once."""
        if self._needed:
            self._began = self._clock.monotonic()
            self._looks.start()

    def changes(self, target: SiteName, failover: Failover, *, home: bool) -> Mapping[str, object]:
        """For the row of a failover that begins: who is to carry more, and what stood before, where it is known, so
        that nothing has to be written beside the failover's own steps. `home`: a planned move to the preferred site,
        after which both are there to carry it."""
        surge = self._pair.surge.get(target)
        if home or surge is None:
            return {}
        newest = self._looks.newest()
        old = newest is None or self._clock.monotonic() - newest[0] > ROOM_GOOD_FOR.total_seconds()
        if newest is None or old or failover.weights or failover.sizes:
            return {"surged": target}
        was = before(raising(surge, newest[1].room), newest[1].room)
        return {"surged": target, "weights": dict(was.weights), "sizes": dict(was.sizes)}

    # --- aside ---

    def _tend(self) -> Done:
        """Raises what store and cloud raise: it is looked at again. A balancer that does not answer keeps no group from
        growing, nor the other way round."""
        self._read_at = self._clock.monotonic()
        failover = self._failovers.of(self._pair.name, now=self._clock.now())
        room, unseen = self._room()
        done = self._tended(failover, room, whole=unseen is None)
        if unseen is not None:
            raise unseen
        return done

    def _tended(self, failover: Failover, room: Room, *, whole: bool) -> Done:
        if not self._held:
            failover = self._came_home(failover)
        if whole:
            failover = self._told_short(failover, room)
        if self._held:
            return Done(room, finished=True)
        surge = self._pair.surge.get(SiteName(failover.surged)) if failover.surged else None
        if surge is not None:
            if failover.state is State.PREPARING or (failover.state in AT_REST and failover.surged != self._owner):
                # It may be called off, or was: what one watch raises then, the other one may have put back already.
                return Done(room, finished=False)
            return self._raised(failover, surge, room)
        if failover.weights or failover.sizes:
            return self._restored(failover, room, whole=whole)
        return Done(room, finished=True)

    def _came_home(self, failover: Failover) -> Failover:
        """By whatever way: a failback says so itself, but an order to that site under another name, a second loss, and
        a planned move that was called off leave the preferred site at work as well, and no failback ever follows."""
        apart = failover.state is not State.WATCHING or failover.unprotected or failover.version != self._home
        if not failover.surged or apart:
            return failover
        return self._failovers.save(replace(failover, surged=""))

    def _raised(self, failover: Failover, surge: Surge, room: Room) -> Done:
        steps = raising(surge, room)
        if not steps:
            # Seen at home, but beside an older row: to be put back as soon as both are seen together.
            return Done(room, finished=self._home is None)
        was = before(steps, room)
        weights = {**{str(server): weight for server, weight in was.weights.items()}, **failover.weights}
        sizes = {**was.sizes, **failover.sizes}
        if (weights, sizes) != (dict(failover.weights), dict(failover.sizes)):
            # Before the first step. A Conflict: the failover itself moved on meanwhile; the next look writes it.
            failover = self._failovers.save(replace(failover, weights=weights, sizes=sizes))
        self._apply("surge.raised", failover, steps, f"{failover.surged} is to carry {self._pair.name} alone")
        return Done(room, finished=False)

    def _restored(self, failover: Failover, room: Room, *, whole: bool) -> Done:
        if failover.state not in AT_REST:
            return Done(room, finished=False)
        was = Before(
            weights={InstanceId(server): weight for server, weight in failover.weights.items()}, sizes=failover.sizes
        )
        steps = restoring(was, self._pair.surge.values(), room)
        if steps:
            self._apply("surge.restored", failover, steps, "both sites carry their share again")
            self._restful = (-1, 0.0)
        if steps or not whole:
            return Done(room, finished=False)
        if self._restful[0] != failover.version:
            self._restful = (failover.version, self._clock.monotonic())
        if self._read_at - self._restful[1] < REMEMBERED.total_seconds():
            return Done(room, finished=False)
        self._failovers.save(replace(failover, weights={}, sizes={}))
        return Done(room, finished=True)

    def _apply(self, event: str, failover: Failover, steps: tuple[Step, ...], why: str) -> None:
        """Each step may be taken twice. One that is refused does not keep the others back, nor does a service that does
        not answer keep back the other one: that is raised once the rest is done. Nothing more is done by a row that
        was read some time ago and says otherwise by now."""
        read_at, silent = self._read_at, dict[type[Step], DrError]()
        taken: list[Step] = []
        refused: list[str] = []
        for step in steps:
            if type(step) in silent:
                continue
            if self._clock.monotonic() - read_at > STALE.total_seconds():
                read_at = self._clock.monotonic()
                if self._failovers.of(self._pair.name, now=self._clock.now()).version != failover.version:
                    break
            try:
                self._take(step)
            except CredentialsRejected:
                raise
            except (Retryable, OutcomeUnknown) as error:
                silent[type(step)] = error
                refused.append(f"{step}: {error}")
            except Permanent as error:
                refused.append(f"{step}: {error}")
            taken.append(step)
        if taken:
            self._tell(event, failover, why, taken, refused)
        if silent:
            raise next(iter(silent.values()))

    def _tell(self, event: str, failover: Failover, why: str, taken: Sequence[Step], refused: Sequence[str]) -> None:
        told = (why, *(str(step) for step in taken), *(f"refused: {one}" for one in refused))
        if (failover.epoch, event, *told) == self._said:
            return  # tried again, with the same end
        self._said = (failover.epoch, event, *told)
        self._over.record(
            event,
            told,
            epoch=failover.epoch,
            acted=True,
            inputs={"weights": str(dict(failover.weights)), "sizes": str(dict(failover.sizes))},
        )

    def _take(self, step: Step) -> None:
        if isinstance(step, Weigh):
            assert self._balancer is not None, "weights need a balancer"
            assert self._pair.balancer is not None, "weights need a balancer"
            self._balancer.set_weight(self._pair.balancer, step.server, weight=step.weight)
        else:
            assert self._scaling is not None, "groups need the scaling service"
            self._scaling().resize(step.group, desired=step.desired)

    def _told_short(self, failover: Failover, room: Room) -> Failover:
        lacks = {str(site): why for site, surge in self._pair.surge.items() if (why := shortage(surge, room))}
        if lacks == dict(failover.short):
            return failover
        try:
            saved = self._failovers.save(replace(failover, short=lacks))
        except Conflict:
            return self._failovers.of(self._pair.name, now=self._clock.now())
        because = tuple(f"{site}: {why}" for site, why in lacks.items()) or ("every site has room for the whole",)
        self._over.record(
            "capacity.short" if lacks else "capacity.enough",
            (*because, "runbook: capacity-is-short") if lacks else because,
            epoch=saved.epoch,
            acted=False,
            inputs={},
        )
        return saved

    def _room(self) -> tuple[Room, DrError | None]:
        """What stands, as far as it could be seen, and why not all of it could."""
        weights: dict[InstanceId, int] = {}
        groups: dict[str, GroupRoom] = {}
        unseen: DrError | None = None
        try:
            weights = self._weights()
        except CredentialsRejected:
            raise
        except DrError as error:
            unseen = error
        try:
            groups = self._groups()
        except CredentialsRejected:
            raise
        except DrError as error:
            unseen = error
        return Room(weights=weights, groups=groups), unseen

    def _weights(self) -> dict[InstanceId, int]:
        if self._pair.balancer is None or not any(one.weights for one in self._pair.surge.values()):
            return {}
        assert self._balancer is not None, "a pair with a balancer has somebody who asks it"
        return {one.server: one.weight for one in self._balancer.backends(self._pair.balancer)}

    def _groups(self) -> dict[str, GroupRoom]:
        names = sorted({name for one in self._pair.surge.values() for name in one.groups})
        if not names:
            return {}
        assert self._scaling is not None, "groups need the scaling service"
        return {
            name: GroupRoom(
                desired=one.desired, least=one.least, most=one.most, active=one.active, suspended=one.suspended
            )
            for name, one in self._scaling().groups(names).items()
        }
