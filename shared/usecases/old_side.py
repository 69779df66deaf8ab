"""Making certain that the old master is off without its own word: it is stopped, or shut off from everybody, and that
is read back.

The failover's row says what will be done, and what stood before, ahead of the first call. Whoever resumes it goes on
from there; every call may be made twice. A call that was answered proves nothing: a machine in a dark zone takes the
order to stop, and says Running for ever. So each way ends only with what can be read back, and without it an operator
is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from shared.domain.errors import DrError, NeedsOperator, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import SiteName
from shared.domain.inventory import Instance, InstanceState
from shared.domain.pair import FenceBy, Member, Pair
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.probes import Line, Probes, Sight
from shared.state.failovers import Failover

LOOK_EVERY: Final = timedelta(seconds=1)  # each look is a call of an API that all share
ASK_AGAIN: Final = timedelta(seconds=10)
OTHERS_TIME: Final = timedelta(seconds=5)  # beside `proof`: its looks, and what lies between them
TRY_TIMEOUT: Final = timedelta(seconds=1)
RUNBOOK: Final = "runbook: old-side-cannot-be-fenced"
OVERDUE: Final = "overdue"  # in the row: since when an operator is waited for
LINE: Final = "line"  # in the row, of an isolation: a connection stood and answered before
FORCED: Final = "forced"  # in the row: who ordered to go on without the proof, and under which order


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far it is. `row`: to be written before anything else happens."""

    off: bool = False
    alive: bool = False  # it was heard, or others may hear it
    why: str = ""
    row: Mapping[str, str] | None = None


class Way(Protocol):
    def step(self, row: Mapping[str, str], old: Member) -> Step:
        """One attempt. `row`: what the failover's row says of it; empty: nothing was done yet. Raises what the cloud
        raises: nothing is known then."""
        ...

    def forget(self) -> None:
        """Another failover begins."""
        ...


def begun(failover: Failover, old: SiteName) -> bool:
    """Whether the row says what is done to this old side: then it may have been done."""
    return failover.fence.get("site") == old and "by" in failover.fence


class OldSide:
    """The way that the policy asks for, and what of it counts."""

    def __init__(self, pair: Pair, *, way: Way, clock: Clock) -> None:
        self._pair, self._way, self._clock = pair, way, clock
        self._looked: tuple[float, Step] | None = None

    def forget(self) -> None:
        self._looked = None
        self._way.forget()

    def step(self, failover: Failover, old: SiteName) -> Step:
        """No more often than once a second; what was found in between is told again, and never as the proof."""
        now = self._clock.monotonic()
        if self._looked is not None and now - self._looked[0] < LOOK_EVERY.total_seconds():
            return Step(why=self._looked[1].why, alive=self._looked[1].alive)
        row = failover.fence if begun(failover, old) else {}
        try:
            found = self._way.step(row, self._pair.member(old))
        except (Retryable, OutcomeUnknown, Permanent, NeedsOperator) as error:
            found = Step(why=str(error))
        if found.row is not None:
            return Step(why=found.why, row={**_forced(failover.fence), "site": old, **found.row})
        self._looked = (now, found)
        return found


def old_side_of(
    pair: Pair, *, instances: Instances | None, inventory: Inventory, probes: Probes | None, clock: Clock
) -> OldSide | None:
    """None: the lease is the fence."""
    match pair.fence.by:
        case FenceBy.LEASE:
            return None
        case FenceBy.STOP:
            assert instances is not None, "nobody here may stop an instance"
            return OldSide(pair, way=Stop(instances=instances, inventory=inventory, clock=clock), clock=clock)
        case FenceBy.ISOLATE:
            assert instances is not None, "nobody here may change an instance"
            assert probes is not None, "an isolation is proven by probes"
            way = Isolate(pair, instances=instances, inventory=inventory, probes=probes, clock=clock)
            return OldSide(pair, way=way, clock=clock)


def _forced(row: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in row.items() if key == FORCED}


def instance_of(inventory: Inventory, member: Member) -> Instance:
    """Raises Permanent when it is not listed: that may be a missing permission as well as a missing machine."""
    found = next(iter(inventory.instances(ids=(member.instance,))), None)
    if found is None:
        raise Permanent(f"{member.instance} of {member.site} is not listed: gone, or not ours to see")
    return found


class Stop:
    """Stopped by force, and read back as stopped: then nothing of it can run, nor write."""

    def __init__(self, *, instances: Instances, inventory: Inventory, clock: Clock) -> None:
        self._instances, self._inventory, self._clock = instances, inventory, clock
        self._asked = float("-inf")

    def forget(self) -> None:
        self._asked = float("-inf")

    def step(self, row: Mapping[str, str], old: Member) -> Step:
        if not row:
            return Step(
                why=f"{old.instance} is to be stopped", row={"by": FenceBy.STOP.value, "instance": old.instance}
            )
        found = instance_of(self._inventory, old)
        if found.state is InstanceState.STOPPED:
            return Step(off=True, why=f"{old.instance} of {old.site} reads stopped")
        now = self._clock.monotonic()
        if now - self._asked < ASK_AGAIN.total_seconds():
            return Step(why=f"{old.instance} was told to stop, and reads {found.state}")
        self._asked = now
        try:
            self._instances.stop(old.instance, force=True)
        except DrError as error:  # whatever was answered, only its state counts
            return Step(why=f"{old.instance} reads {found.state}: {error}")
        return Step(why=f"{old.instance} was told to stop, and read {found.state}")


