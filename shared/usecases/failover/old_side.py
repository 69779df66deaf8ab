"""Making certain that the old master is off without its own word: it is stopped, or shut off from everybody, and that
is read back.

The failover's row says what will be done, and what stood before, ahead of the first call. Whoever resumes it goes on
from there; every call may be made twice. A call that was answered proves nothing: a machine in a dark zone takes the
order to stop, and says Running for ever. So each way ends only with what can be read back, and without it an operator
is called.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol

from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import SiteName
from shared.domain.inventory import InstanceState
from shared.domain.pair import FenceBy, Member, Pair
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.probes import Probes
from shared.state.failovers import Failover
from shared.usecases.failover.fence_step import Step, instance_of
from shared.usecases.failover.isolation import Isolate

LOOK_EVERY: Final = timedelta(seconds=1)  # each look is a call of an API that all share
ASK_AGAIN: Final = timedelta(seconds=10)
RUNBOOK: Final = "runbook: old-side-cannot-be-fenced"
OVERDUE: Final = "overdue"  # in the row: since when an operator is waited for
FORCED: Final = "forced"  # in the row: who ordered to go on without the proof, and under which order


class Way(Protocol):
    def step(self, row: Mapping[str, str], old: Member) -> Step:
        """One attempt. `row`: what the failover's row says of it; empty: nothing was done yet. Raises what the cloud
        raises: nothing is known then."""
        ...

    def forget(self) -> None:
        """Another failover begins."""
        ...

    @property
    def touched(self) -> bool:
        """Whether a failover whose row says so has to be gone through with, whatever the old master answers."""
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

    @property
    def touched(self) -> bool:
        return self._way.touched

    def step(self, failover: Failover, old: SiteName) -> Step:
        """No more often than once a second; what was found in between is told again, and never as the proof."""
        now = self._clock.monotonic()
        if self._looked is not None and now - self._looked[0] < LOOK_EVERY.total_seconds():
            return Step(why=self._looked[1].why, alive=self._looked[1].alive)
        row = failover.fence if begun(failover, old) else {}
        try:
            found = self._way.step(row, self._pair.member(old))
        except CredentialsRejected:
            raise
        except DrError as error:  # nothing is known then, and nothing counts
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


class Stop:
    """Stopped by force, and read back as stopped: then nothing of it can run, nor write."""

    def __init__(self, *, instances: Instances, inventory: Inventory, clock: Clock) -> None:
        self._instances, self._inventory, self._clock = instances, inventory, clock
        self._asked = float("-inf")

    def forget(self) -> None:
        self._asked = float("-inf")

    @property
    def touched(self) -> bool:
        """By our own order: then it serves for some seconds more, which says nothing."""
        return self._asked > float("-inf")

    def step(self, row: Mapping[str, str], old: Member) -> Step:
        if not row:
            return Step(
                why=f"{old.instance} is to be stopped", row={"by": FenceBy.STOP.value, "instance": old.instance}
            )
        found = instance_of(self._inventory, old)
        if found.state is InstanceState.STOPPED:
            return Step(off=True, why=f"{old.instance} of {old.site} reads stopped")
        now = self._clock.monotonic()
        # One that stops already is asked once: its host may have failed, and an order is what ends the platform's own
        # restart. Asked again and again it might begin anew each time (assumption).
        stops = found.state is InstanceState.STOPPING and self._asked > float("-inf")
        if stops or now - self._asked < ASK_AGAIN.total_seconds():
            return Step(why=f"{old.instance} was told to stop, and reads {found.state}")
        self._asked = now
        try:
            self._instances.stop(old.instance, force=True)
        except CredentialsRejected:
            raise
        except DrError as error:  # whatever was answered, only its state counts
            return Step(why=f"{old.instance} reads {found.state}: {error}")
        return Step(why=f"{old.instance} was told to stop, and read {found.state}")
