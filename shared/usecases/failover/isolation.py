"""A master shut off from everybody: moved into a group that lets nothing through, read back, and seen to fall silent.

Silence alone proves nothing: a machine in a dark zone is silent, and the change may never reach it. So it must have
been heard just before. Security groups are stateful, and what becomes of connections that stand is not documented: so
one is opened before, and it is the one that counts. Whoever refuses connections has none, and then new ones are enough.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared.domain.inventory import Instance, InstanceState
from shared.domain.pair import FenceBy, Member, Pair
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.probes import Line, Probes, Sight
from shared.usecases.failover.fence_step import Step, instance_of

TRY_TIMEOUT: Final = timedelta(seconds=1)
OTHERS_TIME: Final = timedelta(seconds=5)  # beside `proof`: another watch's looks, and what lies between them
SETTLES: Final = timedelta(seconds=10)  # a change of groups has arrived by then (assumption: seconds)
MOST_BETWEEN: Final = timedelta(seconds=6)  # two looks that are further apart do not show what was between them
LEAST_LOOKS: Final = 4  # in silence: of a time in which a frozen watch asked once or twice, little is known
LINE: Final = "line"  # in the row: a connection stood and answered just before
LEAKS: Final = "leaks"  # in the row: what was heard so long after that a later silence would be another's doing
REFUSED: Final = "refused"  # in the row: nobody listened, so nobody was connected


class Isolate:
    def __init__(self, pair: Pair, *, instances: Instances, inventory: Inventory, probes: Probes, clock: Clock) -> None:
        self._pair, self._instances, self._inventory, self._probes = pair, instances, inventory, probes
        self._clock, self._into = clock, (pair.fence.group,)
        self._line: Line | None = None
        self.forget()

    def forget(self) -> None:
        self._hang_up()
        self._let_in()

    def _let_in(self) -> None:
        """Whatever was seen of an isolation counts no more."""
        self._isolated_at: float | None = None
        self._silent_since: float | None = None
        self._silent_looks = 0
        self._looked_at: float | None = None
        self._waited_since: float | None = None  # for whoever has a line

    @property
    def touched(self) -> bool:
        """It may be isolated: who gave up would leave it so."""
        return True

    def step(self, row: Mapping[str, str], old: Member) -> Step:
        found = instance_of(self._inventory, old)
        if found.state is InstanceState.STOPPED:
            return Step(off=True, why=f"{old.instance} of {old.site} reads stopped")
        if found.security_groups != self._into:
            return self._before(row, found, old)
        if not row:
            return Step(why=f"{old.instance} was isolated by somebody else: nobody has seen its connections die")
        if LEAKS in row:
            why = f"{old.instance} is isolated, and what stood before went on: a later silence is no proof"
            return Step(why=why, alive=True)
        if row.get("heard") == LINE and self._line is None:
            return self._without_line(row, found, old)
        return self._after(row, found, old)

    # --- not isolated ---

    def _before(self, row: Mapping[str, str], found: Instance, old: Member) -> Step:
        self._let_in()
        heard, how = self._heard(found, old)
        if not heard:
            return Step(why=f"{old.site} {how}: its silence after an isolation would prove nothing")
        if row.get("heard") != heard:
            return Step(
                why=f"{old.instance} is to be moved into {self._pair.fence.group}",
                row={
                    "by": FenceBy.ISOLATE.value,
                    "instance": old.instance,
                    "groups": " ".join(found.security_groups),
                    "into": self._pair.fence.group,
                    "heard": heard,
                },
            )
        self._instances.set_groups(old.instance, self._into)
        return Step(why=f"{old.instance} is moved into {self._pair.fence.group}", alive=True)

    def _heard(self, found: Instance, old: Member) -> tuple[str, str]:
        """In which way it is heard now; or none, and how it is instead."""
        if self._line is not None and self._line.asks(timeout=TRY_TIMEOUT) is not Sight.ANSWERED:
            self._hang_up()
        if self._line is None:
            self._line = self._opened(found, old)
        if self._line is not None:
            return LINE, ""
        tried = self._probes.tries(found.private_address, old.port, path="", timeout=TRY_TIMEOUT)
        if tried.sight is Sight.REFUSED:
            return REFUSED, ""
        return "", "is silent already" if tried.sight is Sight.SILENT else "takes connections and answers none"

    def _opened(self, found: Instance, old: Member) -> Line | None:
        return self._probes.line(found.private_address, old.port, path=self._pair.probe, timeout=TRY_TIMEOUT)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    # --- isolated ---

    def _after(self, row: Mapping[str, str], found: Instance, old: Member) -> Step:
        began = self._clock.monotonic()
        self._isolated_at = began if self._isolated_at is None else self._isolated_at
        if self._looked_at is not None and began - self._looked_at > MOST_BETWEEN.total_seconds():
            self._silent_since = None
        self._silent_looks = 0 if self._silent_since is None else self._silent_looks
        voice = self._voice(found, old)
        now = self._looked_at = self._clock.monotonic()
        if voice:
            self._silent_since = None
            leaks = now - self._isolated_at > SETTLES.total_seconds()
            why = f"{old.instance} is isolated, and {voice}"
            return Step(why=why, alive=True, row={**row, LEAKS: voice} if leaks else None)
        self._silent_since = began if self._silent_since is None else self._silent_since
        self._silent_looks += 1
        silent, proof = now - self._silent_since, self._pair.fence.proof.total_seconds()
        if silent < proof or self._silent_looks < LEAST_LOOKS:
            return Step(why=f"{old.instance} is isolated, and silent for {silent:.0f} of {proof:g} s")
        return Step(off=True, why=f"{old.instance} is isolated, and no probe got through for {silent:.0f} s")

    def _voice(self, found: Instance, old: Member) -> str:
        """What was heard of it; empty for silence. An end of the connection is a voice as well: somebody ended it."""
        if self._line is not None:
            sight = self._line.asks(timeout=TRY_TIMEOUT)
            if sight is Sight.ANSWERED:
                return "a connection that stood before still passes"
            if sight is Sight.REFUSED:
                self._hang_up()
                return "its end of a connection that stood before was heard"
        tried = self._probes.tries(found.private_address, old.port, path="", timeout=TRY_TIMEOUT)
        return "" if tried.sight is Sight.SILENT else f"new connections are {tried.sight}"

    def _without_line(self, row: Mapping[str, str], found: Instance, old: Member) -> Step:
        """The other site's watch may have one, and then it needs `proof`. After that, whoever isolated the machine has
        ended before he could prove anything; nothing has moved, so it is let out and isolated once more."""
        now = self._clock.monotonic()
        self._waited_since = now if self._waited_since is None else self._waited_since
        if now - self._waited_since < (max(self._pair.fence.proof, SETTLES) + OTHERS_TIME).total_seconds():
            why = f"{old.instance} is isolated, and no connection from here stood before: whoever has one may prove it"
            return Step(why=why, alive=True)
        self._let_in()
        self._instances.set_groups(old.instance, tuple(row["groups"].split()))
        self._line = self._opened(found, old)
        return Step(why=f"{old.instance} is let out again, to open the connection that is to die", alive=True)
