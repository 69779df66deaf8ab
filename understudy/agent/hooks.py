"""The operator's own commands around becoming active and ceasing to be: a database to promote, a queue to drain.

    promote   after the lease is ours, before the master is told: it becomes active only when the command ended with 0
    demote    after the master was told that it is not active, before the lease is given back

Each runs once per epoch, whatever restarts of the agent lie in between, in a thread of its own: renewals go on
meanwhile. A promote command that fails gives the epoch up (so that the other site may have it); after a demote command
that failed, the lease is not given back but runs out. Both should be safe to run twice: an agent that dies between the
command's end and its note runs it again. They see UNDERSTUDY_PAIR, UNDERSTUDY_SITE and UNDERSTUDY_EPOCH.
"""

import json
import logging
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from shared.adapters import environment
from shared.domain.errors import BadInput
from shared.domain.ids import Epoch
from understudy.agent.client import replace_file

log = logging.getLogger("understudy.agent")

Name = Literal["promote", "demote"]
LONGEST: Final = timedelta(seconds=60)


class Hooks:
    def __init__(
        self,
        *,
        promote: str | None,
        demote: str | None,
        timeout: timedelta,
        memory: Path,
        names: Mapping[str, str],
    ) -> None:
        """`memory`: a file that keeps for which epochs they have run; it need not outlive a boot. `names`: pair and
        site, for the commands' environment. Raises BadInput."""
        self._commands: dict[Name, list[str]] = {}
        given: tuple[tuple[Name, str | None], ...] = (("promote", promote), ("demote", demote))
        for name, command in given:
            if command is not None:
                self._commands[name] = _words(name, command)
        self._timeout, self._memory, self._names = timeout, memory, dict(names)
        self._done: dict[str, int] = _recalled(memory)
        self._failed: dict[str, int] = {}
        self._running: threading.Thread | None = None
        self._lock = threading.Lock()
        self.trouble = ""
        self.on_end: Callable[[], object] = lambda: None
        self.on_failed_promotion: Callable[[str], object] = lambda _: None

    def prepared(self, epoch: Epoch) -> bool:
        """Whether the promote command has ended well for this epoch; starts it when it has not been started."""
        return self._has_run("promote", epoch)

    def retired(self, epoch: Epoch) -> bool:
        return self._has_run("demote", epoch)

    def _has_run(self, name: Name, epoch: Epoch) -> bool:
        with self._lock:
            if name not in self._commands or self._done.get(name, 0) >= epoch:
                return True
            if self._running is None and self._failed.get(name, 0) < epoch:
                # One at a time: a demotion during a promotion waits for the promote command to end.
                self._running = threading.Thread(target=self._run, args=(name, epoch), name=name, daemon=True)
                self._running.start()
            return False

    def _run(self, name: Name, epoch: Epoch) -> None:
        failed = ""
        try:
            subprocess.run(
                self._commands[name],
                env={**environment.whole(), **self._names, "UNDERSTUDY_EPOCH": str(int(epoch))},
                stdin=subprocess.DEVNULL,
                timeout=self._timeout.total_seconds(),
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            failed = f"the {name} hook for epoch {epoch} failed: {error}"
        with self._lock:
            self._running = None
            if failed:
                self._failed[name] = int(epoch)
            else:
                self._done[name] = int(epoch)
                self._note()
            self.trouble = failed
        if failed:
            log.error("agent.hook_failed", extra={"because": failed})
            if name == "promote":
                self.on_failed_promotion(failed)
        self.on_end()

    def _note(self) -> None:
        try:
            replace_file(self._memory, json.dumps(self._done).encode())
        except OSError as error:
            log.warning("agent.hook_not_noted", extra={"because": str(error)})


def _words(name: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--{name}-hook: {error}") from error
    if not words:
        raise BadInput(f"--{name}-hook is empty: leave it out")
    return words


def _recalled(memory: Path) -> dict[str, int]:
    try:
        kept = json.loads(memory.read_bytes())
        return {str(name): int(epoch) for name, epoch in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
