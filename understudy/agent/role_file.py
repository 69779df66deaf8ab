"""The agent's side of the file that tells the master until when it is active."""

import fcntl
import os
from pathlib import Path

from shared.domain.errors import BadInput
from shared.domain.ids import PairName, SiteName
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

    def publish(self, grant: Grant) -> None:
        """Raises OSError when the file cannot be written: then the old deadline stands and runs out."""
        role = Role(self._pair, self._site, int(grant.epoch), grant.until, self._boot)
        replace_file(self._path, role.encode())

    def close(self) -> None:
        os.close(self._lock)
