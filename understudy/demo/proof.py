"""Act 3 proved from three sources: the masters' accept logs, recorded decisions, and the trail of the name service."""

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.state.decisions import Decisions
from understudy import checker
from understudy.cli import exporting

if TYPE_CHECKING:
    from understudy.demo.stage import Stage

AHEAD = timedelta(minutes=1)


def prove(stage: "Stage") -> checker.Proof:
    """Raises checker.Unreadable. The files stay in the demo's folder, for `understudy prove`.

    Masters read the machine's clock; their agents, functions and the cloud the emulated calendar: so the masters' one
    is put forward by the difference of the two."""
    pair, view, folder = stage.policy.pairs[0], stage.view, stage.cloud.workdir
    now = stage.cloud.now()
    behind = (now - stage.clock.now()).total_seconds()
    changes = view.trail.changes(zone=pair.name_zone, host=pair.name_host, since=None, until=now + AHEAD)
    name = f"{pair.name_host}.{pair.name_zone}".lower()
    lines = {
        "decisions.jsonl": exporting.decided(pair.name, Decisions(view.store), until=now),
        "trail.jsonl": exporting.trail(pair.name, [name], changes, since=None, until=now),
    }
    for file, exported in lines.items():
        (folder / file).write_text("".join(f"{line}\n" for line in exported))
    return checker.check(
        sorted((folder / "masters").glob("*.jsonl")),
        decisions=folder / "decisions.jsonl",
        trail=folder / "trail.jsonl",
        wall_shift=behind,
        agents_shift=0.0,
    )
