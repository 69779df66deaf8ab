"""`python -m understudy.demo`: three acts, a report, an exit code.

Exit codes: 0 every promise was kept; 1 one was broken; 2 the demo could not run here; 3 it could not be finished (the
local cloud died, something did not happen in time): nothing is claimed then; 130 interrupted.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from rich.console import Console

from shared.adapters.clock import SystemClock
from shared.domain.errors import DrError
from understudy.demo import act1, act2, act3, chaos, report
from understudy.demo.local_cloud import CloudDied, NoNetwork
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.stage import NotInTime, Stage

PROGRAMME = """\
Two sites of one region, six machines, one load balancer, one middleware name.
Real SDKs over the wire, on a local cloud whose slow things are slow and whose zones can fall silent."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="understudy.demo", description="The whole story on a local cloud.")
    parser.add_argument("--acts", default="123", help="which acts to play, e.g. 13 (default: 123)")
    parser.add_argument("--hours", type=int, default=168, help="length of act 1 in emulated hours (default: 168)")
    parser.add_argument(
        "--loss",
        type=act3.Loss,
        choices=list(act3.Loss),
        default=act3.Loss.ZONE_SILENT,
        help="how act 3 loses the master",
    )
    parser.add_argument(
        "--chaos", type=int, metavar="SEED", help="kill the local cloud or functions at random; the seed is printed"
    )
    parser.add_argument("--report", type=Path, default=Path("reports/demo"), help="folder of demo.json and demo.html")
    parser.add_argument("--keep", action="store_true", help="keep the working directory with all logs")
    parser.add_argument("--plain", action="store_true", help="no colour, no progress bars")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    console = Console(no_color=options.plain, highlight=False, force_terminal=False if options.plain else None)
    narrator = Narrator(console)
    if not sys.platform.startswith("linux"):
        narrator.trouble(
            "The demo needs Linux: its machines live on loopback addresses that no other system has ready."
        )
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    workdir = Path(tempfile.mkdtemp(prefix="understudy-demo-"))
    try:
        return _run(options, narrator, workdir)
    finally:
        if options.keep:
            narrator.say(f"logs: {workdir}")
        else:
            shutil.rmtree(workdir, ignore_errors=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, narrator: Narrator, workdir: Path) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    promises = Promises()
    try:
        with (
            Stage.opened(workdir, narrator=narrator, promises=promises, clock=clock, hours=options.hours) as stage,
            chaos.loose(stage.cloud, options.chaos, narrator),
        ):
            _story(stage, options)
    except KeyboardInterrupt:
        narrator.trouble("interrupted: everything that was started is being ended")
        return 130
    except NoNetwork as error:
        narrator.trouble(f"The demo cannot run here: {error}.")
        return 2
    except (CloudDied, NotInTime, DrError, OSError, ValueError) as error:
        narrator.trouble(f"The demo could not be finished, so nothing is claimed.\n{type(error).__name__}: {error}")
        return 3
    written = report.write(options.report, stage.report, promises.all)
    narrator.act("Curtain")
    for promise in promises.broken:
        narrator.promise(promise)
    kept = len(promises.all) - len(promises.broken)
    took = clock.monotonic() - began
    narrator.say(
        f"{kept} of {len(promises.all)} promises kept, in {took:.0f} s. Report: {written[1]}, {written[0].name}"
    )
    return 1 if promises.broken or not promises.all else 0


def _story(stage: Stage, options: argparse.Namespace) -> None:
    narrator = stage.narrator
    narrator.title("Understudy", PROGRAMME)
    stage.prepare()
    before = len(stage.promises.all)
    if "1" in options.acts:
        narrator.act("Act 1  Seven days of backups, in emulated time")
        act1.play(stage, options.hours)
        before = _judge(stage, before)
    if "2" in options.acts:
        narrator.act("Act 2  An instance fails and is rebuilt, in emulated time")
        act2.play(stage)
        before = _judge(stage, before)
    if "3" in options.acts:
        narrator.act("Act 3  An IDC is lost, in real seconds")
        act3.tell(stage, act3.play(stage, options.loss))
        _judge(stage, before)


def _judge(stage: Stage, since: int) -> int:
    for promise in stage.promises.all[since:]:
        stage.narrator.promise(promise)
    return len(stage.promises.all)


if __name__ == "__main__":
    sys.exit(main())
