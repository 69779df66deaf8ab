"""`python -m bench watch-cost [--minutes N]`: what a round of the watch of a calm pair costs: CPU of its process,
and calls of its ports.

The watch is the deployed one, with the official SDKs, in a process of its own on the demo's topology: real masters and
agents, the local cloud over HTTP. CPU is what `getrusage` says of that process (all its threads, TLS aside: the local
cloud speaks plain HTTP), over whole minutes after a warm start. It runs beside whatever else the machine does.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from understudy.demo.local_cloud import ROOT
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.stage import Stage

SITE: Final = "hz-h"
MASTER: Final = "i-master-h"
WARM_UP: Final = timedelta(seconds=52)  # of a tick's 62 s are over when the first one begins: it looks for 10 s
REPORT: Final = ROOT / "reports" / "watch-cost.json"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench watch-cost", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--json", type=Path, default=REPORT)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # the watch's own process
    options = parser.parse_args(arguments)
    if options.inside:
        print(json.dumps(watched(options.minutes)))
        return 0
    found = measured(options.minutes)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(told(found)))
    print(f"written: {options.json}")
    return 0


def measured(minutes: int) -> dict[str, Any]:
    """Opens the stage, lets time flow, and has the watch run beside it."""
    from shared.adapters.clock import SystemClock

    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as folder:
        narrator = Narrator(Console(quiet=True))
        opened = Stage.opened(Path(folder), narrator=narrator, promises=Promises(), clock=SystemClock())
        with opened as stage:
            stage.prepare()
            stage.cloud.flow(1)
            stage.wait_for("an active master", lambda: stage.master_status(MASTER).get("active") is True, seconds=30)
            environment = {**stage.cloud.operator_environment, "UNDERSTUDY_SITE": SITE}
            command = [sys.executable, "-m", "bench", "watch-cost", "--inside", "--minutes", str(minutes)]
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "python": platform.python_version(), "machine": _machine()}


def watched(minutes: int) -> dict[str, Any]:
    """In the watch's process: its start, and whole minutes of it."""
    began = _cpu()
    from shared.wiring import foundation
    from shared.wiring.watch import watch

    clock = foundation.clock()
    clock.sync()
    one = watch()
    calls = _counted()
    one.run(clock.now() - WARM_UP, run="warm-up")
    started = _cpu() - began
    calls.clear()
    began, wall, rounds = _cpu(), time.monotonic(), 0
    for minute in range(minutes):
        rounds += one.run(None, run=f"bench-{minute}").rounds
    cpu, seconds = _cpu() - began, time.monotonic() - wall
    return {
        "rounds": rounds,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 3),
        "cpu_ms_per_round": round(cpu / rounds * 1000, 2),
        "share_of_a_core": round(cpu / seconds, 4),
        "cpu_seconds_of_start": round(started, 2),
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "calls_per_round": {name: round(count / rounds, 3) for name, count in sorted(calls.items())},
    }


def told(found: dict[str, Any]) -> list[str]:
    calls = ", ".join(f"{name} {count:g}" for name, count in found["calls_per_round"].items())
    return [
        f"{found['rounds']} rounds in {found['seconds']:g} s: {found['cpu_ms_per_round']:g} ms of CPU each, "
        f"{found['share_of_a_core']:.1%} of a core; {found['cpu_seconds_of_start']:g} s of CPU to start; "
        f"{found['memory_mib']:g} MiB",
        f"calls per round: {calls}",
    ]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _counted() -> Counter[str]:
    """Calls of the adapters' methods from now on, those that they make of each other included."""
    from shared.adapters.agents import HttpAgents
    from shared.adapters.ecs import EcsInventory
    from shared.adapters.ots import OtsStore
    from shared.adapters.pvtz import PvtzNames
    from shared.adapters.services import TcpServices
    from shared.adapters.slb import SlbBalancer

    calls: Counter[str] = Counter()

    def count(kind: type, name: str) -> None:
        method: Callable[..., Any] = getattr(kind, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[f"{kind.__name__}.{name}"] += 1
            return method(*args, **kwargs)

        setattr(kind, name, counted)

    for kind in (OtsStore, PvtzNames, HttpAgents, EcsInventory, SlbBalancer, TcpServices):
        for name, method in list(vars(kind).items()):
            if callable(method) and not name.startswith("_"):
                count(kind, name)
    return calls


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
