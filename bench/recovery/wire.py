"""One rebuild over the wire: deployed handlers in their own processes, official SDKs, real guests; calls are counted at
the emulator's door. Its time is emulated too, but guests boot in real time and this machine has a part in that, so
counts are held here and times are only told."""

import math
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bench.recovery.required import REBUILD, required
from bench.recovery.run import at
from bench.recovery.watch import CLOUD
from emulator.wire.log import Entry
from shared.usecases.recovery import rebuild_run as step
from tests.functions.deployed import deployed

READS = ("Describe", "List", "Get")
HAS = {  # nothing to stop: the platform has given it up, and left it stopped, when its time is over
    "always": 1,
    "address kept": 1,
    "each data disk that moves": 1,
    "each public address": 1,
    "each pool of no group": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTheWire:
    took: timedelta  # from the verdict to service
    changes: Counter[str]
    required: Counter[str]
    planning: int
    looks: Counter[str]
    allowed: int

    @property
    def well(self) -> bool:
        return self.changes == self.required and sum(self.looks.values()) <= self.allowed

    def line(self) -> str:
        looks = f"{sum(self.looks.values())} looks ({self.allowed} at most)"
        return (
            f"over the wire, everything kept: {self.took.total_seconds():.1f} s, {sum(self.changes.values())} changes "
            f"of {sum(self.required.values())} required, {self.planning} reads and {looks}"
        )


def is_read(one: Entry) -> bool:
    return one.action.startswith(READS) or one.code == "DryRunOperation"


def run() -> OverTheWire:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        deployed(Path(folder), patch) as site,
    ):
        site.give_public_address("i-app-1")
        done = site.ended(site.fail("i-app-1"))
        entries = site.local.run(lambda: list(site.local.cloud.requests.entries))
    verdict, planned, served = at(done, step.LOOK), at(done, step.CHOOSE), at(done, step.SERVE)
    ended = max(one.at for one in done.steps) + timedelta(seconds=1)
    mine = [one for one in entries if one.service in CLOUD and "recover" in one.caller]
    return OverTheWire(
        took=served - verdict,
        changes=Counter(one.action for one in mine if not is_read(one) and planned <= one.at <= ended),
        required=required(REBUILD, **HAS),
        planning=sum(is_read(one) and verdict - timedelta(seconds=1) <= one.at <= planned for one in mine),
        looks=Counter(one.action for one in mine if is_read(one) and planned < one.at <= served),
        allowed=math.ceil((served - verdict) / timedelta(seconds=5)),
    )
