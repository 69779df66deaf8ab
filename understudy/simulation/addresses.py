"""PublicAddresses port straight onto the emulator's EIPs, without HTTP."""

from collections.abc import Callable, Sequence

from emulator.cloud import Cloud
from emulator.vpc.model import INSTANCE, Eip, Target
from shared.domain.ids import InstanceId
from shared.ports.addresses import PublicAddress
from understudy.simulation.call import called, read


class InProcessAddresses:
    """Of the home realm."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def of(self, instance: InstanceId) -> tuple[PublicAddress, ...]:
        return self._listed(("at", instance), lambda eip: eip.instance_type == INSTANCE and eip.instance_id == instance)

    def find(self, allocations: Sequence[str]) -> tuple[PublicAddress, ...]:
        if not allocations:
            return ()
        return self._listed(tuple(allocations), lambda eip: eip.id in allocations)

    def _listed(self, question: object, wanted: Callable[[Eip], bool]) -> tuple[PublicAddress, ...]:
        def now() -> tuple[PublicAddress, ...]:
            return tuple(_address(eip) for eip in self._cloud.vpc.eips if wanted(eip))

        return read(self._cloud, "vpc", "DescribeEipAddresses", question, now)

    def associate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        with called(self._cloud, "vpc", "AssociateEipAddress", changes=True, about=allocation):
            self._cloud.vpc.associate(allocation, Target(instance_id=instance), token=token)

    def unassociate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        with called(self._cloud, "vpc", "UnassociateEipAddress", changes=True, about=allocation):
            self._cloud.vpc.unassociate(
                allocation, instance_id=instance, instance_type=INSTANCE, private_address="", token=token
            )


def _address(eip: Eip) -> PublicAddress:
    return PublicAddress(
        allocation=eip.id,
        address=eip.address,
        state=eip.status.lower(),
        instance=InstanceId(eip.instance_id) if eip.instance_type == INSTANCE else None,
    )
