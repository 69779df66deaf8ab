"""The emulator as a child process, and its admin door.

A dead emulator is reported as such (`CloudDied`), with the end of its log: nothing may be claimed after that.
"""

import contextlib
import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from shared.adapters import chance
from shared.adapters.environment import whole

ROOT = Path(__file__).resolve().parents[2]
ACCESS_KEY = ("understudy-demo", "understudy-demo-secret")
AGENT_KEY = ("understudy-agent", "understudy-agent-secret")
"""Of the RAM user that has the agents' policy and nothing else."""
OTS_INSTANCE = "understudy"
BALANCER_PORT = 8000
PREFIX = "understudy-"  # of the functions' names in s.yaml
WEBHOOK_SECRET = "demo-webhook-secret"  # noqa: S105 - guards nothing but the local demo


COARSE_TICKS = {  # rarer than what s.yaml deploys by default: a week of ticks must fit in seconds
    "UNDERSTUDY_SCHEDULE_TICK": "0 */30 * * * *",
    "UNDERSTUDY_BACKUP_TICK": "@every 60m",
    "UNDERSTUDY_RECOVER_TICK": "@every 60m",
    "UNDERSTUDY_PRUNE_TICK": "0 30 */4 * * *",
}
FUNCTION_ENVIRONMENT = {  # what differs from a deployment; the emulator puts its address in place of {url}
    "UNDERSTUDY_ENDPOINT": "{url}",
    "UNDERSTUDY_OTS_ENDPOINT": "{url}",
    "UNDERSTUDY_CLOCK": "{url}/_emulator/clock",
    "UNDERSTUDY_RESOLVERS": "{dns}",
    "UNDERSTUDY_WEBHOOK_SECRET": WEBHOOK_SECRET,
}


ENDS_WITHIN = 3.0  # seconds for a polite end
DYING = 0.5


NETWORKS_TRIED = 5
TAKEN = "another emulator uses the same network"


class NoNetwork(Exception):
    """This system has no loopback network for the demo's machines; the message says what is missing."""


class CloudDied(Exception):
    """The local cloud ended or stopped answering; the message carries the end of its log."""


def free_network() -> int:
    """A second octet whose loopback networks are free, so that two demos can run side by side.

    Raises NoNetwork where the system has no whole 127.0.0.0/8 (anything but Linux).
    """
    start = 32 + os.getpid() % 80 * 2
    nets: list[int] = [*range(start, 192, 2), *range(32, start, 2)]
    for net in nets:
        with socket.socket() as probe:
            try:
                probe.bind((f"127.{net}.0.80", BALANCER_PORT))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise NoNetwork("this system has no whole 127.0.0.0/8 loopback network") from error
                continue
        return net
    raise NoNetwork("no free loopback network between 127.32 and 127.191")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    url: str
    dns: tuple[str, int]
    pid: int


