"""The cloud's own automatic snapshot policies, through the official ECS SDK (2014-05-26). Reads only."""

from collections.abc import Iterator
from typing import ClassVar

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import EcsCalls
from shared.domain.ids import DiskId
from shared.domain.inventory import NativePolicy


class EcsNativePolicies(EcsCalls):
    """Implements `shared.ports.compute.NativePolicies`."""

    RAM_ACTIONS: ClassVar = ("ecs:DescribeAutoSnapshotPolicyEx", "ecs:DescribeAutoSnapshotPolicyAssociations")

    def list(self) -> Iterator[NativePolicy]:
        number, seen = 1, 0
        while True:
            request = models.DescribeAutoSnapshotPolicyExRequest(
                region_id=self._region, page_number=number, page_size=100
            )
            body = self._ask("DescribeAutoSnapshotPolicyEx", "describe_auto_snapshot_policy_ex", request, changes=False)
            fields = Fields(body, "ecs DescribeAutoSnapshotPolicyEx")
            page = [
                answers.native_policy(one) for one in fields.items("auto_snapshot_policies", "auto_snapshot_policy")
            ]
            yield from page
            seen += len(page)
            if not page or seen >= fields.whole("total_count"):
                return
            number += 1

    def applied(self) -> Iterator[tuple[str, DiskId]]:
        request = models.DescribeAutoSnapshotPolicyAssociationsRequest(region_id=self._region, max_results=100)
        return self._pages(
            "DescribeAutoSnapshotPolicyAssociations",
            "describe_auto_snapshot_policy_associations",
            request,
            "auto_snapshot_policy_associations",
            "auto_snapshot_policy_association",
            lambda item: (item.text("auto_snapshot_policy_id"), DiskId(item.text("disk_id"))),
        )
