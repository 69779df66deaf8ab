"""Cloud Assistant's commands that really run: `/bin/sh -c` as a process of its own beside the guest's.

Only for guests whose seed says `assistant: true`. The process has the guest's environment and nothing else, a directory
of its instance's own, and the rights of whoever started the emulator. Emulated time waits while it runs, at most for
the command's timeout in real seconds; then it is killed, and its Timeout comes by the emulated clock.
"""

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulator import deeds
from emulator.ecs.assistant import OUTPUT_BYTES, Errand
from emulator.network.guest import Guest
from emulator.network.processes import Group, Warden

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log = logging.getLogger(__name__)

IN_ITS_DIRECTORY: Final = 'cd "$1" && exec /bin/sh -c "$2"'
NOT_STARTED: Final = 127
SIGNALLED: Final = 128


class Errands:
    def __init__(self, cloud: "Cloud", warden: Warden, work_dir: Path) -> None:
        self._cloud = cloud
        self._warden = warden
        self._work_dir = work_dir
        self._ends: dict[tuple[str, str], asyncio.Event] = {}

    def end(self, invocation: str, instance: str) -> None:
        """Kill it, if it runs: whatever it would answer is not waited for any more."""
        if (ended := self._ends.get((invocation, instance))) is not None:
            ended.set()

    def kill_all(self) -> None:
        for ended in self._ends.values():
            ended.set()

    async def run(self, guest: Guest, errand: Errand) -> None:
        """From its start to its answer, or to its being killed without one."""
        key = errand.invocation_id, errand.instance_id
        unwanted = self._ends[key] = asyncio.Event()
        home = self._work_dir / f"{errand.instance_id}.commands"
        output = self._work_dir / f"{errand.instance_id}.{errand.invocation_id}.out"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        try:
            code = await self._ran(["/bin/sh", "-c", IN_ITS_DIRECTORY, "sh", str(home), errand.text], guest, errand,
                                   output, unwanted)  # fmt: skip
            text = await asyncio.to_thread(_take, output)
        finally:
            del self._ends[key]
        if code is not None:
            self._cloud.do(
                deeds.answer_command,
                account=guest.ecs.account,
                region=guest.ecs.region,
                invocation=errand.invocation_id,
                instance=errand.instance_id,
                exit_code=code,
                output=text,
            )

    async def _ran(
        self, command: list[str], guest: Guest, errand: Errand, output: Path, unwanted: asyncio.Event
    ) -> int | None:
        """Its exit code; None: it was killed."""
        try:
            group = await Group.start(command, environment=guest.environment(), log=output, warden=self._warden)
        except OSError as error:
            log.error("command.not_started %s: %s", errand.instance_id, error)
            return NOT_STARTED
        ended, asked = asyncio.create_task(group.leader_ended()), asyncio.create_task(unwanted.wait())
        try:
            await asyncio.wait({ended, asked}, timeout=errand.timeout, return_when=asyncio.FIRST_COMPLETED)
            code = ended.result() if ended.done() and not unwanted.is_set() else None
        finally:
            asked.cancel()
            if not ended.done():
                group.signal(signal.SIGKILL)
            await group.kill()
            await asyncio.gather(ended, return_exceptions=True)
        return code if code is None or code >= 0 else SIGNALLED - code


def _take(output: Path) -> str:
    """A little more than is kept, so that what is dropped shows."""
    with contextlib.suppress(FileNotFoundError):
        with output.open("rb") as file:
            text = file.read(4 * OUTPUT_BYTES).decode(errors="replace")
        output.unlink()
        return text
    return ""
