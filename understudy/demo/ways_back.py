"""Between the acts, in emulated time: a disk is rolled back and that is undone; three instances are made of one image.

Each is asked for as an operator does: shown first, then confirmed by the token of what was shown.
"""

import json
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from shared.domain.ids import InstanceId
from shared.domain.inventory import ImageState
from shared.domain.objectives import LAUNCH_PHASES, RESTORE_PHASES
from shared.domain.operation import Operation, OperationKind, OperationState
from understudy.demo.act2 import BALANCER
from understudy.demo.local_cloud import BALANCER_PORT
from understudy.demo.stage import NotInTime, Stage

SPOILT: Final = InstanceId("i-app-i1")
DISK: Final = "d-app-i1-data"
MODEL: Final = InstanceId("i-app-i2")
FAMILY, CALLED, AMOUNT = "app-copy", "copy", 3
STEP: Final = timedelta(seconds=20)
STEPS: Final = 90
WEIGHT: Final = 100  # of each server behind the demo's load balancer
ORDER: Final = [
    "SetBackendServers",
    "StopInstance",
    "CreateSnapshot",
    "ResetDisk",
    "StartInstance",
    "SetBackendServers",
]


def play(stage: Stage) -> None:
    stage.report["ways_back"] = {"rollback": _roll_back_and_undo(stage), "launch": _make_three(stage)}


def _roll_back_and_undo(stage: Stage) -> dict[str, Any]:
    before = stage.summary(stage.address(SPOILT))
    stage.fill(SPOILT, "mistake", count=3, size=65_536)
    spoilt = stage.summary(stage.address(SPOILT))
    stage.narrator.say(f"[dim]$ understudy rollback {SPOILT} --disk {DISK}[/]")
    began = stage.cloud.now()
    done = _confirmed(stage, "rollback", instance=SPOILT, disks=[DISK])
    back = stage.summary(stage.address(SPOILT))
    status, _ = stage.guest(stage.address(SPOILT), 8080, "GET", "/records/mistake-0")
    weight, serves, order = _weight(stage), _served_by(stage), _effects(stage, began)
    stage.narrator.say(f"[dim]$ understudy undo-rollback {done.id}[/]")
    undone = _confirmed(stage, "undo_rollback", operation=str(done.id))
    again = stage.summary(stage.address(SPOILT))
    phases = {"rollback": _phases(done), "undo": _phases(undone)}
    rows = [(name, *(f"{one.get(name, 0):,.0f} s" for one in phases.values())) for name in RESTORE_PHASES]
    totals = [f"{sum(one.values()):,.0f} s" for one in phases.values()]
    stage.narrator.table("RTO of both by phase", ("phase", "rollback", "undo"), [*rows, ("total", *totals)])
    stage.narrator.gap()

    check = stage.promises.check
    check(
        "a rollback brings exactly the point's bytes back",
        _content(back) == _content(before) != _content(spoilt) and status == 404,
        f"{back['records']} records, digest {str(back['digest'])[:12]}..., as at the point; a later record: {status}",
    )
    check(
        "drained before it stopped, secured before it was changed, served again last",
        order == ORDER and weight == WEIGHT and str(SPOILT) in serves,
        f"by the cloud's own log: {', '.join(order)}; weight {weight} again",
    )
    check(
        "and the undo brings back what the rollback had taken",
        _content(again) == _content(spoilt),
        f"{again['records']} records, digest {str(again['digest'])[:12]}..., as before the rollback",
    )
    return {"instance": SPOILT, "phases_seconds": phases["rollback"], "undo_phases_seconds": phases["undo"]}


