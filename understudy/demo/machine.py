"""The demo machine's init: a region master and its agent as two services, neither the other's child.

So each can be killed or stopped alone, as on a real machine: a dead agent leaves a master that stops by itself when the
deadline in its role file passes, a dead master leaves an agent that gives the lease back. Both end with this process.

Not modelled: what systemd would do next. Nothing is started again here, and the master is not bound to its agent
(docs/agent.md), which would stop it sooner than its deadline does.

Environment: that of a guest (GUEST_BIND, GUEST_INSTANCE), and what master and agent need; with MACHINE_WITHOUT_AGENT
there is none, and the master serves whoever is led to it.
"""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from shared.adapters import environment
from understudy.demo.master import AGENT_PID, PORT, ROLE_FILE

AGENT_PORT: Final = 7001
LOOK_EVERY: Final = 0.2  # seconds between looks at who has ended
ENDS_WITHIN: Final = 2.0  # seconds for a polite end


def agent_command(role_file: Path, bind: str) -> list[str]:
    options = ["--role-file", str(role_file), "--bind", bind, "--port", str(AGENT_PORT), "--master", f"{bind}:{PORT}"]
    return [sys.executable, "-m", "understudy.agent", *options, "--with-parent"]


def cloud_calendar() -> dict[str, str]:
    """What an agent tells is read beside what the functions tell: on the local cloud both have its calendar."""
    gateway = environment.variable("GUEST_GATEWAY")
    return {"UNDERSTUDY_CLOCK": f"{gateway}/_emulator/clock"} if gateway else {}


def master_command() -> list[str]:
    return [sys.executable, "-m", "understudy.demo.master", "--with-parent"]


class Services:
    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str], given: Mapping[str, str] | None = None) -> int:
        service = subprocess.Popen(command, env={**environment.whole(), **(given or {})})
        self._running.append(service)
        return service.pid

    def look(self) -> None:
        """Reap who has ended: a dead process that nobody waits for looks alive to others."""
        for service in self._running:
            service.poll()

    def end(self) -> None:
        for service in self._running:
            service.terminate()
        for service in self._running:
            try:
                service.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def main() -> int:
    bind = environment.require("GUEST_BIND", "it is set for every guest process by its hypervisor")
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    services = Services()
    # Of this boot alone: a role file found from an earlier one would only be one more thing to distrust.
    with tempfile.TemporaryDirectory(prefix=f"{bind}-") as folder:
        role_file = Path(folder) / "role.json"
        try:
            if environment.variable("MACHINE_WITHOUT_AGENT"):
                services.start(master_command())
            else:
                agent = services.start(agent_command(role_file, bind), cloud_calendar())
                services.start(master_command(), {ROLE_FILE: str(role_file), AGENT_PID: str(agent)})
            while not ended.wait(LOOK_EVERY):
                services.look()
        finally:
            services.end()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
