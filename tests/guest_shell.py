"""A guest's shell for tests: the real /bin/sh, whose long sleeps last until a test ends them."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

SLEEP = """#!/bin/sh
# Short ones are the scripts' own polling; a long one is the timer, which ends when the test writes to the pipe.
case $1 in 0.*|1) exec {sleep} 0.02 ;; *) exec cat "{pipe}" ;; esac
"""


class GuestShell:
    """One guest: a directory for its files, records of its own, and a timer that fires when it is told to."""

    def __init__(self, home: Path, *, shell: str = "/bin/sh") -> None:
        self.home, self.shell = home, shell
        self.name = f"i-{uuid.uuid4().hex[:12]}"
        self._bin = home / "bin"
        self._pipe = home / "timer"
        self._bin.mkdir(parents=True)
        os.mkfifo(self._pipe)
        stub = self._bin / "sleep"
        stub.write_text(SLEEP.format(sleep=shutil.which("sleep"), pipe=self._pipe))
        stub.chmod(0o755)
        self.environment = {"PATH": f"{self._bin}:/usr/sbin:/usr/bin:/sbin:/bin", "GUEST_INSTANCE": self.name}

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """To its end; a test's own time-out tells of one that hangs."""
        return subprocess.run(
            [self.shell, "-c", script],
            cwd=self.home,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            timeout=30,
        )

    def begin(self, script: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [self.shell, "-c", script],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def fire_timer(self) -> bool:
        """Waits for the timer to be sleeping, then lets its time be over, and waits until it has acted on that: a thaw
        that comes before its claim is first, and rightly proves that the freeze held. True: the timer was first; false:
        a thaw had been, and has stopped it."""
        for _ in range(3_000):
            if self._wake_sleeper():
                break
            if any(self.records.glob("*/timer")) and not self.timer_lives():
                return False
            time.sleep(0.01)
        waiting = list(self.records.glob("*/timer"))
        for _ in range(1_000):
            waiting = [one for one in waiting if not (one.parent / "over").exists() and _lives(one)]
            if not waiting:
                break
            time.sleep(0.01)
        return any(one.read_text().split()[1:] == ["timer"] for one in self.records.glob("*/over"))

    def _wake_sleeper(self) -> bool:
        """False: nobody sleeps. It may have been killed a moment ago, so this must not wait for a reader."""
        try:
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    def timer_lives(self) -> bool:
        return any(_lives(file) for file in self.records.glob("*/timer"))

    def timer_ends(self) -> bool:
        """Waits for it: a killed process is gone a little later."""
        for _ in range(1_000):
            if not self.timer_lives():
                return True
            time.sleep(0.01)
        return False

    @property
    def log(self) -> list[str]:
        """What the user's scripts wrote down, in order."""
        file = self.home / "log"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def records(self) -> Path:
        """Where the scripts keep theirs; nothing is there before the first one."""
        found = (Path(base) / "understudy" / self.name for base in ("/run", "/dev/shm", "/tmp"))
        return next((path for path in found if path.exists()), self.home / "none")

    def close(self) -> None:
        """Nothing of it outlives the test, least of all a timer."""
        for file in self.records.glob("*/timer"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int(file.read_text()), signal.SIGKILL)
        shutil.rmtree(self.records, ignore_errors=True)


def _lives(timer: Path) -> bool:
    """One that has not written its number yet has just begun."""
    number = timer.read_text().strip()
    return not number or _is_alive(int(number))


def _is_alive(group: int) -> bool:
    """A zombie that waits to be reaped is not."""
    found = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(int(line.split()[0]) == group and "Z" not in line.split()[1] for line in found.splitlines())
