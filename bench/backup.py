"""Back a fleet up and prune it, over the wire, beside Cloud Custodian on moto: API calls, CPU, memory and wall time of
the client, in one run and with the same delay before every answer.

    python -m bench backup                          # 1,000 disks, 0 and 50 ms; needs `make peers` once
    python -m bench backup --disks 10000 --alone    # ours only: what grows with the fleet
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.processes import server

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
CODE = ROOT / "build" / "code"
KEY, SECRET = "testid", "testsecret"
DISKS_PER_INSTANCE = 2
START = "2026-03-02T00:00:00Z"

POLICY = """
version: 1
region: cn-hangzhou
time_zone: UTC
protections:
  - name: fleet
    select: {tags: {role: app}}
    schedules: [{name: hourly, hours: all}]
    keep: {last: 1}
    rpo_target: 75m
prune: {max_items: 100000, max_percent: 100}
limits: {default: 100000, fan_out: 10}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    job: str
    side: str
    items: int
    latency_ms: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    calls: int
    by_action: Mapping[str, int]

    @property
    def calls_per_item(self) -> float:
        return self.calls / self.items

    def line(self) -> str:
        return (
            f"{self.job:<7} {self.side:<10} {self.items:>7,} items {self.latency_ms:>3} ms  wall {self.wall_s:7.2f} s  "
            f"cpu {self.cpu_s:6.2f} s  peak {self.peak_mib:6.1f} MiB  {self.calls_per_item:7.4f} calls per item"
        )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench backup", description=__doc__)
    parser.add_argument("--disks", type=int, action="append", help="default: 1000")
    parser.add_argument("--latency", type=int, action="append", help="milliseconds; default: 0 and 50")
    parser.add_argument("--category", default="cloud_essd", help="cloud_efficiency: disks that no group takes")
    parser.add_argument("--alone", action="store_true", help="without Cloud Custodian")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args(arguments)
    if not given.alone and not (PEERS / "bin" / "custodian").exists():
        parser.error("Cloud Custodian and moto are not installed: run `make peers`, or give --alone")
    if not CODE.is_dir():
        sys.stderr.write("build/code is missing, so our client runs in the development environment, which is larger\n")
    every: list[Figures] = []
    for disks in given.disks or [1000]:
        for latency in given.latency or [0, 50]:
            ours = list(_ours(disks, latency, given.category))
            theirs = [] if given.alone else list(_theirs(disks, latency))
            for figures in (*ours, *theirs):
                print(figures.line(), flush=True)
                print(f"        {dict(figures.by_action)}", flush=True)
            for own, other in zip(ours, theirs, strict=False):
                print(
                    f"{own.job:<7} ours / theirs: calls {own.calls_per_item / other.calls_per_item:.3f}, "
                    f"cpu {own.cpu_s / other.cpu_s:.2f}, peak {own.peak_mib / other.peak_mib:.2f}, "
                    f"wall {own.wall_s / other.wall_s:.2f}",
                    flush=True,
                )
            every += [*ours, *theirs]
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in every], indent=2) + "\n")
    return 0


# Ours


def _ours(disks: int, latency: int, category: str) -> Iterator[Figures]:
    with tempfile.TemporaryDirectory() as folder:
        seed = Path(folder) / "seed.json"
        seed.write_text(json.dumps(_fleet(disks, category)))  # JSON is YAML, and read faster
        options = ["serve", "--port", "0", "--access-key", f"{KEY}:{SECRET}", "--ots-instance", "bench"]
        options += ["--seed", str(seed), "--start", START, "--log-level", "WARNING", "--end-with", str(os.getpid())]
        with server("-m", "emulator", *options) as url:
            environment = _environment(url)
            _apply(folder, environment)
            if latency:
                _post(url, "faults", {"kind": "slow", "seconds": latency / 1000, "real": True, "calls": 10**9})
            for round_ in range(2):  # the second gives prune the points of the first
                _post(url, "clock", {"advance": 3600})
                before = _totals(url)
                figures = _client("backup", environment)
                if round_ == 0:
                    yield _figures("backup", "ours", disks, latency, figures, before, _totals(url))
            before = _totals(url)
            figures = _client("prune", environment)
            told = figures.said
            if told["refused"] or told["stopped"]:
                raise SystemExit(f"bench: prune did not end: {told}")
            yield _figures("prune", "ours", disks, latency, figures, before, _totals(url))