class Isolate:
    """Moved into a group that lets nothing through, read back, and found dead by new connections and by one that stood
    before, for a while without a break.

    Security groups are stateful, so the connection that stood before is the one that counts; it must have answered
    while the machine was not isolated yet. One that was silent already proves nothing by its silence: in a dark zone
    the change may never arrive."""

    def __init__(self, pair: Pair, *, instances: Instances, inventory: Inventory, probes: Probes, clock: Clock) -> None:
        self._pair, self._instances, self._inventory, self._probes = pair, instances, inventory, probes
        self._clock = clock
        self._line: Line | None = None
        self._silent_since: float | None = None
        self._waited_since: float | None = None  # for whoever has a line

    def forget(self) -> None:
        self._silent_since = self._waited_since = None
        if self._line is not None:
            self._line.close()
            self._line = None

    def step(self, row: Mapping[str, str], old: Member) -> Step:
        found = instance_of(self._inventory, old)
        if found.state is InstanceState.STOPPED:
            return Step(off=True, why=f"{old.instance} of {old.site} reads stopped")
        into = (self._pair.fence.group,)
        isolated = found.security_groups == into
        if not isolated and self._line is None:
            self._line = self._opened(found, old)
        if not row:
            return self._begin(found, old, isolated=isolated)
        if not isolated:
            self._silent_since = None
            self._instances.set_groups(old.instance, into)
            return Step(why=f"{old.instance} is moved into {into[0]}", alive=True)
        if self._line is None and row.get("heard") == LINE:
            return self._without_line(row, found, old)
        voice = self._voice(found, old)
        now = self._clock.monotonic()
        if voice:
            self._silent_since = None
            return Step(why=voice, alive=True)
        self._silent_since = now if self._silent_since is None else self._silent_since
        silent, proof = now - self._silent_since, self._pair.fence.proof.total_seconds()
        if silent < proof:
            return Step(why=f"{old.instance} is isolated, and silent for {silent:.0f} of {proof:g} s")
        return Step(off=True, why=f"{old.instance} is isolated, and no probe got through for {silent:.0f} s")

    def _without_line(self, row: Mapping[str, str], found: Instance, old: Member) -> Step:
        """The other site's watch may have one, and then it needs `proof`. After that, whoever isolated the machine has
        ended before he could prove anything; nothing has moved, so it is let out and isolated once more."""
        now = self._clock.monotonic()
        self._waited_since = now if self._waited_since is None else self._waited_since
        if now - self._waited_since < (self._pair.fence.proof + OTHERS_TIME).total_seconds():
            why = f"{old.instance} is isolated, and no connection from here stood before: whoever has one may prove it"
            return Step(why=why, alive=True)
        self._waited_since = None
        self._instances.set_groups(old.instance, tuple(row["groups"].split()))
        self._line = self._opened(found, old)
        return Step(why=f"{old.instance} is let out again, to open the connection that is to die", alive=True)

    def _opened(self, found: Instance, old: Member) -> Line | None:
        return self._probes.line(found.private_address, old.port, path=self._pair.probe, timeout=TRY_TIMEOUT)

    def _begin(self, found: Instance, old: Member, *, isolated: bool) -> Step:
        if isolated:
            return Step(why=f"{old.instance} was isolated by somebody else: nobody has seen its connections die")
        heard = LINE if self._line is not None else ""
        if not heard:
            tried = self._probes.tries(found.private_address, old.port, path="", timeout=TRY_TIMEOUT)
            heard = "refused" if tried.sight is Sight.REFUSED else ""
            if not heard:
                how = "takes connections and answers none" if tried.sight is Sight.ANSWERED else "is silent already"
                return Step(why=f"{old.site} {how}: its silence after an isolation would prove nothing")
        row = {
            "by": FenceBy.ISOLATE.value,
            "instance": old.instance,
            "groups": " ".join(found.security_groups),
            "into": self._pair.fence.group,
            "heard": heard,
        }
        return Step(why=f"{old.instance} is to be moved into {self._pair.fence.group}", row=row)

    def _voice(self, found: Instance, old: Member) -> str:
        """Why it is not known to be dead from here; empty when it is."""
        if self._line is not None and self._line.asks(timeout=TRY_TIMEOUT) is Sight.ANSWERED:
            return f"{old.instance} is isolated, and a connection that stood before still passes"
        tried = self._probes.tries(found.private_address, old.port, path="", timeout=TRY_TIMEOUT)
        return "" if tried.sight is Sight.SILENT else f"{old.instance} is isolated, and still {tried.sight}"
