"""The emulated cloud of the recovery tests, with balancers whose checks begin when a server joins, and each world's
durations drawn anew."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bench.recovery.watch import Watch
from emulator.slb.model import Backend as Member
from emulator.slb.model import Balancer
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Health
from shared.ports.probes import Sight
from tests.usecases.rebuild_world import ALONE
from tests.usecases.recovery_world import BOOTED, RecoveryWorld, WorldBalancer

CHECKS: Final = timedelta(seconds=4)
"""Two good checks, two seconds apart, as the listeners of the world have it."""
WITHOUT_DATA: Final = re.sub(r",\s+data_disks: \[[^\]]*\]", "", ALONE)
"""The same servers with nothing but their system disks."""


class CheckedBalancer(WorldBalancer):
    """A server is healthy when its checks have found it answering twice since it joined."""

    def __init__(self, world: RecoveryWorld) -> None:
        super().__init__(world)
        self._joined: dict[str, datetime] = {}
        self._real = world.cloud.slb.attach
        world.cloud.slb.attach = self._note  # type: ignore[method-assign]  # stands in, to note it

    def _note(self, id: str, servers: Sequence[Member], *, patient: bool = False) -> Balancer:
        self._joined.update({one.server: self._world.clock.now() for one in servers})
        return self._real(id, servers, patient=patient)

    def _health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        found = super()._health(balancer)
        now = self._world.clock.now()
        for server in found:
            since = self._joined.get(server)
            answers = self._world.sight_of(server, after=BOOTED + CHECKS) is Sight.ANSWERED
            found[server] = Health.NORMAL if answers and (since is None or now - since >= CHECKS) else Health.ABNORMAL
        return found


def watched(world: RecoveryWorld, seed: int) -> Watch:
    """From now on its durations depend on `seed`, and what happens is written down."""
    world.balancer = world.wire.through(CheckedBalancer(world), "balancer")
    world.cloud.chance.begin_anew(f"bench {seed}")
    return Watch(world.cloud)
