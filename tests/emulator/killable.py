"""Emulator processes that can be killed by the dozen: `python -m tests.emulator.killable` has everything imported and
forks one server per line it reads, so that a start costs what a start costs and not what imports cost.

Each line is a JSON list of arguments for `emulator serve`; the answer is the server's own first line. A server that
does not come up answers `{"failed": exit code}`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    url: str
    pid: int

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def kill(self) -> None:
        """Without a warning; returns when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(self.pid, 0)
                time.sleep(0.001)


class Nursery:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, *arguments: str) -> Server:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        first: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "failed" not in first, f"the server did not come up: {first}"
        return Server(url=first["url"], pid=first["pid"])


@contextmanager
def nursery() -> Iterator[Nursery]:
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Nursery(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    from emulator import __main__ as emulator
    from emulator.cloud import Cloud
    from emulator.network import hypervisor
    from emulator.persistence import world
    from emulator.pvtz import dns
    from emulator.slb import service
    from emulator.tablestore import http

    assert all((world, hypervisor, dns, service, http))
    Cloud().home.build()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended: the kernel buries them
    nurse = str(os.getpid())
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                code = emulator.main(["serve", "--log-level", "ERROR", "--end-with", nurse, *json.loads(line)])
            except BaseException:
                sys.stdout.write(json.dumps({"failed": "by an exception"}) + "\n")
                sys.stdout.flush()
                raise
            sys.stdout.write(json.dumps({"failed": code}) + "\n")
            sys.stdout.flush()
            os._exit(code)


if __name__ == "__main__":
    main()
