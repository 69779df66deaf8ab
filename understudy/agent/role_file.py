"""The agent's side of the file that tells the master until when it is active.

Beside it lies `<name>.lock`, held for as long as the agent lives. It also keeps who this agent is: an id drawn once per
boot, so that a restarted process goes on under the lease of the one before it, while a cloned machine, a rebooted one
and a second agent of the same machine each are somebody else. Keep the directory over a restart (systemd:
RuntimeDirectoryPreserve=restart), or the restarted agent must wait until its own lease has run out.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from shared.domain.errors import BadInput
from shared.domain.ids import HolderId, PairName, SiteName
from shared.domain.lease import Grant
from understudy.agent.client import Role, boot_id, replace_file


class RoleFile:
    """One agent per file: a second one on the same machine refuses to start, or two would overwrite each other."""

    def __init__(self, path: Path, *, pair: PairName, site: SiteName) -> None:
        self._path, self._pair, self._site, self._boot = path, pair, site, boot_id()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise BadInput(
                f"another agent already writes {path}: stop it first, or give this one its own --role-file"
            ) from error

    def holder(self, name: str, *, token: Callable[[], str]) -> HolderId:
        """`name` is for humans; `token` gives a text that nobody else will ever draw. Raises OSError."""
        # The file's own number: a copy of the directory on the same machine is not the same agent.
        where = os.fstat(self._lock)
        place = f"{self._boot} {where.st_dev}:{where.st_ino}"
        kept = os.pread(self._lock, 4096, 0).decode("ascii", "replace").rsplit(" ", 1)
        if len(kept) == 2 and kept[0] == place and kept[1].endswith("\n"):
            drawn = kept[1].strip()
        else:
            drawn = token()
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{place} {drawn}\n".encode("ascii"), 0)
        return HolderId(f"{name}/{drawn}")

    def publish(self, grant: Grant) -> None:
        """Raises OSError when the file cannot be written: then the old deadline stands and runs out."""
        role = Role(self._pair, self._site, int(grant.epoch), grant.until, self._boot)
        replace_file(self._path, role.encode())

    def close(self) -> None:
        os.close(self._lock)
