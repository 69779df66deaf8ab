"""The clients of act 3: those outside, as users have them, and one inside the lost zone, beside the old master."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.adapters.chance import Seeded
from understudy.demo.clients import Client, Resolver
from understudy.demo.losses import OLD
from understudy.demo.stage import MASTER_PORT, Stage

RESOLVES: Final = "resolves each time"
HONOURS: Final = "honours the TTL (5 s)"
CACHES: Final = "caches 30 s"
HOLDS: Final[dict[str, float | None]] = {RESOLVES: 0.0, HONOURS: None, CACHES: 30.0}
"""Seconds for which each believes an answer; None: as long as the record says."""
AGED: Final = {CACHES: 10.0}
"""Seconds by which an answer is older than the client's own start: what it would be on any day, without the waiting."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    outside: list[Client]
    inside: Client

    @property
    def all(self) -> list[Client]:
        return [*self.outside, self.inside]


@contextlib.contextmanager
def clients(stage: Stage, kinds: Sequence[str], *, luck: Seeded | None = None) -> Iterator[Crowd]:
    """Already sending; stopped at the end. With `luck` those that cache begin with an answer of any age."""
    pair = stage.policy.pairs[0]

    def made(kind: str, resolver: Resolver | None, fixed: str | None = None) -> Client:
        return Client(kind, resolver=resolver, fixed=fixed, port=MASTER_PORT, clock=stage.clock)

    def resolver(kind: str) -> Resolver:
        hold = HOLDS[kind]
        longest = pair.name_ttl_seconds if hold is None else hold
        aged = AGED.get(kind, 0.0) if luck is None else luck.uniform(0.0, longest)
        name = f"{pair.name_host}.{pair.name_zone}"
        return Resolver(stage.cloud.at.dns, name, hold, stage.clock, aged=aged)

    crowd = Crowd(
        outside=[made(kind, resolver(kind)) for kind in kinds],
        inside=made("inside the lost zone", None, stage.inside_address(OLD)),
    )
    for client in crowd.all:
        client.start()
    try:
        yield crowd
    finally:
        for client in crowd.all:
            client.stop()
        for client in crowd.all:
            client.join(3)
