"""The demo's stage without its acts: a pair at work, for an operator in a second shell, until Ctrl-C.

Its calendar is today's, so that the times an operator types and reads are those of the wall. A client sends a command
ten times a second, so that the masters' accept logs say who served.
"""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Never

from understudy.demo import act3
from understudy.demo.crowd import RESOLVES, clients
from understudy.demo.stage import WATCHES, Stage

FILE = "env"
BEFORE = timedelta(minutes=10)  # now: time stands while the stage is prepared, and only ever jumps ahead
LOOK_EVERY = timedelta(seconds=1)
OURS = ("UNDERSTUDY_", "ALIBABA_CLOUD_", "FC_ACCOUNT_ID")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")  # the SDKs honour them and know no exception for loopback


def stay(stage: Stage, folder: Path) -> Never:
    """`folder`: where the file for the second shell goes; it is there once the pair is at work. Ends by
    KeyboardInterrupt, or by CloudDied. The stage begins before now."""
    exports = folder / FILE
    exports.unlink(missing_ok=True)
    stage.prepare()
    stage.narrator.act("A pair at work, in real seconds")
    begin(stage)
    try:
        with clients(stage, (RESOLVES,)):
            folder.mkdir(parents=True, exist_ok=True)
            exports.write_text("".join(f"{line}\n" for line in shell_lines(stage)))
            stage.narrator.say(f"In a second shell:\n\n    . {exports}\n    .venv/bin/understudy status\n")
            stage.narrator.say('README.md, "A pair in five minutes", goes on from here. Ctrl-C ends it.')
            while True:
                stage.cloud.must_live()
                stage.clock.sleep(LOOK_EVERY)
    finally:
        exports.unlink(missing_ok=True)


def begin(stage: Stage) -> None:
    """Both watches at work within the next minute, and a master active."""
    stage.cloud.jump_to(stage.clock.now())
    stage.cloud.flow(1)
    for function in WATCHES:  # not sooner: they loop in real time, and no jump would find them quiet
        stage.cloud.enable(function, "every-minute", True)
    act3.wait_until_watched(stage)


def shell_lines(stage: Stage) -> list[str]:
    """What an operator's shell needs: the local cloud, its account's key, and where the masters write their logs."""
    ours = {name: value for name, value in stage.cloud.operator_environment.items() if name.startswith(OURS)}
    more = {"MASTER_LOGS": str(stage.cloud.workdir / "masters")}
    given = [f"export {name}={shlex.quote(value)}" for name, value in sorted({**ours, **more}.items())]
    return [f"unset {' '.join([*PROXIES, *map(str.lower, PROXIES)])}", *given]