class LocalCloud:
    """`with LocalCloud(workdir, net=...) as cloud:` starts it and ends it with all its children."""

    def __init__(self, workdir: Path, *, net: int, start: datetime, seed: int, agents: bool = True) -> None:
        """`agents`: one stands beside each region master; without, function `watch` may stop the masters."""
        self.workdir = workdir
        self.net = net
        self._start = start
        self._seed = seed
        self._agents = agents
        self._process: subprocess.Popen[bytes] | None = None
        self._log = workdir / "emulator.log"
        self._pledge_secret = chance.token()  # between the agents, and of the orders that watches give them
        self.at: Addresses

    def __enter__(self) -> Self:
        for others in reversed(range(NETWORKS_TRIED)):
            try:
                self._begin()
            except CloudDied as died:
                if TAKEN not in str(died) or not others:
                    raise
                self.net = free_network()  # somebody else took it between our look and the cloud's bind
            else:
                break
        return self

    def _begin(self) -> None:
        logs = self.workdir / "masters"
        logs.mkdir(parents=True, exist_ok=True)
        key, secret = ACCESS_KEY
        agent_key, agent_secret = AGENT_KEY
        settings = {
            "net": str(self.net), "root": str(ROOT), "logs": str(logs),
            "agent_key": agent_key, "agent_secret": agent_secret, "pledge_secret": self._pledge_secret,
            "without_agent": "" if self._agents else "yes", "fenced": "none" if self._agents else "i-master-*",
        }  # fmt: skip
        command = [
            sys.executable, "-m", "emulator", "serve", "--host", "127.0.0.1", "--port", "0",
            "--access-key", f"{key}:{secret}", "--ots-instance", OTS_INSTANCE,
            "--seed", str(ROOT / "understudy/demo/two-zones.yaml"),
            *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
            "--end-with", str(os.getpid()),
            "--start", self._start.isoformat(), "--rate", "0", "--random-seed", str(self._seed),
            "--fc", str(ROOT / "s.yaml"), "--fc-code", f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
            "--fc-workdir", str(self.workdir / "fc"), "--fc-key-hours", "400",
            *(part for pair in COARSE_TICKS.items() for part in ("--fc-var", "=".join(pair))),
            "--fc-var", f"UNDERSTUDY_AGENT_SECRET={self._pledge_secret}",
            *(part for pair in FUNCTION_ENVIRONMENT.items() for part in ("--fc-env", "=".join(pair))),
        ]  # fmt: skip
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, env=self._environment(),
                    start_new_session=True,
                )  # fmt: skip
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                self._process.wait(ENDS_WITHIN)
                raise self._died("it ended before it was ready")
        except BaseException:  # Ctrl-C as well: whoever never entered is never asked to leave
            self._end()
            raise
        first = json.loads(line)
        host, _, port = first["dns"].rpartition(":")
        self.at = Addresses(url=first["url"], dns=(host, int(port)), pid=int(first["pid"]))

    def _environment(self) -> dict[str, str]:
        """This process's environment without proxies: the SDKs honour HTTP_PROXY and ignore NO_PROXY."""
        kept = {name: value for name, value in whole().items() if not name.lower().endswith("_proxy")}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        ended = self._process is not None and isinstance(error, Exception) and self._has_ended()
        died = (
            self._died(f"noticed by {type(error).__name__}: {(str(error).splitlines() or [''])[0]}") if ended else None
        )
        self._end()
        if died is not None and not isinstance(error, CloudDied):
            raise died from error  # whatever failed, failed because of this

    def _has_ended(self) -> bool:
        """Also when it is just about to: a killed process closes its connections before it can be reaped."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING)
        return self._process.poll() is not None

    def _end(self) -> None:
        """With all its children: it ends them itself, and if it cannot, the kernel and its warden do."""
        process = self._process
        if process is None:
            return
        try:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(ENDS_WITHIN)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the session's stragglers, if any
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def must_live(self) -> None:
        """Raises CloudDied when the emulator's process has ended: waiting for anything is in vain then."""
        if self._process is not None and self._process.poll() is not None:
            raise self._died("noticed while waiting")

    def kill(self) -> None:
        """Chaos: end the emulator without warning."""
        if self._process is not None:
            self._process.kill()

    @property
    def operator_environment(self) -> Mapping[str, str]:
        """What an operator's shell would hold to use the CLI against this cloud."""
        return {
            **self._environment(),
            "UNDERSTUDY_REGION": "cn-hangzhou",
            "UNDERSTUDY_ENDPOINT": self.at.url,
            "UNDERSTUDY_OTS_ENDPOINT": self.at.url,
            "UNDERSTUDY_OTS_INSTANCE": OTS_INSTANCE,
            "UNDERSTUDY_CLOCK": f"{self.at.url}/_emulator/clock",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": ACCESS_KEY[0],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ACCESS_KEY[1],
            "FC_ACCOUNT_ID": "1000000000000001",
        }

    # The admin door -------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: object = None, *, patience: float = 60) -> Any:
        """Call `/_emulator/<path>`. Raises CloudDied when nothing answers, ValueError on a refusal."""
        status, content = self.http(method, f"/_emulator/{path}", body, patience=patience)
        if status >= HTTPStatus.BAD_REQUEST:
            raise ValueError(f"{method} /_emulator/{path}: {status} {content[:300]!r}")
        return json.loads(content) if content else None

    def http(self, method: str, path: str, body: object = None, *, patience: float = 60) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.at.url).netloc, timeout=patience)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            raise self._died(f"{method} {path}: {error or type(error).__name__}") from error
        except http.client.HTTPException as error:
            raise self._died(f"{method} {path}: {type(error).__name__}") from error
        finally:
            connection.close()

    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("GET", "clock")["now"])

    def jump_to(self, moment: datetime) -> None:
        self.ask("POST", "clock", {"to": moment.isoformat()}, patience=120)

    def jump(self, by: timedelta) -> None:
        self.ask("POST", "clock", {"advance": by.total_seconds()}, patience=120)

    def flow(self, rate: float) -> None:
        self.ask("POST", "clock", {"rate": rate})

    def darken(self, zone: str, dark: bool = True) -> None:
        self.ask("POST", f"zones/{zone}", {"dark": dark})

    def enable(self, function: str, trigger: str, enabled: bool) -> None:
        self.ask("POST", f"fc/{PREFIX}{function}/triggers/{trigger}", {"enable": enabled})

    def _died(self, what: str) -> CloudDied:
        end = self._process.poll() if self._process is not None and self._has_ended() else None
        state = "does not answer, though its process runs" if end is None else f"has ended, {_how(end)}"
        tail = self._log.read_text(errors="replace").splitlines()[-6:] if self._log.exists() else []
        return CloudDied(f"the local cloud {state}: {what}\n" + "\n".join(f"  | {line}" for line in tail))


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
