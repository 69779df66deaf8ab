"""A staged ECS with a second region and a second account beside it."""

from collections.abc import Mapping
from typing import Any

from emulator.ecs.rpc import VERSION
from emulator.wire.call import ApiError
from tests.emulator.ecs_stage import Stage

HERE, THERE = "cn-hangzhou", "cn-shanghai"
STRANGER = "2000000000000002"


class TwoRegions(Stage):
    def there(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        """Asked at the endpoint of the other region."""
        return self._elsewhere(self.cloud.account, THERE, action, {**(given or {}), **more})

    def stranger(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        """Asked by another account, in our region."""
        return self._elsewhere(STRANGER, HERE, action, {**(given or {}), **more})

    def _elsewhere(self, account: str, region: str, action: str, given: Mapping[str, object]) -> dict[str, Any]:
        flat = {name: str(value) for name, value in given.items()}
        return self.ask_in(self.cloud.realm(account, region), VERSION, action, flat)

    def refusal_there(self, action: str, given: Mapping[str, object] | None = None, **more: object) -> tuple[int, str]:
        try:
            answer = self.there(action, given, **more)
        except ApiError as error:
            return error.status, error.code
        raise AssertionError(f"{action} was not refused: {answer}")

    def copy(self, snapshot: str, **more: object) -> str:
        given = {
            "SnapshotId": snapshot,
            "DestinationRegionId": THERE,
            "DestinationSnapshotName": "copy",
            "DestinationSnapshotDescription": "a copy",
        }
        made: str = self.ask("CopySnapshot", {**given, **more})["SnapshotId"]
        return made

    def show_there(self, snapshot: str) -> dict[str, Any] | None:
        found = self.there("DescribeSnapshots", SnapshotIds=f'["{snapshot}"]')["Snapshots"]["Snapshot"]
        return found[0] if found else None
