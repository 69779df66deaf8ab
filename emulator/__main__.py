"""`python -m emulator serve`: a local Alibaba Cloud. The first line on stdout is JSON with its addresses."""

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from emulator import coverage
from emulator.cloud import REGIONS, Cloud
from emulator.fc.project import ProjectError
from emulator.persistence.file import DataError
from emulator.seed import SeedError
from emulator.server import Options, Server

PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)


def _pair(separator: str, text: str) -> tuple[str, str]:
    left, found, right = text.partition(separator)
    if not found or not left:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form A{separator}B")
    return left, right


def _access_key(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(":"))
    if len(parts) not in (2, 3) or not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form ID:SECRET or ID:SECRET:ACCOUNT")
    return parts


def _setting(text: str) -> tuple[str, str]:
    return _pair("=", text)


def _role(text: str) -> tuple[str, tuple[Path, ...]]:
    name, files = _pair("=", text)
    return name, tuple(_file(part) for part in files.split(","))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time such as 2026-03-02T00:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return path


def parse(arguments: Sequence[str]) -> tuple[Options, str, int | None] | None:
    """None: not to serve, but to print the coverage page."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("coverage", help="print what is modelled and what is not, as Markdown")
    serve = commands.add_parser("serve", help="serve until SIGTERM or Ctrl-C")
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="elsewhere than on loopback, whoever reaches the port rules this cloud: /_emulator/ asks for no key",
    )
    serve.add_argument("--port", type=int, default=0, help="0: a free one")
    serve.add_argument("--access-key", type=_access_key, action="append", metavar="ID:SECRET[:ACCOUNT]")
    serve.add_argument("--ots-instance", default="understudy", help="the Tablestore instance that exists")
    serve.add_argument(
        "--region", action="append", metavar="REGION", help="that exists; the first is home, the others get own ports"
    )
    serve.add_argument(
        "--ram-role", type=_role, action="append", default=[], metavar="ROLE=FILE[,FILE]", help="policies, enforced"
    )
    serve.add_argument(
        "--ram-var", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="fills @NAME@ in policies"
    )
    serve.add_argument("--seed", type=_file, help="YAML file with what stands in the cloud")
    serve.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="fills ${NAME}")
    serve.add_argument("--start", type=_moment, default=datetime(2026, 3, 2, tzinfo=UTC), help="emulated time")
    serve.add_argument("--rate", type=float, default=0.0, help="0: time stands until moved, 1: flows as real time")
    serve.add_argument("--fc", type=_file, metavar="S.YAML", help="functions and triggers")
    serve.add_argument(
        "--fc-code", default="", metavar="DIR[:DIR...]", help="code of all functions (default: of each its own)"
    )
    serve.add_argument(
        "--fc-env", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="in every function"
    )
    serve.add_argument(
        "--fc-var", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="for ${env(NAME)} in s.yaml"
    )
    serve.add_argument("--fc-workdir", type=Path)
    serve.add_argument(
        "--fc-key-hours", type=float, default=36.0, help="emulated life of the keys that functions get (default: 36)"
    )
    serve.add_argument("--data", type=Path, metavar="DIR", help="keep the world here: it survives kill -9")
    serve.add_argument("--data-fsync", action="store_true", help="and a power cut, at the price of slower writes")
    serve.add_argument("--random-seed", type=int, default=1)
    serve.add_argument("--end-with", type=int, metavar="PID", help="end when this process, our parent, ends (Linux)")
    serve.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    chosen = parser.parse_args(arguments)
    if chosen.command == "coverage":
        return None
    options = Options(
        host=chosen.host,
        port=chosen.port,
        access_keys=tuple(chosen.access_key or [("testid", "testsecret")]),
        ots_instance=chosen.ots_instance,
        ram_roles=tuple(chosen.ram_role),
        ram_vars=dict(chosen.ram_var),
        regions=tuple(dict.fromkeys(chosen.region or REGIONS)),
        seed=chosen.seed,
        settings=dict(chosen.set),
        start=chosen.start,
        rate=chosen.rate,
        random_seed=chosen.random_seed,
        data=chosen.data,
        data_fsync=chosen.data_fsync,
        fc=chosen.fc,
        fc_code=tuple(Path(part) for part in chosen.fc_code.split(os.pathsep) if part),
        fc_env=dict(chosen.fc_env),
        fc_vars=dict(chosen.fc_var),
        fc_workdir=chosen.fc_workdir,
        fc_key_lifetime=timedelta(hours=chosen.fc_key_hours),
    )
    return options, chosen.log_level, chosen.end_with


def end_with(parent: int) -> bool:
    """Have the kernel ask us to end when `parent` does, even by SIGKILL. False: it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return os.getppid() == parent


def reachable_by_others(host: str) -> bool:
    """Whether machines other than this one may reach an address; a name that is no address is taken to be so."""
    if host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


async def run(options: Options) -> None:
    """Until a signal. Raises SeedError, ProjectError, DataError."""
    if reachable_by_others(options.host):
        logger.warning(
            "serving on %s: the admin door below /_emulator/ asks for no key, so whoever reaches this port can move "
            "time, fail machines and read what was asked; use --host 127.0.0.1 unless this network is yours alone",
            options.host,
        )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(options)
    journal = server.cloud.journal
    if journal is not None:
        journal.on_failure = stop.set
    try:
        await server.start()
        first = {"url": server.url, "dns": server.dns, "pid": os.getpid(), "regions": server.endpoints}
        sys.stdout.write(json.dumps(first) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await server.stop()
    if journal is not None and journal.failure is not None:
        raise DataError(f"{options.data} could not be written ({journal.failure}); what was acknowledged is in it")


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parse(sys.argv[1:] if arguments is None else arguments)
    if chosen is None:
        sys.stdout.write(coverage.as_markdown(coverage.rows(Cloud().home)))
        return 0
    options, level, parent = chosen
    if parent is not None and not end_with(parent):
        return 1
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(run(options))
    except (SeedError, ProjectError, DataError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"emulator: cannot serve on {options.host}:{options.port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