def _fleet(disks: int, category: str) -> dict[str, Any]:
    instances = []
    for number in range(disks // DISKS_PER_INSTANCE):
        high, low = divmod(number, 250)
        instances.append(
            {
                "id": f"i-{number:06}", "image": "m-base", "vswitch": "vsw-h", "tags": {"role": "app"},
                "address": f"10.{high // 250}.{high % 250}.{low + 2}", "state": "Running",
                "system_disk": {"id": f"d-{number:06}-sys", "size_gib": 20, "category": category},
                "data_disks": [{"id": f"d-{number:06}-data", "size_gib": 40, "category": category}],
            }
        )  # fmt: skip
    return {
        "region": "cn-hangzhou",
        "zones": ["cn-hangzhou-h"],
        "vpc": {"id": "vpc-a", "cidr": "10.0.0.0/8"},
        "vswitches": [{"id": "vsw-h", "zone": "cn-hangzhou-h", "cidr": "10.0.0.0/8"}],
        "security_groups": [{"id": "sg-a"}],
        "images": [{"id": "m-base", "name": "base", "family": "app", "system_disk_gib": 20}],
        "instances": instances,
    }


def _environment(url: str) -> dict[str, str]:
    path = [str(CODE / "python"), str(CODE)] if CODE.is_dir() else [str(ROOT)]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join([*path, str(ROOT)]),
        "UNDERSTUDY_REGION": "cn-hangzhou",
        "UNDERSTUDY_OTS_INSTANCE": "bench",
        "UNDERSTUDY_ENDPOINT": url,
        "UNDERSTUDY_CLOCK": f"{url}/_emulator/clock",
        "FC_ACCOUNT_ID": "1000000000000001",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
    }


def _apply(folder: str, environment: Mapping[str, str]) -> None:
    """The policy, by the command that operators use; the clock then stands at the hour."""
    file = Path(folder) / "understudy.yaml"
    file.write_text(POLICY)
    command = [sys.executable, "-m", "understudy", "apply", "--file", str(file), "--accept-doubts"]
    own = {**environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: apply failed: {done.stdout}{done.stderr}")


def _totals(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/_emulator/requests/totals") as answer:
        return {name: count for name, count in json.loads(answer.read()).items() if name.startswith("ecs")}


def _post(url: str, path: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(f"{url}/_emulator/{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


# Theirs


def _theirs(disks: int, latency: int) -> Iterator[Figures]:
    python = str(PEERS / "bin" / "python")
    with _peer_server(python) as url, tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCOUNT_ID": "123456789012",
        }  # fmt: skip
        subprocess.run([python, str(ROOT / "bench" / "peers" / "fleet.py"), str(disks)], env=environment, check=True)
        for job in ("backup", "prune"):
            _get(f"{url}/_delay?seconds={latency / 1000}")
            policy = ROOT / "bench" / "peers" / f"{job}.yaml"
            command = [
                str(PEERS / "bin" / "custodian"), "run", "--cache-period", "0", "--region", "us-east-1",
                "-s", f"{folder}/{job}", str(policy),
            ]  # fmt: skip
            measured = _measured(command, environment)
            yield _figures(job, "Custodian", disks, latency, measured, {}, _get(f"{url}/_count"))


@contextmanager
def _peer_server(python: str) -> Iterator[str]:
    child = subprocess.Popen(
        [python, str(ROOT / "bench" / "peers" / "moto_server.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield str(json.loads(child.stdout.readline())["url"])
    finally:
        child.terminate()
        child.wait(10)


def _get(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url) as answer:
        found: dict[str, int] = json.loads(answer.read())
        return found


# Measuring


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    wall_s: float
    cpu_s: float
    peak_mib: float
    said: Any


def _client(job: str, environment: Mapping[str, str]) -> Measured:
    return _measured([sys.executable, "-S", "-m", "bench.backup_client", job], environment, says=True)


def _measured(command: Sequence[str], environment: Mapping[str, str], *, says: bool = False) -> Measured:
    """The whole process, from its start to its end, by what the kernel counted for it."""
    if not CODE.is_dir() and "-S" in command:
        command = [one for one in command if one != "-S"]
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=err, cwd="/")
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begin
        out.seek(0)
        err.seek(0)
        if child.returncode:
            raise SystemExit(f"bench: {' '.join(command)} ended with {child.returncode}: {err.read()[-2000:]}")
        said = json.loads(out.read().splitlines()[-1]) if says else None
    return Measured(wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, peak_mib=_mib(used), said=said)


def _mib(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024  # Linux counts in KiB


def _figures(
    job: str,
    side: str,
    items: int,
    latency: int,
    measured: Measured,
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> Figures:
    by_action = {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}
    return Figures(
        job=job,
        side=side,
        items=items,
        latency_ms=latency,
        wall_s=measured.wall_s,
        cpu_s=measured.cpu_s,
        peak_mib=measured.peak_mib,
        calls=sum(by_action.values()),
        by_action=by_action,
    )