def _make_three(stage: Stage) -> dict[str, Any]:
    model = stage.summary(stage.address(MODEL))
    stage.narrator.say(f"[dim]$ understudy image {MODEL} {FAMILY}[/]")
    stage.invoke("command", {"command": "image", "instance": MODEL, "family": FAMILY, "by": "the demo"})
    _wait_for_image(stage)
    stage.narrator.say(f"[dim]$ understudy launch {CALLED} --family {FAMILY} --like {MODEL} --amount {AMOUNT}[/]")
    done = _confirmed(
        stage, "launch", called=CALLED, family=FAMILY, like=MODEL, amount=AMOUNT, port=8080, tags={"role": "copy"}
    )  # of no protection's selection: they are not backed up
    made = [str(one[0]) for one in json.loads(done.result["instances"])]
    found = [stage.summary(one.private_address) for one in stage.view.inventory.instances(ids=[*map(InstanceId, made)])]
    phases = _phases(done)
    stage.narrator.say(f"{len(found)} instances of {done.result['image']} answer after {sum(phases.values()):,.0f} s")
    stage.promises.check(
        "each of three instances of one image holds exactly its bytes",
        len(found) == AMOUNT and all(_content(one) == _content(model) for one in found),
        f"{len(found)} instances, {model['records']} records, digest {str(model['digest'])[:12]}... each",
    )
    return {"image": done.result["image"], "instances": made, "phases_seconds": phases}


def _confirmed(stage: Stage, command: str, **arguments: object) -> Operation:
    """Shown, confirmed, and done. Raises NotInTime when it is refused or takes too long."""
    asked = {"command": command, "by": "the demo", **arguments}
    shown = stage.invoke("command", asked)
    if "preview" not in shown:
        raise NotInTime(f"{command} was not shown: {shown}")
    preview = shown["preview"]
    if "point" in shown:
        stage.narrator.say(f"restore point {shown['point']}")
    for one in preview["actions"] if command != "undo_rollback" else ():  # whose steps are the rollback's
        stage.narrator.event(f"step {one['wave']}", str(one["does"]))
    stage.narrator.say(f"[dim]$ ... --confirm {preview['token']}[/]")
    answer = stage.invoke("command", {**asked, "confirm": preview["token"]})
    found: Operation | None = None
    for _ in range(STEPS):
        stage.cloud.jump(STEP)
        found = stage.operation(str(answer.get("operation", "")))
        if found is not None and found.state is not OperationState.OPEN:
            break
    if found is None or found.state is not OperationState.DONE:
        seen = answer if found is None else f"{found.state}: {found.result.get('because', 'no reason is kept')}"
        raise NotInTime(f"{command} was not done within {STEP * STEPS}: {seen}")
    return found


def _wait_for_image(stage: Stage) -> None:
    for _ in range(STEPS):
        stage.cloud.jump(STEP)
        if any(one.state is ImageState.AVAILABLE for one in stage.view.images.list(family=FAMILY)):
            return
    raise NotInTime(f"no image of {MODEL} is available after {STEP * STEPS}")


def _content(summary: dict[str, Any]) -> tuple[object, object]:
    return summary["records"], summary["digest"]


def _phases(operation: Operation) -> dict[str, float]:
    """As the operation itself measured and kept them, seconds; in the order in which they follow each other."""
    found: dict[str, float] = json.loads(operation.result["phases"])
    order = RESTORE_PHASES if operation.kind is OperationKind.RESTORE else LAUNCH_PHASES
    return {name: found[name] for name in order if name in found}


def _effects(stage: Stage, since: datetime) -> list[str]:
    """What recover changed, in the order in which it asked the cloud; a call that was repeated counts once."""
    asked = (
        one["action"]
        for one in stage.cloud.ask("GET", "requests")
        if one["caller"] == "understudy-recover" and not one["code"] and datetime.fromisoformat(one["time"]) >= since
    )
    return [action for action, _ in groupby(action for action in asked if action in ORDER)]


def _weight(stage: Stage) -> int | None:
    return next((one.weight for one in stage.view.balancer.backends(BALANCER) if one.server == SPOILT), None)


def _served_by(stage: Stage) -> set[str]:
    return {str(stage.summary(stage.balancer(), BALANCER_PORT)["instance"]) for _ in range(12)}
