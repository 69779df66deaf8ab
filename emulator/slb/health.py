"""Health checks on the emulated calendar, with real probes.

Each member of each checked listener has its own rhythm. While a probe is under way time is held, so that a jump cannot
pass it. Where time stands and is jumped (rate 0), a probe waits at most 0.3 s of real time (not at all for an address
known to be silent), and a member whose state is settled is looked at ever less often, up to once an emulated hour:
nothing real happens between two jumps, so looking every two seconds for a week would find out nothing, at a quarter of
a million probes per member. Any change of members, zones, instances, guests or of the clock's rate brings the
configured interval back at once.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator import deeds
from emulator.clock import Due
from emulator.network.port import is_here
from emulator.slb.model import ABNORMAL, NORMAL, Backend, Balancer, Check, Listener

if TYPE_CHECKING:
    from emulator.cloud import Cloud

STANDING_PROBE_SECONDS: Final = 0.3
SETTLED: Final = timedelta(hours=1)

Key = tuple[str, int, str]  # balancer, listener's port, member


@dataclass(slots=True)
class Watch:
    """One member seen from one listener: what was found how often in a row, and when to look again."""

    every: timedelta
    due: Due | None = None
    answers: int = 0
    failures: int = 0


class HealthChecks:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._watches: dict[Key, Watch] = {}
        self._probes: set[asyncio.Task[None]] = set()
        self._running = False

    def start(self) -> None:
        self._running = True
        self.refresh()

    async def stop(self) -> None:
        self._running = False
        for watch in self._watches.values():
            if watch.due is not None:
                watch.due.cancel()
        self._watches.clear()
        for task in list(self._probes):
            task.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    def refresh(self) -> None:
        """Something changed: watch who is to be watched now, at the configured interval again."""
        if not self._running:
            return
        wanted = {
            (balancer.id, listener.port, member.key): listener.check
            for balancer in self._cloud.slb.balancers.values()
            for listener in balancer.listeners.values()
            if listener.check.enabled and listener.running
            for member in self._cloud.slb.members(balancer, listener)
        }
        for key in self._watches.keys() - wanted.keys():
            if (due := self._watches.pop(key).due) is not None:
                due.cancel()
        now = self._cloud.clock.now()
        for key, check in wanted.items():
            watch = self._watches.get(key)
            if watch is None:
                watch = self._watches[key] = Watch(every=check.interval)
                self._look(key, watch, after=timedelta(0))
                continue
            watch.every = check.interval
            if watch.due is not None and watch.due.at > now + check.interval:
                watch.due.cancel()
                self._look(key, watch, after=check.interval)

    def _look(self, key: Key, watch: Watch, *, after: timedelta) -> None:
        watch.due = self._cloud.clock.call_later(after, lambda: self._begin(key, watch), "slb health check")

    def _begin(self, key: Key, watch: Watch) -> None:
        watch.due = None
        if not self._running or self._watches.get(key) is not watch:
            return
        held = contextlib.ExitStack()
        held.enter_context(self._cloud.clock.hold(f"health check of {key[2]}"))
        task = asyncio.get_running_loop().create_task(self._check(key, watch, held))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _check(self, key: Key, watch: Watch, held: contextlib.ExitStack) -> None:
        started = self._cloud.clock.now()
        with held:
            if not self._running or self._watches.get(key) is not watch:
                return  # changed since the task was made
            balancer = self._cloud.slb.balancers[key[0]]
            listener = balancer.listeners[key[1]]
            member = next(one for one in self._cloud.slb.members(balancer, listener) if one.key == key[2])
            answered = await self._probe(listener, member)
            if not self._running or self._watches.get(key) is not watch:
                return
            settled = self._record(balancer, listener, key[2], watch, answered)
            if self._cloud.clock.rate == 0 and settled:
                watch.every = min(max(SETTLED, listener.check.interval), watch.every * 2)
            else:
                watch.every = listener.check.interval
            passed = self._cloud.clock.now() - started
            self._look(key, watch, after=max(timedelta(0), watch.every - passed))

    def _record(self, balancer: Balancer, listener: Listener, server: str, watch: Watch, answered: bool) -> bool:
        """Count, and change the state at the threshold. True: the state says what the probes say."""
        watch.answers = watch.answers + 1 if answered else 0
        watch.failures = 0 if answered else watch.failures + 1
        if watch.answers >= listener.check.healthy:
            self._found(balancer, listener, server, NORMAL)
            return True
        if watch.failures >= listener.check.unhealthy:
            self._found(balancer, listener, server, ABNORMAL)
            return True
        return False

    def _found(self, balancer: Balancer, listener: Listener, server: str, health: str) -> None:
        """Alarms look at it, so a change is the world's business; that it is still so is not."""
        if balancer.health.get((listener.port, server)) != health:
            self._cloud.do(deeds.set_health, balancer=balancer.id, port=listener.port, server=server, health=health)

    async def _probe(self, listener: Listener, member: Backend) -> bool:
        address = self._cloud.slb.address_of(member.server)
        if address is None or not is_here(address):
            return False
        seconds = listener.check.timeout.total_seconds()
        if self._cloud.clock.rate == 0:
            if self._is_silent(member.server):
                return False  # known without waiting for a time-out that takes no emulated time anyway
            seconds = min(seconds, STANDING_PROBE_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                port = listener.check.port or member.port or listener.backend_port
                return await _answers(address, port, listener.check)
        except OSError:  # refused, reset, unreachable; TimeoutError is one
            return False

    def _is_silent(self, server: str) -> bool:
        hypervisor = self._cloud.hypervisor
        guest = hypervisor.guests.get(server) if hypervisor is not None else None
        return guest is not None and guest.nic.is_silent


async def _answers(address: str, port: int, check: Check) -> bool:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        if not check.path:
            return True
        writer.write(f"GET {check.path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
        status = line.split(b" ", 2)[1:2]
        return bool(status) and status[0][:1] in (b"2", b"3")
    finally:
        writer.close()
