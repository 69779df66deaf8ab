"""What every act needs at hand: the local cloud, the state store, the cloud's own view, and the masters."""

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from shared.config import policy_file
from shared.domain.errors import OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import OperationId
from shared.domain.operation import Operation
from shared.domain.policy import Policy
from shared.ports.clock import Clock
from shared.state.decisions import Decisions
from shared.state.failovers import Failover, Failovers
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.slots import Slots
from understudy.demo.local_cloud import PREFIX, ROOT, LocalCloud, free_network
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.view import CloudView

APPS = ("i-app-h1", "i-app-h2", "i-app-i1", "i-app-i2")
ADDRESSES = {
    "i-app-h1": "1.11", "i-app-h2": "1.12", "i-app-i1": "2.11", "i-app-i2": "2.12",
    "i-master-h": "1.21", "i-master-i": "2.21",
}  # fmt: skip
MASTER_PORT = 7000
ASK_AGAIN = 2  # times
POLICY = ROOT / "understudy.yaml"
WATCHES = ("watch-hz-h", "watch-hz-i")


START = datetime(2026, 3, 1, 15, 50, tzinfo=UTC)  # ten minutes before Monday begins in Shanghai


class NotInTime(Exception):
    """Something the demo waits for did not happen in time: the demo ends with this as its clear error."""


