"""Elastic IP addresses through the official SDK (`alibabacloud_vpc20160428`).

Both changes are asynchronous and carry a token; a lost answer is settled by the address's state.
Source: VPC API 2016-04-28, SDK 7.2.2.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from alibabacloud_vpc20160428 import models
from alibabacloud_vpc20160428.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.ecs_answers import Fields, unreadable
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.domain.ids import InstanceId
from shared.ports.addresses import PublicAddress

RAM_ACTIONS: Final = ("vpc:DescribeEipAddresses", "vpc:AssociateEipAddress", "vpc:UnassociateEipAddress")
"""The RAM actions that this adapter needs."""

INSTANCE: Final = "EcsInstance"
PAGE: Final = 100
IDS_AT_ONCE: Final = 50
"""`AllocationId` takes several, with commas. Source: DescribeEipAddresses, read 2025."""


class EipAddresses:
    """Implements `shared.ports.addresses.PublicAddresses`."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients[Any](Client, endpoint=endpoint, credentials=credentials)
        self._region = endpoint.region

    def of(self, instance: InstanceId) -> tuple[PublicAddress, ...]:
        found = self._listed(associated_instance_type=INSTANCE, associated_instance_id=instance)
        return tuple(one for one in found if one.instance == instance)

    def find(self, allocations: Sequence[str]) -> tuple[PublicAddress, ...]:
        wanted = list(dict.fromkeys(allocations))
        return tuple(
            one
            for start in range(0, len(wanted), IDS_AT_ONCE)
            for one in self._listed(allocation_id=",".join(wanted[start : start + IDS_AT_ONCE]))
        )

    def _listed(self, **filters: Any) -> Iterator[PublicAddress]:
        what = "vpc DescribeEipAddresses"

        def page(number: int) -> tuple[list[Any], int]:
            request = models.DescribeEipAddressesRequest(
                region_id=self._region, page_number=number, page_size=PAGE, **filters
            )
            answer = call(what, lambda: self._clients.current().describe_eip_addresses(request), changes=False)
            body = body_of(answer, what)
            if body.eip_addresses is None:
                raise unreadable(what, "eip_addresses is missing")
            return body.eip_addresses.eip_address or [], Fields(body, what).whole("total_count")

        for row in all_pages(page, what):
            yield _address(Fields(row, what))

    def associate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        request = models.AssociateEipAddressRequest(
            region_id=self._region,
            allocation_id=allocation,
            instance_id=instance,
            instance_type=INSTANCE,
            client_token=token,
        )
        what = f"vpc AssociateEipAddress({allocation}, {instance})"
        call(what, lambda: self._clients.current().associate_eip_address(request), changes=True)

    def unassociate(self, allocation: str, instance: InstanceId, *, token: str) -> None:
        request = models.UnassociateEipAddressRequest(
            region_id=self._region,
            allocation_id=allocation,
            instance_id=instance,
            instance_type=INSTANCE,
            client_token=token,
        )
        what = f"vpc UnassociateEipAddress({allocation}, {instance})"
        call(what, lambda: self._clients.current().unassociate_eip_address(request), changes=True)


def _address(row: Fields) -> PublicAddress:
    holder, kind = row.optional("instance_id"), row.optional("instance_type")
    return PublicAddress(
        allocation=row.text("allocation_id"),
        address=row.text("ip_address"),
        state=row.text("status").lower(),
        instance=InstanceId(holder) if holder and kind in ("", INSTANCE) else None,
    )
