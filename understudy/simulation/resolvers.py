"""Resolvers port straight onto what the emulator's names answer, without a datagram. Every server answers alike."""

from collections.abc import Sequence
from datetime import timedelta

from emulator.cloud import Cloud
from emulator.pvtz.names import Names
from shared.ports.resolvers import Resolved


class InProcessResolvers:
    def __init__(self, cloud: Cloud) -> None:
        self._names = Names(cloud)

    def ask(
        self,
        names: Sequence[str],
        *,
        servers: Sequence[str],
        timeout: timedelta,  # noqa: ARG002  what answers at once is not waited for
    ) -> tuple[Resolved, ...]:
        return tuple(self._one(name, server) for name in names for server in servers or ("the cloud's",))

    def _one(self, name: str, server: str) -> Resolved:
        answer = self._names.ask(name.lower(), "A")
        if answer.refused or answer.endless:
            return Resolved(server=server, name=name, why=f"it answers {'REFUSED' if answer.refused else 'SERVFAIL'}")
        addresses = tuple(one.value for rrset in answer.rrsets if rrset.type == "A" for one in rrset.members)
        aliases = [rrset.members[0].value.rstrip(".").lower() for rrset in answer.rrsets if rrset.type == "CNAME"]
        return Resolved(
            server=server,
            name=name,
            addresses=addresses,
            aliases=tuple(aliases),
            ttl_seconds=min((rrset.ttl for rrset in answer.rrsets), default=None),
        )
