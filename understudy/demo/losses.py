"""The ways in which act 3, or a bench, changes the active master, and how each is done to the local cloud."""

import contextlib
import os
import signal
from datetime import UTC
from enum import StrEnum
from typing import Final

from understudy.demo.stage import Stage

ACTIVE_ZONE: Final = "cn-hangzhou-h"
OLD: Final = "i-master-h"


class Loss(StrEnum):
    ZONE_SILENT = "zone-silent"
    HOST_KILLED = "host-killed"  # the machine stops dead, and its address is silent
    MASTER_KILLED = "master-killed"  # its agent lives, sees it and gives the lease back
    AGENT_KILLED = "agent-killed"
    AGENT_STOPPED = "agent-stopped"
    BOTH_STOPPED = "both-stopped"  # agent and master stopped, and continued after the take-over
    SWITCHOVER = "switchover"  # no loss: an operator's order, carried out by the watches


DEAD: Final = frozenset({Loss.HOST_KILLED, Loss.MASTER_KILLED})
"""They leave no old master: nobody is there who could refuse, or accept."""
OF_AGENTS: Final = frozenset({Loss.AGENT_KILLED, Loss.AGENT_STOPPED, Loss.BOTH_STOPPED})
WORDS: Final = {
    Loss.ZONE_SILENT: "zone H falls silent: nothing gets in or out, nothing is refused",
    Loss.HOST_KILLED: "the active master's host dies: its address is silent",
    Loss.MASTER_KILLED: "the active master's process is killed; its agent lives",
    Loss.AGENT_KILLED: "the active master's agent is killed",
    Loss.AGENT_STOPPED: "the active master's agent is stopped (SIGSTOP)",
    Loss.BOTH_STOPPED: "agent and master of the active site are stopped (SIGSTOP)",
    Loss.SWITCHOVER: "an operator orders a switchover",
}


class Cause:
    """The loss itself. `undo` lets what was stopped run again: the most dangerous moment of all."""

    def __init__(self, stage: Stage, loss: Loss) -> None:
        """Nothing is lost before `strike`."""
        self.loss, self._stage = loss, stage
        self._stopped: tuple[int, ...] = ()
        status = stage.master_status(OLD)
        self._master, self._agent = int(status["pid"]), int(status["agent_pid"] or 0)
        assert self._agent or loss not in OF_AGENTS, "there is no agent to lose"

    def strike(self) -> None:
        match self.loss:
            case Loss.ZONE_SILENT:
                self._stage.cloud.darken(ACTIVE_ZONE)
            case Loss.HOST_KILLED:
                self._stage.cloud.ask("POST", f"instances/{OLD}/fail", {"recovers": False})
            case Loss.MASTER_KILLED:
                os.kill(self._master, signal.SIGKILL)
            case Loss.AGENT_KILLED:
                os.kill(self._agent, signal.SIGKILL)
            case Loss.AGENT_STOPPED:
                self._stop(self._agent)
            case Loss.BOTH_STOPPED:
                self._stop(self._agent, self._master)
            case Loss.SWITCHOVER:
                self._order()

    @property
    def undoable(self) -> bool:
        return bool(self._stopped)

    def undo(self) -> None:
        for pid in reversed(self._stopped):  # the master first: its agent has not yet told it that it lost
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = ()

    def _stop(self, *pids: int) -> None:
        self._stopped = pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def _order(self) -> None:
        """As `understudy switchover PAIR --confirm PAIR` does, without the start of the CLI."""
        pair = self._stage.policy.pairs[0].name
        at = f"{self._stage.cloud.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        order = {"command": "switchover", "pair": pair, "at": at, "confirm": pair, "because": "act 3"}
        self._stage.invoke("command", order)
