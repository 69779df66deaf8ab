"""The demo's region master: a guest process that accepts control commands while its site is active.

    POST /command  {"id": "..."}   200 accepted, 503 refused or withdrawn; the body names outcome, site and epoch
    GET  /status   site, active, epoch, pid, agent_pid
    GET  /health   200 while the process serves

Whether its site is active it reads in the role file that its agent writes. `understudy.demo.machine` starts both.

Every command leaves lines in the accept log, one JSON object each: `refused`, or `recorded` (the work is done and its
record written, nobody has been told yet) followed by `accepted` or `withdrawn`, which the second look decides. `at` is
boottime: at that instant, or between it and the reading of the role file just after, the site was active. `wall` is the
same instant on the wall clock, and `boot` tells machines apart whose boottimes have nothing in common.

Environment: that of a guest (GUEST_INSTANCE, GUEST_BIND), MASTER_LOG (a file) or MASTER_LOGS (a directory:
<instance>.jsonl in it), MASTER_ROLE_FILE, and MASTER_AGENT_PID, which it only passes on. Without a role file there is
no agent: see `Unattended`.
Standard library and our own agent client only, so that it is up in a fraction of a second.
"""

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Final

from shared.adapters import environment
from shared.adapters.clock import SystemClock
from shared.domain.errors import BadInput
from understudy.agent.client import Look, RoleReader, boot_id, boottime
from understudy.agent.parent import end_with_parent
from understudy.agent.serving import Handler, Server

PORT: Final = 7000
ROLE_FILE: Final = "MASTER_ROLE_FILE"
AGENT_PID: Final = "MASTER_AGENT_PID"


class AcceptLog:
    """Append-only; each line is one write, so lines of several threads do not mix."""

    def __init__(self, path: Path, instance: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._instance, self._boot, self._clock = instance, boot_id(), SystemClock()

    def write(self, outcome: str, command: str, look: Look) -> None:
        line = {
            "outcome": outcome,
            "id": command,
            "site": look.site,
            "epoch": look.epoch,
            "at": look.at,
            "wall": (self._clock.now() - timedelta(seconds=boottime() - look.at)).isoformat(),
            "boot": self._boot,
            "until": look.until,
            "instance": self._instance,
            "because": look.because,
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Unattended:
    """Instead of a role file: a master without an agent knows nothing of leases, so it accepts whatever reaches it.

    Its lines need an epoch for the checker. They carry a number of its own site, the preferred one's first: so the
    proof is that nothing was accepted at the first site after something had been at the second, which is all that
    there is to prove of one move in that direction."""

    def __init__(self, zone: str) -> None:
        site = f"hz-{zone[-1:]}"
        self._site, self._epoch = site, 1 if site == "hz-h" else 2

    def look(self) -> Look:
        now = boottime()
        return Look(active=True, epoch=self._epoch, site=self._site, at=now, until=now, because="no agent tells")

    def confirm(self, first: Look) -> Look:  # noqa: ARG002  there is nothing that it could compare with
        return self.look()


class Commands:
    """Accepts or refuses: the one place where being active matters."""

    def __init__(self, role: RoleReader | Unattended, log: AcceptLog) -> None:
        self._role, self._log = role, log

    def accept(self, command: str) -> tuple[str, Look]:
        first = self._role.look()
        if not first.active:
            self._log.write("refused", command, first)
            return "refused", first
        self._log.write("recorded", command, first)  # the work itself
        second = self._role.confirm(first)
        outcome = "accepted" if second.active else "withdrawn"
        self._log.write(outcome, command, second)
        return outcome, second


class Master(Server):
    def __init__(
        self, bind: tuple[str, int], commands: Commands, role: RoleReader | Unattended, agent_pid: int | None
    ) -> None:
        self.commands, self.role, self.agent_pid = commands, role, agent_pid
        super().__init__(bind, _Handler)


class _Handler(Handler):
    server: Master

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(HTTPStatus.OK, {"ok": True})
        elif self.path == "/status":
            look = self.server.role.look()
            self._answer(
                HTTPStatus.OK,
                {
                    "site": look.site,
                    "active": look.active,
                    "epoch": look.epoch,
                    "because": look.because,
                    "seconds_left": max(0.0, look.until - boottime()),
                    "pid": os.getpid(),
                    "agent_pid": self.server.agent_pid,
                },
            )
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there are GET /health, GET /status, POST /command"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/command":
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is POST /command"})
            return
        try:
            command = str(json.loads(body)["id"])
        except (ValueError, KeyError, TypeError):
            self._answer(HTTPStatus.BAD_REQUEST, {"error": 'a command is a JSON object such as {"id": "c-1"}'})
            return
        outcome, look = self.server.commands.accept(command)
        status = HTTPStatus.OK if outcome == "accepted" else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(
            status, {"outcome": outcome, "site": look.site, "epoch": look.epoch, "id": command, "because": look.because}
        )

    def _answer(self, status: HTTPStatus, body: Mapping[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def log_path(instance: str) -> Path:
    file, folder = environment.variable("MASTER_LOG"), environment.variable("MASTER_LOGS")
    if file:
        return Path(file)
    if folder:
        return Path(folder) / f"{instance}.jsonl"
    raise BadInput("environment: set MASTER_LOG to the accept log's path, or MASTER_LOGS to a directory for it")


def main() -> int:
    if "--with-parent" in sys.argv[1:]:
        end_with_parent()
    logging.basicConfig(level=logging.WARNING)
    remedy = "it is set for every guest process by its hypervisor"
    instance = environment.require("GUEST_INSTANCE", remedy)
    bind = environment.require("GUEST_BIND", remedy)
    log = AcceptLog(log_path(instance), instance)
    file = environment.variable(ROLE_FILE)
    role = RoleReader(Path(file)) if file else Unattended(environment.variable("GUEST_ZONE") or "")
    agent = environment.variable(AGENT_PID)
    server = Master((bind, PORT), Commands(role, log), role, int(agent) if agent else None)

    def end(_number: int, _frame: FrameType | None) -> None:
        # `shutdown` waits for the serving loop, which runs in this very thread.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
