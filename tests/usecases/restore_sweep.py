"""Every interruption of every kind of restore: the process dies before or after each single call of a port, or a call's
answer is lost, applied and not applied. All of it must end in the world of an undisturbed run.

The complete sweep over all kinds takes minutes: `python -m tests.usecases.restore_sweep [KIND...]`.
To die before a call is to die after the one before it, and a read that is not answered is the same whether or not it
was sent; each is played once.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.domain.errors import DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import DiskId, ImageId, InstanceId
from shared.domain.operation import OperationKind
from shared.domain.restoring import DiskChange, Way
from shared.usecases.recovery.recovery_requests import RestoreRequest
from tests.usecases.backup_world import PLACE, Died
from tests.usecases.recovery_world import DB, WEB_1, WEB_2
from tests.usecases.restore_stage import AFTER, BEFORE, RestoreWorld

READS = frozenset(
    [
        "get",
        "scan",
        "list",
        "groups",
        "instances",
        "disks",
        "system_events",
        "of",
        "backends",
        "health",
        "memberships",
        "activity",
        "answers",
    ]
)
LENGTH = max(len(BEFORE), len(AFTER))
Ask = Callable[[RestoreWorld], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`build`: a world just before it is asked for. `ask`: may be called again. `ends`: what the disks then hold."""

    build: Callable[[], RestoreWorld]
    ask: Ask
    minutes: int = 30


@dataclass(frozen=True, kw_only=True)
class Trouble:
    at: int
    name: str  # died | lost | unsent

    def arm(self, world: RestoreWorld) -> None:
        def strike(number: int, label: str, after: bool) -> None:
            if number != self.at or after is (self.name == "unsent"):
                return
            if self.name == "died":
                raise Died(label)
            raise Retryable(label) if reads(label) else OutcomeUnknown(label)

        world.wire.trouble = strike


def reads(label: str) -> bool:
    return label.split(".")[1] in READS


def troubles(labels: list[str], first: int, *, only_effects: bool = False) -> Iterator[Trouble]:
    """Of every call from `first` on; `only_effects`: of those that change the cloud."""
    for at in range(first, len(labels)):
        label = labels[at]
        effect = not reads(label)
        if only_effects and (not effect or label.startswith(("store.", "functions."))):
            continue
        yield Trouble(at=at, name="died")
        yield Trouble(at=at, name="lost")
        if effect:
            yield Trouble(at=at, name="unsent")
        if only_effects:
            yield Trouble(at=at - 1, name="died")


def play(kind: Kind, trouble: Trouble | None = None) -> tuple[RestoreWorld, int]:
    """The world at the end, and the number of the first call."""
    world = kind.build()
    first = len(world.wire.labels)
    if trouble is not None:
        trouble.arm(world)
    try:
        kind.ask(world)
    except (Died, DrError):
        kind.ask(world)  # an operator repeats it
    world.run_recovery(minutes=kind.minutes)
    return world, first


def ending(world: RestoreWorld) -> dict[str, Any]:
    """What stands, what the disks hold, and how the operations ended."""
    ecs = world.cloud.ecs
    contents = sorted(
        (one.instance_id or "", one.device, world.read(one.id, LENGTH).rstrip(b"\0"))
        for one in ecs.disks.shelf.by_id.values()
    )
    states = [one.state.value for one in world.operations(OperationKind.RESTORE)]
    safety = [one.complete for one in world.points() if one.protection == "safety"]
    return world.picture() | {"contents": contents, "states": states, "safety": safety}


def swept(kind: Kind, *, only_effects: bool = False, part: int = 0, of: int = 1) -> tuple[int, list[str]]:
    """How many interruptions were played, and which ended otherwise than an undisturbed run. `part` of so many."""
    calm, first = play(kind)
    wanted = ending(calm)
    assert wanted["states"][-1] in ("done", "refused"), wanted["states"]
    count, wrong = 0, []
    for trouble in list(troubles(calm.wire.labels, first, only_effects=only_effects))[part::of]:
        count += 1
        world, _ = play(kind, trouble)
        found = ending(world)
        if found != wanted:
            differs = {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]}
            label = calm.wire.labels[trouble.at]
            wrong.append(f"{trouble.name} call {trouble.at - first} {label}: {differs}")
    return count, wrong


# -- the kinds -----------------------------------------------------------------------------------------------------


def _commanded(command: str, **arguments: Any) -> Ask:
    def ask(world: RestoreWorld) -> None:
        world.command(command=command, by="li", at=_moment(world), **arguments)

    return ask


def _moment(world: RestoreWorld) -> str:
    return f"{world.began_at:%Y-%m-%dT%H:%M:%SZ}"


