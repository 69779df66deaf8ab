"""Rebuilds on the emulated cloud: hosts fail, events arrive as they do, and what comes out is looked at."""

import json
from dataclasses import replace
from typing import Any

from shared.domain.ids import InstanceId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Elsewhere, PlatformRestart, RebuildRule
from shared.domain.provenance import OPERATION
from shared.state.controls import Controls
from shared.state.subjects import Subjects
from shared.triggers.parse import parse
from shared.usecases.recovery.rebuild_preview import RebuildPreview
from shared.wiring.guard import to_json
from tests.usecases.recovery_world import LB, STANDS, WEB_RULE, I, RecoveryWorld, recovery_policy

IN_I = Elsewhere(zone=I, vswitch="vsw-i")
AT_ONCE = replace(WEB_RULE, platform_restart=PlatformRestart.DISARM)
"""Nothing is waited for: the platform was told to leave it stopped."""
ALONE = STANDS.replace("members: [{instance: i-web-2}]", "members: []").replace(
    "min: 1\n    max: 1", "min: 0\n    max: 1"
)


class RebuildWorld(RecoveryWorld):
    def __init__(self, *rules: RebuildRule, stands: str = STANDS, **policy: Any) -> None:
        super().__init__(recovery_policy(*(rules or (AT_ONCE,)), **policy), stands=stands)
        if any(one.platform_restart is PlatformRestart.DISARM for one in self.rules()):
            for instance in self.cloud.ecs.instances.values():
                instance.on_maintenance = "Stop"

        self.previews[OperationKind.REBUILD] = self._preview

    def _preview(self) -> RebuildPreview:
        return RebuildPreview(ports=self.rebuild_ports(), subjects=Subjects(self.store))

    def _dispatch(self, function: str, payload: bytes) -> bytes:
        if function == "recover" and b'"preview"' in payload:
            return to_json(self.call_recover(payload)).encode()
        return super()._dispatch(function, payload)

    def controls(self) -> Controls:
        return Controls(self.store)

    def rules(self) -> tuple[RebuildRule, ...]:
        return self.policies.active()[1].rebuilds

    def lose(self, instance: str, *, recovers: bool = False) -> str:
        """Its host dies, and the event of that arrives; again, when alarm dies on it. Answers the event's id."""
        event = self.fail_host(instance, recovers=recovers)
        if self.invoke(lambda: self.notice(instance, event)) is None:
            self.invoke(lambda: self.notice(instance, event))
        return event

    def notice(self, instance: str, event: str, *, status: str = "Executing") -> Any:
        found = self.cloud.ecs.events.find(event)
        assert found is not None
        body = {
            "specversion": "1.0",
            "id": f"delivery-{event}",
            "source": "acs.ecs",
            "type": f"ecs:Instance:{found.type}",
            "data": {
                "eventId": event,
                "instanceId": instance,
                "eventType": found.type,
                "eventStatus": status,
                "executeStartTime": f"{found.published:%Y-%m-%dT%H:%M:%SZ}",
            },
        }
        return self.alarm().run(parse(json.dumps(body).encode()), run=self._run())

    def rebuilt(self, instance: InstanceId, *, minutes: float = 20) -> Operation:
        """The one operation about it, after a while, which must have replaced it."""
        found = self.ended(instance, minutes=minutes)
        assert found.state is OperationState.DONE, found.result
        return found

    def ended(self, instance: InstanceId, *, minutes: float = 20) -> Operation:
        self.run_recovery(minutes=minutes)
        (found,) = (one for one in self.operations(OperationKind.REBUILD) if one.subject == instance)
        return found

    def made(self) -> list[str]:
        """Instances that an operation made."""
        return [one.id for one in self.cloud.ecs.instances.values() if OPERATION in one.tags]

    def pool(self) -> dict[str, int]:
        return {server: one.weight for server, one in self.cloud.slb.get(LB).backends.items()}

    def members(self, group: str) -> dict[str, str]:
        return {one.instance_id: one.state for one in self.cloud.ess.group(group).members.values()}


def ask(world: RebuildWorld, instance: str, **more: str) -> dict[str, Any]:
    """As `understudy rebuild` asks function command."""
    moment = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    return world.command(command="rebuild", by="li", instance=instance, at=moment, **more)