@dataclass(kw_only=True)
class Stage:
    cloud: LocalCloud
    view: CloudView
    narrator: Narrator
    promises: Promises
    clock: Clock  # real time: the demo's own waiting and measuring
    policy: Policy
    hours: int = 168  # of act 1
    policy_file: Path = POLICY
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def slots(self) -> Slots:
        return Slots(self.view.store)

    @property
    def points(self) -> Points:
        return Points(self.view.store)

    @property
    def decisions(self) -> Decisions:
        return Decisions(self.view.store)

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls,
        workdir: Path,
        *,
        narrator: Narrator,
        promises: Promises,
        clock: Clock,
        hours: int = 168,
        seed: int = 7,
        policy_at: Path = POLICY,
        start: datetime = START,
    ) -> Iterator[Self]:
        """On a local cloud of its own, which ends with the block. Raises NoNetwork, CloudDied."""
        policy = policy_file.load(policy_at)
        agents = policy.pairs[0].agents
        with LocalCloud(workdir, net=free_network(), start=start, seed=seed, agents=agents) as cloud:
            yield cls(
                cloud=cloud,
                view=CloudView(cloud),
                narrator=narrator,
                promises=promises,
                clock=clock,
                policy=policy,
                hours=hours,
                policy_file=policy_at,
            )

    # Guests ---------------------------------------------------------------------------------------------------

    def address(self, instance: str) -> str:
        return f"127.{self.cloud.net}.{ADDRESSES[instance]}"

    def inside_address(self, instance: str) -> str:
        """Where somebody inside the zone reaches the instance even when nothing gets in or out."""
        return f"127.{self.cloud.net + 1}.{ADDRESSES[instance]}"

    def balancer(self) -> str:
        return f"127.{self.cloud.net}.0.80"

    def guest(self, address: str, port: int, method: str, path: str, *, patience: float = 5) -> tuple[int, bytes]:
        """One request to a guest. Raises OSError when it does not answer."""
        connection = http.client.HTTPConnection(address, port, timeout=patience)
        try:
            connection.request(method, path, b"" if method != "GET" else None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{address}:{port}{path}: {type(error).__name__}") from error
        finally:
            connection.close()

    def serves(self, instance: str) -> bool:
        try:
            return self.guest(self.address(instance), 8080, "GET", "/health", patience=1)[0] == HTTPStatus.OK
        except OSError:
            return False

    def fill(self, instance: str, prefix: str, *, count: int, size: int) -> None:
        """Let an application server write `count` records of `size` bytes to its data disk."""
        path = f"/fill?prefix={prefix}&count={count}&size={size}"
        status, body = self.guest(self.address(instance), 8080, "POST", path)
        if status != HTTPStatus.OK:
            raise NotInTime(f"{instance} did not store its records: {status} {body[:200]!r}")

    def summary(self, address: str, port: int = 8080) -> dict[str, Any]:
        status, body = self.guest(address, port, "GET", "/")
        if status != HTTPStatus.OK:
            raise OSError(f"{address}: {status}")
        summary: dict[str, Any] = json.loads(body)
        return summary

    def master_status(self, instance: str) -> dict[str, Any]:
        """What a master says of itself, asked from inside its zone; empty when it does not answer."""
        try:
            status, body = self.guest(self.inside_address(instance), MASTER_PORT, "GET", "/status", patience=1)
        except OSError:
            return {}
        return json.loads(body) if status == HTTPStatus.OK else {}

    # Waiting --------------------------------------------------------------------------------------------------

    def wait_for(self, what: str, happened: Callable[[], bool], *, seconds: float) -> None:
        """Real seconds. Raises NotInTime, CloudDied."""
        end = self.clock.monotonic() + seconds
        while not happened():
            self.cloud.must_live()
            if self.clock.monotonic() > end:
                raise NotInTime(f"waited {seconds:g} s for {what}, in vain: see {self.cloud.workdir}")
            self.clock.sleep(timedelta(milliseconds=50))

    def looping(self, function: str) -> bool:
        """Its instance is initialised and at work: its log says so, as in the cloud."""
        log = self.cloud.workdir / "fc" / "logs" / f"{PREFIX}{function}.log"
        return log.exists() and "FC invoke start" in log.read_text(errors="replace")

    # Setting the stage ----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """What an operator does on day one: check, create tables, write the first policy version.

        Watch waits for act 3: it loops in real time, and time is about to jump.
        """
        for function in WATCHES:
            self.cloud.enable(function, "every-minute", False)
        command = [sys.executable, "-m", "understudy", "apply", "--file", str(self.policy_file)]
        with subprocess.Popen(
            command, cwd=ROOT, env=dict(self.cloud.operator_environment), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        ) as applying:  # fmt: skip
            try:
                for app in APPS:  # they boot meanwhile
                    self.wait_for(f"{app} to boot", partial(self.serves, app), seconds=20)
                said, _ = applying.communicate(timeout=60)
            finally:
                applying.kill()
        if applying.returncode != 0:
            raise NotInTime(f"`understudy apply` ended with {applying.returncode}: {said.strip()}")
        self.narrator.say("[dim]$ understudy apply --file understudy.yaml[/]")
        for line in said.strip().splitlines()[-3:]:
            self.narrator.say(line)

    def invoke(self, function: str, payload: object) -> Any:
        """Call one of our functions and wait for its answer, as the CLI does. When it dies, ask again, as an operator
        would: what it asks for has the same identity as long as emulated time stands."""
        for _ in range(ASK_AGAIN):
            with contextlib.suppress(Permanent, OutcomeUnknown, Retryable):
                return self._invoke(function, payload)
        return self._invoke(function, payload)

    def _invoke(self, function: str, payload: object) -> Any:
        return json.loads(self.view.functions.invoke(function, json.dumps(payload).encode()) or b"null")

    def operation(self, id: str) -> Operation | None:
        return Journal(self.view.store, self.clock).find(OperationId(id)) if id else None

    # Act 3's evidence -----------------------------------------------------------------------------------------

    def failover(self) -> Failover:
        return Failovers(self.view.store).of(self.policy.pairs[0].name, now=self.clock.now())

    def name_values(self) -> list[tuple[str, str]]:
        """Value and remark of every record of the middleware name, by the cloud's API."""
        pair = self.policy.pairs[0]
        records = self.view.names.records(zone=pair.name_zone, host=pair.name_host, type="A")
        return [(record.value, record.remark) for record in records]
