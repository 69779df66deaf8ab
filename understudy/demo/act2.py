"""Act 2, in emulated time: CloudMonitor reports a failed instance, and it is rebuilt from its image and its last point.

The host of app-h1 dies and the platform's own restart fails. Nobody tells Understudy but the event itself.
"""

import json
from datetime import datetime, timedelta

from shared.domain.decision import Decision
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.objectives import REBUILD_PHASES
from shared.ports.balancer import Health
from understudy.demo.app import filling
from understudy.demo.local_cloud import BALANCER_PORT
from understudy.demo.stage import NotInTime, Stage

LOST = InstanceId("i-app-h1")
BALANCER = LoadBalancerId("lb-apps")
PATIENCE = timedelta(minutes=40)  # emulated
STEP = timedelta(seconds=20)


def play(stage: Stage) -> None:
    before = stage.summary(stage.address(LOST))
    newest = next((point for point in stage.points.of(LOST) if point.counts), None)
    if newest is None:
        raise NotInTime(f"{LOST} has no usable restore point: there is nothing to rebuild its data from")
    stage.fill(LOST, "after-the-point", count=1, size=4096)
    failed = stage.cloud.now()
    stage.narrator.event(
        "0 s", f"[bold red]the host of {LOST} fails[/]; newest usable point: {_ago(failed - newest.taken)} old"
    )
    stage.cloud.ask("POST", f"instances/{LOST}/fail", {"recovers": False})
    replacement = _wait(stage, failed)
    if replacement is None:
        stage.promises.check("the failed instance is rebuilt", False, f"no replacement serves after {PATIENCE}")
        return
    served = stage.cloud.now()
    stage.narrator.event(_ago(served - failed), f"[bold green]{replacement.id} serves behind the load balancer[/]")
    phases = _phases(stage, replacement)
    rows = [(name, f"{seconds:,.0f} s") for name, seconds in phases.items()]
    stage.narrator.table(
        "RTO of the rebuild by phase", ("phase", "emulated"), [*rows, ("total", f"{sum(phases.values()):,.0f} s")]
    )
    _claim(stage, replacement, before)
    stage.report["act2"] = {
        "lost": LOST,
        "replacement": str(replacement.id),
        "rto_seconds": (served - failed).total_seconds(),
        "phases_seconds": phases,
        "rpo_seconds": (failed - newest.taken).total_seconds(),
    }


def _wait(stage: Stage, failed: datetime) -> Instance | None:
    """Jump on until the balancer calls a replacement healthy; None when that takes too long."""
    steps = int(PATIENCE / STEP)
    told: set[str] = set()
    with stage.narrator.progress("rebuild", steps) as bar:
        for _ in range(steps):
            stage.cloud.jump(STEP)
            bar.forward(_ago(stage.cloud.now() - failed))
            found = _replacements(stage)
            lines = {(i.created, f"created: {i.id} from image {i.image}") for i in found}
            for decision in stage.decisions.of(LOST, newest=20):
                if decision.at >= failed and (sentence := _sentence(decision)):
                    lines.add((decision.at, sentence))
            for at, line in sorted(lines):
                if line not in told:
                    told.add(line)
                    word, _, rest = line.partition(": ")
                    stage.narrator.event(_ago(at - failed), f"[bold]{word}:[/] {rest}")
            health = stage.view.balancer.health(BALANCER)
            for instance in found:
                if health.get(instance.id) is Health.NORMAL and _done(stage, instance):
                    return instance
    return None


def _sentence(decision: Decision) -> str:
    """What the story tells of a decision; the alarm's many looks at one failure would drown it."""
    if decision.event.startswith("rebuild."):
        return f"{decision.event.removeprefix('rebuild.')}: {'; '.join(decision.because)}"
    failure = next((why for why in decision.because if why.startswith("an unplanned failure")), "")
    return f"heard: {failure}" if decision.event == "alarm.followed" and failure else ""


def _replacements(stage: Stage) -> list[Instance]:
    return list(stage.view.inventory.instances(tags={"understudy:replaces": LOST}))


def _done(stage: Stage, instance: Instance) -> bool:
    operation = stage.operation(instance.tags.get("understudy:operation", ""))
    return operation is not None and operation.state == "done"


def _phases(stage: Stage, replacement: Instance) -> dict[str, float]:
    """As the operation itself measured and kept them, seconds."""
    operation = stage.operation(replacement.tags["understudy:operation"])
    phases: dict[str, float] = json.loads(operation.result["phases"]) if operation else {}
    return {phase: phases[phase] for phase in REBUILD_PHASES if phase in phases}


def _claim(stage: Stage, replacement: Instance, before: dict[str, object]) -> None:
    check = stage.promises.check
    found = _replacements(stage)
    check("one failure, one replacement", len(found) == 1, f"{len(found)} instance(s) replace {LOST}")
    old = next(iter(stage.view.inventory.instances(ids=[LOST])), None)
    check(
        "the failed one is fenced, isolated and kept",
        old is not None and old.state is InstanceState.STOPPED,
        f"{LOST} reads {old.state if old else 'gone'}",
    )
    address = replacement.private_address
    summary = stage.summary(address)
    keys = [f"genesis-{n}" for n in range(0, 64, 7)] + [
        f"hour-{n}-0" for n in range(0, stage.hours, max(1, stage.hours // 4))
    ]
    wrong = [key for key in keys if stage.guest(address, 8080, "GET", f"/records/{key}") != (200, filling(key, 65_536))]
    check(
        "it serves the bytes written before the point",
        not wrong and summary["records"] == before["records"] and summary["digest"] == before["digest"],
        f"{summary['records']} records, digest {str(summary['digest'])[:12]}..., as before the failure",
    )
    status, _ = stage.guest(address, 8080, "GET", "/records/after-the-point-0")
    check("and honestly not the bytes written after it", status == 404, f"a record written after the point: {status}")
    seen: set[str] = set()
    for _ in range(12):
        seen.add(str(stage.summary(stage.balancer(), BALANCER_PORT)["instance"]))
    members = {str(b.server): b.weight for b in stage.view.balancer.backends(BALANCER)}
    check(
        "it has its place behind the load balancer",
        str(replacement.id) in seen and members.get(str(replacement.id)) == 100 and members.get(LOST, 0) == 0,
        f"12 requests were served by {', '.join(sorted(seen))}",
    )


def _ago(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