def _built(*pointed: tuple[str, tuple[str, ...]], first: Ask | None = None, policy: Any = None) -> RestoreWorld:
    world = RestoreWorld(policy)
    for instance, disks in pointed:
        world.pointed(instance, *disks)
    if first is not None:
        world.began_at = world.clock.now()
        first(world)
        world.run_recovery(minutes=30)
        for one in world.operations(OperationKind.RESTORE):
            assert one.state.value == "done", one.result
    world.began_at = world.clock.now()
    return world


def _wished(instance: InstanceId, disk: str, way: Way, *, image: str = "") -> Ask:
    """A way that no command names by itself."""

    def ask(world: RestoreWorld) -> None:
        point = next(one for one in world.points() if one.id == "by-hand") if not image else None
        snapshot = None if point is None else dict(point.disks)[DiskId(disk)]
        request = RestoreRequest(
            place=PLACE,
            instance=instance,
            disks=(DiskChange(disk=DiskId(disk), way=way, snapshot=snapshot, image=ImageId(image) if image else None),),
            asked=world.began_at.replace(microsecond=0),
            by="li",
            confirm=instance,
        )
        world.start(request.operation(policy=world.policies.active()[0], now=world.began_at, because="asked for"))

    return ask


def _undo(world: RestoreWorld) -> None:
    first = min(world.operations(OperationKind.RESTORE), key=lambda one: one.created)
    world.command(command="undo_rollback", operation=first.id, confirm=first.subject, by="li", at=_moment(world))


DATA_1, SYSTEM_1, DATA_2, SYSTEM_2 = "d-web-1-data", "d-web-1-sys", "d-web-2-data", "d-web-2-sys"
ROLLBACK = _commanded("rollback", instance=WEB_2, disks=[DATA_2], confirm=WEB_2)


def _safety_fails() -> RestoreWorld:
    world = _built((WEB_2, (DATA_2,)))
    world.cloud.ecs.snapshots.fail_next(DATA_2, 1)
    return world


def _half_way() -> RestoreWorld:
    """Of two disks the second was refused for good; the operator was asked, and has acknowledged it."""
    world = _built((WEB_2, (SYSTEM_2, DATA_2)))
    resets: list[int] = []

    def refuse(_: int, label: str, after: bool) -> None:
        if label == "disks.reset" and not after:
            resets.append(1)
            if len(resets) == 2:
                raise Permanent(label)

    world.wire.trouble = refuse
    world.command(command="rollback", instance=WEB_2, confirm=WEB_2, by="li", at=_moment(world))
    world.run_recovery(minutes=20)
    (asked,) = world.operations(OperationKind.RESTORE)
    assert asked.state.value == "needs_operator", asked.result
    world.command(command="acknowledge", subject=asked.id, by="li")
    world.began_at = world.clock.now()
    return world


KINDS: dict[str, Kind] = {
    "rollback": Kind(build=lambda: _built((WEB_2, (DATA_2,))), ask=ROLLBACK),
    "group": Kind(
        build=lambda: _built((WEB_1, (SYSTEM_1, DATA_1))),
        ask=_commanded("rollback", instance=WEB_1, confirm=WEB_1),
    ),
    "older-disks": Kind(
        build=lambda: _built((DB, ("d-db-data",))), ask=_commanded("rollback", instance=DB, confirm=DB)
    ),
    "clone": Kind(build=lambda: _built((WEB_1, (DATA_1,))), ask=_wished(WEB_1, DATA_1, Way.CLONE)),
    "reinitialise": Kind(
        build=lambda: _built((WEB_1, (DATA_1,))),
        ask=_commanded("reinitialise", instance=WEB_1, disks=[DATA_1], confirm=WEB_1),
    ),
    "replace": Kind(
        build=lambda: _built((WEB_1, (SYSTEM_1,))),
        ask=_commanded("replace_system_disk", instance=WEB_1, disk=SYSTEM_1, image="m-db", confirm=WEB_1),
    ),
    "undo": Kind(build=lambda: _built((WEB_2, (DATA_2,)), first=ROLLBACK), ask=_undo),
    "undo-clone": Kind(build=lambda: _built((WEB_1, (DATA_1,)), first=_wished(WEB_1, DATA_1, Way.CLONE)), ask=_undo),
    "undo-replace": Kind(
        build=lambda: _built((WEB_1, (SYSTEM_1,)), first=_wished(WEB_1, SYSTEM_1, Way.REPLACE, image="m-db")), ask=_undo
    ),
    "undo-half-way": Kind(build=_half_way, ask=_undo),
    "put-back": Kind(build=_safety_fails, ask=ROLLBACK),
}


def main(names: list[str]) -> int:
    failed = 0
    for name in names or list(KINDS):
        count, wrong = swept(KINDS[name])
        print(f"{name}: {count} interruptions, {len(wrong)} ended otherwise", flush=True)
        for one in wrong:
            print(f"  {one}")
        failed += len(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
