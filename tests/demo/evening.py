"""The demo as a process of its own, watched from outside: what it says, how it ends, whom it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from understudy.demo.local_cloud import ROOT

PATIENCE = 120.0  # seconds for anything: a loaded machine is not a failure
Process = tuple[int, str]  # pid and start time: a number alone may be given to somebody else


def _stat(pid: int) -> list[str]:
    """From the state on: state, parent, group, session ... Empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _alive(process: Process) -> bool:
    stat = _stat(process[0])
    return bool(stat) and stat[0] not in "ZX" and stat[19] == process[1]


def _descendants(root: int) -> set[Process]:
    stats = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    family = {root}
    while more := {pid for pid, stat in stats.items() if stat and int(stat[1]) in family} - family:
        family |= more
    return {(pid, stats[pid][19]) for pid in family if stats.get(pid)}


@dataclass
class Evening:
    """One run. `family` is everybody ever seen below it."""

    process: subprocess.Popen[bytes]
    folder: Path
    family: set[Process] = field(default_factory=set)

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    @property
    def report(self) -> Path:
        return self.folder / "report"

    @property
    def scratch(self) -> Path:
        """Where it keeps its working directory while it runs."""
        return self.folder / "tmp"

    def wait_for(self, what: str, happened: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            self.family |= _descendants(self.process.pid)
            assert time.monotonic() < end, f"waited in vain for {what}; it said:\n{self.said}"
            time.sleep(0.1)

    def wait_until_said(self, text: str) -> None:
        self.wait_for(repr(text), lambda: text in self.said or self.process.poll() is not None)
        assert text in self.said, self.said

    def end(self) -> int:
        self.wait_for("its end", lambda: self.process.poll() is not None)
        return int(self.process.returncode)

    def emulator(self) -> int:
        for pid, _ in _descendants(self.process.pid):
            if b"emulator\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("the demo has no emulator")

    def wait_until_nobody_is_left(self) -> None:
        assert len(self.family) > 1, "nobody was ever seen: this would prove nothing"
        self.wait_for("everybody to be gone", lambda: not any(map(_alive, self.family)))


@contextmanager
def evening(folder: Path, *arguments: str) -> Iterator[Evening]:
    (folder / "tmp").mkdir()
    command = [sys.executable, "-m", "understudy.demo", "--plain", "--report", str(folder / "report"), *arguments]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    started = Evening(process, folder)
    try:
        yield started
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
