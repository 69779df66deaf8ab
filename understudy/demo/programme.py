"""The whole evening: three acts, a report, an exit code.

0 every promise was kept; 1 one was broken; 2 the demo cannot run here; 3 it could not be finished (the local cloud
died, something did not happen in time): nothing is claimed then. An interruption passes through as KeyboardInterrupt,
when everything that was started has been ended.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from shared.adapters.clock import SystemClock
from shared.domain.errors import DrError
from understudy.checker import Unreadable
from understudy.demo import act1, act2, act3, chaos, permissions, report, staying, ways_back
from understudy.demo.local_cloud import CloudDied, NoNetwork
from understudy.demo.losses import Loss
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.stage import START, NotInTime, Stage

UNFINISHED = 3  # exit code
PROGRAMME = """\
Two sites of one region: six machines, a load balancer, a middleware name.
The official SDKs over the wire, on a local cloud whose slow things are
slow and whose zones can fall silent."""

PROLOGUE = 3  # hours of backups that act 2 needs when act 1 is not played: with the masters' own, at two in the morning


def _acts(text: str) -> str:
    if not text or set(text) - set("123"):
        raise argparse.ArgumentTypeError(f"{text!r}: give one or more of the acts 1, 2 and 3, such as 13")
    return text


def _hours(text: str) -> int:
    hours = int(text) if text.isdecimal() else 0
    if not PROLOGUE <= hours <= act1.DAYS * 24:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of hours from {PROLOGUE} to {act1.DAYS * 24}")
    return hours


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="understudy.demo", description="The whole story on a local cloud.")
    add = parser.add_argument
    add("--acts", type=_acts, default="123", help="which acts to play, e.g. 13 (default: 123)")
    add("--hours", type=_hours, default=168, help="length of act 1 in emulated hours (default: 168)")
    add("--loss", type=Loss, choices=list(Loss), default=Loss.ZONE_SILENT,
        help="how act 3 loses the master (default: zone-silent)")  # fmt: skip
    add("--chaos", type=int, metavar="SEED", help="kill the local cloud or functions at random; the seed is printed")
    add("--report", type=Path, default=Path("reports/demo"), help="folder of demo.json and demo.html")
    add("--keep", action="store_true", help="keep the working directory with all logs")
    add("--stay", action="store_true", help="play no act: a pair at work for your own commands, until Ctrl-C")
    add("--plain", action="store_true", help="no colour, no progress bars")
    return parser.parse_args(arguments)


def run(arguments: Sequence[str]) -> int:
    chosen = options(arguments)
    console = Console(
        no_color=chosen.plain, highlight=False, emoji=False, force_terminal=False if chosen.plain else None
    )
    narrator = Narrator(console)
    narrator.title("Understudy", PROGRAMME)
    if not sys.platform.startswith("linux"):
        narrator.trouble(
            "The demo needs Linux: its machines live on loopback addresses that no other system has ready."
        )
        return 2
    workdir = Path(tempfile.mkdtemp(prefix="understudy-demo-"))
    keep = chosen.keep
    try:
        end = _guarded(chosen, narrator, workdir)
        keep = keep or end == UNFINISHED  # its message names what is in there
        return end
    except KeyboardInterrupt:
        if chosen.stay:
            narrator.say("ended, with everything that was started")
            return 0
        narrator.trouble("interrupted: everything that was started has been ended")
        raise
    finally:
        if keep:
            narrator.say(f"logs: {workdir}")
        else:
            shutil.rmtree(workdir, ignore_errors=True)


def _guarded(chosen: argparse.Namespace, narrator: Narrator, workdir: Path) -> int:
    try:
        return _play(chosen, narrator, workdir)
    except NoNetwork as error:
        narrator.trouble(f"The demo cannot run here: {error}.")
        return 2
    except (CloudDied, NotInTime, Unreadable, DrError, OSError, ValueError) as error:
        narrator.trouble(f"The demo could not be finished, so nothing is claimed.\n{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever it is: an end that nobody foresaw must not look like a verdict
        narrator.trouble("The demo broke, so nothing is claimed. This is a bug of the demo:")
        narrator.traceback(error)
    return UNFINISHED


def _play(chosen: argparse.Namespace, narrator: Narrator, workdir: Path) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    promises = Promises()
    hours = chosen.hours if "1" in chosen.acts else min(chosen.hours, PROLOGUE)
    start = clock.now() - staying.BEFORE if chosen.stay else START
    with (
        Stage.opened(workdir, narrator=narrator, promises=promises, clock=clock, hours=hours, start=start) as stage,
        chaos.loose(stage.cloud, chosen.chaos, narrator),
    ):
        if chosen.stay:
            staying.stay(stage, chosen.report)
        _story(stage, chosen)
    written = report.write(chosen.report, stage.report, promises.all)
    narrator.act("Curtain")
    for promise in promises.broken:
        narrator.promise(promise)
    kept = len(promises.all) - len(promises.broken)
    took = clock.monotonic() - began
    narrator.say(
        f"{kept} of {len(promises.all)} promises kept, in {took:.0f} s. Report: {written[1]}, {written[0].name}"
    )
    return 1 if promises.broken or not promises.all else 0


def _story(stage: Stage, chosen: argparse.Namespace) -> None:
    narrator = stage.narrator
    stage.prepare()
    before = len(stage.promises.all)
    if "1" in chosen.acts or "2" in chosen.acts:
        week = "Seven days" if stage.hours == act1.DAYS * 24 else f"{stage.hours} hours"
        name = "Act 1  " if "1" in chosen.acts else "For act 2 to restore from: "
        narrator.act(f"{name}{week} of backups, in emulated time")
        act1.play(stage, stage.hours)
        before = _judge(stage, before)
    if "2" in chosen.acts:
        narrator.act("Act 2  An instance fails and is rebuilt, in emulated time")
        act2.play(stage)
        before = _judge(stage, before)
        narrator.act("Meanwhile  A disk is rolled back, and three instances are made of an image")
        ways_back.play(stage)
        before = _judge(stage, before)
    if "3" in chosen.acts:
        narrator.act("Act 3  An IDC is lost, in real seconds")
        act3.tell(stage, act3.play(stage, chosen.loss))
        _judge(stage, before)
    # What each role was allowed and denied: shows that the deployed policies are wide enough, and what they never need.
    stage.report["permissions"] = permissions.summed(stage.cloud.ask("GET", "ram")["exercised"])


def _judge(stage: Stage, since: int) -> int:
    stage.narrator.gap()
    for promise in stage.promises.all[since:]:
        stage.narrator.promise(promise)
    return len(stage.promises.all)
