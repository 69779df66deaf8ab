"""Commands inside instances by Cloud Assistant, through the official ECS SDK (2014-05-26)."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import ceil
from typing import ClassVar

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import EcsCalls, made
from shared.domain.ids import InstanceId
from shared.domain.inventory import Ran


class EcsGuests(EcsCalls):
    """Implements `shared.ports.compute.Guests`."""

    RAM_ACTIONS: ClassVar = ("ecs:RunCommand", "ecs:DescribeInvocationResults")

    def run(self, instances: Sequence[InstanceId], script: str, *, within: timedelta, token: str) -> str:
        request = models.RunCommandRequest(
            region_id=self._region,
            type="RunShellScript",
            command_content=script,
            content_encoding="PlainText",
            instance_id=list(instances),
            timeout=max(1, ceil(within.total_seconds())),
            client_token=token,
        )
        body = self._ask("RunCommand", "run_command", request, changes=True)
        return made(body.invoke_id, "RunCommand")

    def results(self, run: str) -> Iterator[Ran]:
        request = models.DescribeInvocationResultsRequest(
            region_id=self._region, invoke_id=run, content_encoding="PlainText", max_results=50
        )
        while True:
            body = self._ask("DescribeInvocationResults", "describe_invocation_results", request, changes=False)
            fields = Fields(body, "ecs DescribeInvocationResults").inner("invocation")
            for item in fields.items("invocation_results", "invocation_result"):
                yield answers.ran(item)
            token = fields.optional("next_token")
            if not token:
                return
            request.next_token = token
