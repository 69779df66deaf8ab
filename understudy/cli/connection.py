"""What the commands talk to, from the same environment variables as the functions. Everything is made on first use, so
that an offline command needs no setting and imports no SDK."""

import getpass
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.adapters.clock import RemoteClock, SystemClock
from shared.adapters.environment import require, variable
from shared.config.settings import Settings, settings
from shared.domain.errors import BadInput, NeedsOperator, Permanent, Retryable
from shared.wiring import foundation

if TYPE_CHECKING:
    from shared.ports.compute import Inventory
    from shared.ports.functions import Functions
    from shared.ports.store import Store

_REMEDIES: Final = {
    "UNDERSTUDY_REGION": "export UNDERSTUDY_REGION=cn-hangzhou, the region of the instances",
    "UNDERSTUDY_OTS_INSTANCE": "export UNDERSTUDY_OTS_INSTANCE=..., the name of the Tablestore instance",
}
NEW_TABLES_WITHIN: Final = timedelta(seconds=90)
_PAUSE: Final = timedelta(seconds=2)


class Connection:
    @cached_property
    def settings(self) -> Settings:
        """Raises BadInput that names the variable and the export that mends it."""
        return settings(variable, lambda name, remedy: require(name, _REMEDIES.get(name, remedy)))

    @cached_property
    def clock(self) -> SystemClock | RemoteClock:
        assert self.settings  # says here, in an operator's words, what is missing
        clock = foundation.clock()
        clock.sync()
        return clock

    @cached_property
    def store(self) -> "Store":
        assert self.settings
        return foundation.store()

    @cached_property
    def functions(self) -> "Functions":
        assert self.settings
        return foundation.functions()

    @cached_property
    def inventory(self) -> "Inventory":
        from shared.adapters.ecs import EcsInventory
        from shared.adapters.sdk import Endpoint

        endpoint = Endpoint(self.settings.region, self.settings.endpoint)
        return EcsInventory(endpoint=endpoint, credentials=foundation.credentials)

    def create_tables(self) -> tuple[str, ...]:
        """The names of the tables that were missing."""
        from shared.adapters.ots import OtsTables

        tables = OtsTables(
            endpoint=self.settings.ots_endpoint,
            instance=self.settings.ots_instance,
            credentials=foundation.credentials,
            region=self.settings.region,
        )
        return tables.create_tables()

    def wait_for_new_tables(self) -> None:
        """A new table takes up to a minute until it answers. Raises Retryable when it does not."""
        from shared.state.controls import Controls

        deadline = self.clock.monotonic() + NEW_TABLES_WITHIN.total_seconds()
        while True:
            try:
                Controls(self.store).read()
            except Retryable:
                if self.clock.monotonic() > deadline:
                    raise
                self.clock.sleep(_PAUSE)
            else:
                return

    def command(self, name: str, **arguments: object) -> Mapping[str, object]:
        """Ask the `command` function, which alone may write intents. Raises what it refused."""
        request = {"command": name, "by": operator(), **arguments}
        body = self.functions.invoke("command", json.dumps(request).encode())
        try:
            answer = json.loads(body)
        except ValueError:
            raise Permanent(f"function command answered no JSON: {body[:120]!r}") from None
        if not isinstance(answer, dict):
            raise Permanent(f"function command answered {answer!r}, not an object")
        if "refused" in answer:
            raise _refused(answer)
        return answer


def _refused(answer: Mapping[str, object]) -> Permanent | NeedsOperator:
    because = str(answer.get("because", "no reason was given"))
    if answer["refused"] == "NeedsOperator":
        return NeedsOperator(because, runbook=str(answer.get("runbook", "")))
    return BadInput(because) if answer["refused"] == "BadInput" else Permanent(because)


def operator() -> str:
    """Who sits at this terminal, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user name
        return "an operator"
