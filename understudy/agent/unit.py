"""`understudy agent unit`: the systemd unit of an agent, its watchdog checked against the pair's lease.

    understudy agent unit --policy understudy.yaml --instance i-master-h > /etc/systemd/system/understudy-agent.service
    understudy agent unit --lease 5 --margin 1 --renew-every 1 --instance i-master-h --bind 10.0.1.21
    understudy agent unit --policy understudy.yaml --instance i-master-h --check FILE   # still right?

What this command does not know it passes on to the agent's command line.

The watchdog has to be shorter than lease - margin: an agent whose renewing thread hangs is ended and started again
before its deadline, while it still holds the lease. And longer than the slowest step that is no fault: one wait and a
renewal with its read-back, or a read, one asking of peers and a claim with its read-back.

The master is bound to the agent (BindsTo), never the agent to the master: a master that dies must leave an agent that
gives its lease back at once, which takes two seconds instead of a whole lease.

Source: systemd.unit(5), systemd.service(5), read 2026-11. RuntimeDirectoryPreserve needs systemd 235.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId
from shared.domain.lease import Terms
from shared.domain.pledge import TIMEOUT
from understudy.agent.config import identity_in
from understudy.agent.timing import call_timeout

SPARE: Final = timedelta(milliseconds=500)  # for systemd to notice and for the next process to start renewing
NAME: Final = "understudy-agent.service"
DROP_IN: Final = f"""\
# /etc/systemd/system/MASTER.service.d/understudy.conf: no master without its agent.
# When the agent ends, systemd stops the master; when systemd starts the agent anew, it restarts the master with it.
[Unit]
BindsTo={NAME}
After={NAME}
"""
UNIT: Final = """\
# /etc/systemd/system/understudy-agent.service
# Made by `understudy agent unit` for a lease of {lease:g} s, a margin of {margin:g} s, a renewal every {every:g} s.
[Unit]
Description=Understudy agent of a region master
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=/opt/understudy/bin/python -m understudy.agent{arguments}
# UNDERSTUDY_OTS_ENDPOINT, UNDERSTUDY_OTS_INSTANCE, UNDERSTUDY_AGENT_SECRET; readable by root only.
EnvironmentFile=/etc/understudy/agent.env
# Shorter than lease - margin ({steady:g} s), longer than the slowest step that is no fault ({slowest:g} s).
WatchdogSec={watchdog}ms
WatchdogSignal=SIGKILL
# It waits for the store and for a policy for as long as that takes.
TimeoutStartSec=infinity
TimeoutStopSec=10
Restart=always
RestartSec=200ms
# What it has promised and who it is must outlive a restart, and must not outlive a boot.
RuntimeDirectory=understudy
RuntimeDirectoryPreserve=restart
NoNewPrivileges=yes
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""


def slowest_step(terms: Terms) -> timedelta:
    call = call_timeout(terms)
    return max(terms.renew_every + 2 * call, 3 * call + TIMEOUT)


def watchdog(terms: Terms) -> timedelta:
    """Raises BadInput when no watchdog fits between the slowest step and the deadline."""
    steady = terms.lease - terms.margin
    chosen, slowest = steady - SPARE, slowest_step(terms)
    if chosen < slowest:
        raise BadInput(
            f"no watchdog fits: it has to be shorter than lease - margin ({_text(steady)}) by {_text(SPARE)}, and a "
            f"step that is no fault may take {_text(slowest)}: lengthen the lease or shorten renew_every"
        )
    return chosen


def unit(terms: Terms, *, arguments: Sequence[str] = ()) -> str:
    """Raises BadInput."""
    return UNIT.format(
        lease=terms.lease.total_seconds(),
        margin=terms.margin.total_seconds(),
        every=terms.renew_every.total_seconds(),
        steady=(terms.lease - terms.margin).total_seconds(),
        slowest=slowest_step(terms).total_seconds(),
        watchdog=_milliseconds(watchdog(terms)),
        arguments="".join(f" {argument}" for argument in arguments),
    )


def check(text: str, terms: Terms) -> list[str]:
    """What of an installed unit does not fit these terms; empty when all does."""
    settings = dict(
        line.split("=", 1) for line in map(str.strip, text.splitlines()) if "=" in line and not line.startswith("#")
    )
    wrong = []
    if settings.get("Type") != "notify":
        wrong.append("Type must be notify, or the watchdog never hears the agent")
    try:
        given = _duration(settings.get("WatchdogSec", ""))
    except ValueError:
        return [*wrong, f"WatchdogSec is {settings.get('WatchdogSec')!r}: give it in ms or s"]
    longest, slowest = terms.lease - terms.margin - SPARE, slowest_step(terms)
    if not slowest <= given <= longest:
        wrong.append(f"WatchdogSec is {_text(given)}: it has to be from {_text(slowest)} to {_text(longest)}")
    if settings.get("RuntimeDirectoryPreserve") not in ("restart", "yes"):
        wrong.append("RuntimeDirectoryPreserve must be restart: a restarted agent forgets what it has promised")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Raises BadInput."""
    parser = argparse.ArgumentParser(prog="understudy agent unit", description="Print the agent's systemd unit.")
    add = parser.add_argument
    add("--policy", type=Path, help="with --instance: where the pair's terms are")
    add("--instance", help="the ECS instance of this master")
    for name in ("lease", "margin", "renew-every"):
        add(f"--{name}", type=float, metavar="SECONDS")
    add("--check", type=Path, metavar="FILE", help="print nothing; say what of this unit is wrong")
    add("--drop-in", action="store_true", help="print the drop-in of the master's unit instead")
    given, more = parser.parse_known_args(arguments)
    terms = _terms(given)
    if given.check is not None:
        wrong = check(given.check.read_text(encoding="utf-8"), terms)
        for line in wrong:
            sys.stderr.write(f"{given.check}: {line}\n")
        return 1 if wrong else 0
    if given.instance:
        more = ["--instance", given.instance, *more]
    sys.stdout.write(DROP_IN if given.drop_in else unit(terms, arguments=more))
    return 0


def _terms(given: argparse.Namespace) -> Terms:
    own = (given.lease, given.margin, given.renew_every)
    typed = None
    if all(value is not None for value in own):
        lease, margin, every = (timedelta(seconds=value) for value in own)
        typed = Terms(lease=lease, margin=margin, renew_every=every)
    elif any(value is not None for value in own):
        raise BadInput("--lease, --margin and --renew-every go together: give all three or none")
    if given.policy is None:
        if typed is None:
            raise BadInput("which lease? give --policy and --instance, or --lease, --margin and --renew-every")
        return typed
    if not given.instance:
        raise BadInput("--policy needs --instance: the terms are those of the pair which has that instance")
    from shared.config.policy_file import load

    told = identity_in(load(given.policy), InstanceId(given.instance)).terms
    if typed is not None and typed != told:
        raise BadInput(
            f"the policy says {_said(told)}, not {_said(typed)}: leave the numbers out, or change the policy"
        )
    return told


def _said(terms: Terms) -> str:
    return f"lease {_text(terms.lease)}, margin {_text(terms.margin)}, renew_every {_text(terms.renew_every)}"


def _duration(text: str) -> timedelta:
    """The two forms that our units use. Raises ValueError."""
    if text.endswith("ms"):
        return timedelta(milliseconds=float(text[:-2]))
    return timedelta(seconds=float(text.removesuffix("s")))


def _milliseconds(time: timedelta) -> int:
    return int(time / timedelta(milliseconds=1))


def _text(time: timedelta) -> str:
    return f"{time.total_seconds():g} s"
