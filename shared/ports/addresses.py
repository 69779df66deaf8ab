"""Public addresses that can move between instances of one region (EIPs).

Source: VPC API 2016-04-28. Moving is unassociate, wait, associate, wait: a gap without the address is unavoidable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddress:
    allocation: str
    address: str
    state: str  # available | associating | inuse | unassociating (the cloud's word, lower case)
    instance: InstanceId | None


class PublicAddresses(Protocol):
    def of(self, instance: InstanceId) -> tuple[PublicAddress, ...]: ...

    def find(self, allocations: Sequence[str]) -> tuple[PublicAddress, ...]:
        """Those that exist."""
        ...

    def associate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        """Asynchronous. Raises Permanent when the instance has an EIP or a static public address already."""
        ...

    def unassociate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        """Asynchronous."""
        ...
