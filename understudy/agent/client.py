"""For masters: may I accept this command? Standard library only, so that it can be copied into any Python master.

The contract with the agent is one small file, replaced atomically:

    {"pair": "control", "site": "hz-h", "epoch": 3, "until": 8123.456, "boot": "<boot id>"}

`until` is a reading of CLOCK_BOOTTIME in seconds, which all processes of one machine share and which goes on counting
while the machine sleeps. The master compares it with that clock itself, at each command, so it depends on nobody: when
the agent is dead, stopped or cut off, nobody moves `until` forward and the master stops at that moment by itself.
`boot` is the kernel's id of this boot: after a restart the clock begins at 0 again and an old file would look valid.
A file that is missing, damaged or of another boot means: not active.

    role = RoleReader("/run/understudy/role.json")

    def command(order):
        first = role.look()
        if not first.active:
            return refuse(order, first.because)
        work(order)  # and write its accept record
        second = role.confirm(first)
        if not second.active:
            take_back(order)
            return refuse(order, second.because)
        return accept(order, second.epoch)

The second look is what counts. A process that was stopped between the two (a paused machine, a long collection, a slow
disk) would otherwise answer "accepted" long after somebody else took over.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boottime() -> float:
    """Seconds since this machine started, suspended time included; the same for all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


@dataclass(frozen=True, slots=True)
class Role:
    """What the agent last said. `until` 0: not active."""

    pair: str
    site: str
    epoch: int
    until: float
    boot: str

    def encode(self) -> bytes:
        body = {"pair": self.pair, "site": self.site, "epoch": self.epoch, "until": self.until, "boot": self.boot}
        return json.dumps(body).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "Role":
        """Raises ValueError when this is not whole."""
        try:
            body = json.loads(data)
            return cls(
                str(body["pair"]), str(body["site"]), int(body["epoch"]), float(body["until"]), str(body["boot"])
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"damaged role file: {error}") from error


@dataclass(frozen=True, slots=True)
class Look:
    """One look: `active` held at some instant not before `at` (boottime seconds)."""

    active: bool
    epoch: int
    site: str
    at: float
    until: float
    because: str


class RoleReader:
    """Reads the file anew at every look (about 20 microseconds on a tmpfs)."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Callable[[], float] = boottime,
        boot: str | None = None,
        read: Callable[[], bytes] | None = None,
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._boot = boot_id() if boot is None else boot
        self._read = self._path.read_bytes if read is None else read

    def look(self) -> Look:
        """The clock is read on both sides of the file: at the instant of the read the role stood in it, and its time
        was not yet over, since a later reading of the clock is still before the deadline."""
        before = self._clock()
        try:
            role = Role.decode(self._read())
        except OSError as error:
            return Look(False, 0, "", before, 0.0, f"no role file: {error.strerror or error}")
        except ValueError as error:
            return Look(False, 0, "", before, 0.0, str(error))
        after = self._clock()
        if role.boot != self._boot:
            return Look(False, role.epoch, role.site, before, 0.0, "the role file is of an earlier boot")
        if after < role.until:
            return Look(True, role.epoch, role.site, before, role.until, "")
        because = "the deadline has passed" if role.until > 0 else "this site is not active"
        return Look(False, role.epoch, role.site, before, role.until, because)

    def confirm(self, first: Look) -> Look:
        """The second look. Active only under the same epoch as the first."""
        second = self.look()
        if second.active and first.active and second.epoch == first.epoch:
            return second
        because = second.because or ("the epoch changed meanwhile" if first.active else first.because)
        return Look(False, second.epoch, second.site, second.at, second.until, because)

    def active_until(self) -> float:
        """The deadline in boottime seconds; 0 when this site is not active now."""
        look = self.look()
        return look.until if look.active else 0.0


def replace_file(path: Path, data: bytes) -> None:
    """Atomic for readers: they see the old content or the new one. Nothing is synced to disk: a role must not survive
    a reboot anyway."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)
