"""Guest processes: each in a process group of its own, none of which outlives the emulator."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_BARE: Final = (sys.executable, "-I", "-S")  # no site-packages: starts in a few milliseconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One process of a group. `state` is the kernel's letter: R, S, T (stopped) ..."""

    pid: int
    state: str
    command: str


class Warden:
    """The emulator's end of `warden.py`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """At the first guest; idempotent."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [*_BARE, str(_HERE / "warden.py")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    async def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait)
        self._process = None

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


class Group:
    """One started command and everything it starts in turn."""

    def __init__(self, process: asyncio.subprocess.Process, warden: Warden) -> None:
        self._process = process
        self._warden = warden
        warden.watch(process.pid)

    @classmethod
    async def start(
        cls, command: Sequence[str], *, environment: Mapping[str, str], log: Path, warden: Warden
    ) -> "Group":
        """stdout and stderr are appended to `log`. Raises OSError when the process cannot be started at all; a command
        that does not exist shows as an early exit, with the reason in the log."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_BARE,
                str(_HERE / "launch.py"),
                str(os.getpid()),
                *command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        return cls(process, warden)

    @property
    def pid(self) -> int:
        """Of the leader, and so of the group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def leader_ended(self) -> int:
        return await self._process.wait()

    def signal(self, number: signal.Signals, *, pid: int | None = None) -> bool:
        """To the whole group, or to one process of it. False: there is no such process (any more)."""
        if pid is not None and pid not in {seen.pid for seen in self.members()}:
            return False
        try:
            if pid is None:
                os.killpg(self.pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    async def kill(self) -> None:
        """SIGKILL to all, stopped ones included, then wait until the leader is reaped and the rest is gone."""
        self.signal(signal.SIGKILL)
        await self._process.wait()
        for _ in range(100):
            if not self.alive():
                break
            await asyncio.sleep(0.01)
        self._warden.forget(self.pid)

    def alive(self) -> bool:
        return bool(self.members())

    def members(self) -> list[Seen]:
        """The living ones, read from /proc; without one (not Linux), the leader alone."""
        proc = Path("/proc")
        if not proc.is_dir():
            return [Seen(self.pid, "?", "")] if self.exit_code is None else []
        return [seen for entry in proc.iterdir() if entry.name.isdigit() and (seen := _member(entry, self.pid))]


def _member(entry: Path, group: int) -> Seen | None:
    try:
        # "pid (command) state ppid pgrp ...", where the command may hold anything, brackets included
        state, _, pgrp = (entry / "stat").read_text().rpartition(") ")[2].split()[:3]
        if int(pgrp) != group or state == "Z":  # dead and not reaped is dead
            return None
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (OSError, ValueError):  # gone between listing and reading
        return None
    return Seen(int(entry.name), state, command)
