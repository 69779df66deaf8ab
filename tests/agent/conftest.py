"""Real agents and masters as processes, beside a local cloud on loopback."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.testing import Local, mock_aliyun
from shared.adapters import chance
from shared.adapters.agents import HttpAgents
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore, OtsTables
from shared.domain.ids import PairName, SiteName
from shared.domain.lease import Lease, Sighting, Terms
from shared.ports.probes import AgentReport
from shared.state.leases import Leases
from tests.agent.silent_proxy import SilentProxy
from understudy.agent.client import RoleReader, boottime

ROOT = Path(__file__).parents[2]
PAIR = PairName("control")
H, STANDBY = SiteName("hz-h"), SiteName("hz-i")
TERMS = Terms(lease=timedelta(seconds=2.4), margin=timedelta(milliseconds=600), renew_every=timedelta(milliseconds=300))
STEADY = (TERMS.lease - TERMS.margin).total_seconds()


def wait_for(what: str, reached: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


_ports = itertools.count(os.getpid() * 13)


def free_port() -> int:
    """Never given twice by this process, and below those that the system gives to whoever asks for any: between our
    look and the agent's bind nobody else gets it."""
    while True:
        port = 20_000 + next(_ports) % 12_000
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass
class Running:
    """One process of a test; ended with it, however it stands."""

    process: subprocess.Popen[bytes]
    port: int
    role_file: Path

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def role(self) -> RoleReader:
        return RoleReader(self.role_file)

    def look(self) -> AgentReport:
        return HttpAgents().look("127.0.0.1", self.port, timeout=timedelta(seconds=1))

    def active(self) -> bool:
        return self.role().look().active


def stops(running: Running) -> float:
    """Waits until the master accepts no more; the latest deadline (boottime seconds) that it was told meanwhile. It
    compares that deadline with its own clock at each command, so this is when it stopped, however slow we look."""
    latest = 0.0

    def stopped() -> bool:
        nonlocal latest
        look = running.role().look()
        latest = max(latest, look.until)
        return not look.active

    wait_for("the master to stop accepting", stopped)
    assert latest > 0, "it was told a deadline"
    return latest


@dataclass
class Site:
    """Starts agents of either site against one store."""

    local: Local
    folder: Path
    proxy: SilentProxy
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        id_, secret = self.local.access_key
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return {**kept, "ALIBABA_CLOUD_ACCESS_KEY_ID": id_, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret,
                "UNDERSTUDY_OTS_INSTANCE": self.local.ots_instance, "UNDERSTUDY_OTS_ENDPOINT": self.proxy.url,
                "UNDERSTUDY_REGION": "cn-hangzhou", "PYTHONPATH": str(ROOT)}  # fmt: skip

    def arguments(self, site: SiteName, *, port: int, role_file: Path, of: Terms = TERMS) -> list[str]:
        seconds = {"lease": of.lease, "margin": of.margin, "renew-every": of.renew_every}
        terms = [text for name, value in seconds.items() for text in (f"--{name}", str(value.total_seconds()))]
        preferred = ["--preferred"] if site == H else []
        return ["--pair", PAIR, "--site", site, *terms, *preferred, "--port", str(port), "--role-file", str(role_file)]

    def agent(self, site: SiteName = H, *, file: str = "", **extra: str) -> Running:
        """`file`: another role file than that of the site's other agents."""
        port, role_file = free_port(), self.folder / (file or site) / "role.json"
        arguments = ["-m", "understudy.agent", *self.arguments(site, port=port, role_file=role_file)]
        return Running(self.start(arguments, **extra), port, role_file)

    def start(self, arguments: list[str], **extra: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**self.environment(), **extra},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.started.append(process)
        return process

    def leases(self) -> Leases:
        return Leases(store(self.local), tokens=chance.token)

    def take_over(self, to: SiteName) -> Lease:
        """As a watch does: see the lease unchanged for its whole length, then one compare-and-set."""
        leases = self.leases()
        sighting: Sighting | None = None
        while True:
            lease = leases.read(PAIR)
            assert lease is not None
            now = boottime()
            sighting = sighting.then(lease, returned=now) if sighting else Sighting.first(lease, returned=now)
            if sighting.takeable(boottime(), TERMS):
                return leases.take(sighting.lease, to, length=TERMS.lease)
            time.sleep(0.05)

    def end(self) -> None:
        for process in self.started:
            for number in (signal.SIGCONT, signal.SIGKILL):
                if process.poll() is None:
                    process.send_signal(number)
            process.wait(5)
            if process.stdout is not None:
                process.stdout.close()


def store(local: Local) -> OtsStore:
    keys = Credentials(*local.access_key)
    return OtsStore(
        endpoint=local.url, instance=local.ots_instance, credentials=lambda: keys, timeout=timedelta(seconds=2)
    )


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun(rate=1) as cloud:
        keys = Credentials(*cloud.access_key)
        OtsTables(endpoint=cloud.url, instance=cloud.ots_instance, credentials=lambda: keys).create_tables()
        yield cloud


@pytest.fixture
def site(local: Local, tmp_path: Path) -> Iterator[Site]:
    keeper = store(local)
    from shared.ports.store import Anything

    for table in ("leases", "heartbeats"):
        for row in list(keeper.scan(table, ())):
            keeper.delete(table, row.key, condition=Anything())
    parts = urlsplit(local.url)
    proxy = SilentProxy(parts.hostname or "", parts.port or 0)
    running = Site(local, tmp_path, proxy)
    yield running
    running.end()
    proxy.close()


def post(
    port: int, path: str, body: dict[str, Any], host: str = "127.0.0.1", **headers: str
) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"http://{host}:{port}{path}", json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=3) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
