"""Every interruption of a rebuild: the process dies, a call's answer is lost, applied or not, or the executor freezes
before an effect while another one finishes. All of it must end in the world of an undisturbed run: one replacement, no
orphan, no double, nothing open, nothing held.

The complete sweep over all paths takes minutes: `python -m tests.usecases.rebuild_sweep [PATH...]`.
To die before a call is to die after the one before it, and a read that is not answered is the same whether or not it
was sent; each is played once.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.ids import InstanceId
from shared.domain.operation import OperationKind
from shared.state.subjects import Subjects
from tests.usecases.backup_world import Died
from tests.usecases.rebuild_world import ALONE, AT_ONCE, IN_I, RebuildWorld
from tests.usecases.recovery_world import WEB_1, WEB_2, H
from understudy.simulation.store import InProcessStore

EFFECTS: Final = frozenset(
    [
        "put", "put_many", "update", "delete", "invoke_async", "run", "stop", "tag", "move_address", "attach", "detach",
        "set_weight", "create_from_snapshots", "associate", "unassociate", "enter_standby", "exit_standby",
        "set_maximum", "leave_alone",
    ]
)  # fmt: skip
Build = Callable[[], tuple[RebuildWorld, InstanceId]]


def keeps_everything() -> tuple[RebuildWorld, InstanceId]:
    """Address, disks, public address, balancer: all of it moves."""
    world = RebuildWorld(stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    world.give_public_address(WEB_1)
    return world, WEB_1


def elsewhere() -> tuple[RebuildWorld, InstanceId]:
    """Its own zone has none, so it is made of its points in another one."""
    world = RebuildWorld(replace(AT_ONCE, elsewhere=(IN_I,)), stands=ALONE)
    world.write("d-web-1-data", b"in the point")
    world.take_points()
    world.cloud.ecs.set_stock(H, "ecs.g7.large", 0)
    return world, WEB_1


def vanished() -> tuple[RebuildWorld, InstanceId]:
    """The first order is accepted and comes to nothing, the second is refused, the third is had."""
    world = RebuildWorld(replace(AT_ONCE, instance_types=("ecs.g6.large", "ecs.g7.xlarge")), stands=ALONE)
    world.cloud.ecs.buying.stock.vanish(H, "ecs.g7.large")
    world.cloud.ecs.set_stock(H, "ecs.g6.large", 0)
    return world, WEB_1


def in_a_group() -> tuple[RebuildWorld, InstanceId]:
    """Its group is full and at its minimum. The tick has seen it there."""
    world = RebuildWorld()
    world.run_recovery(minutes=6)
    return world, WEB_2


def full_image() -> tuple[RebuildWorld, InstanceId]:
    """Its disks move, and an image of the system disk alone is made first."""
    world = RebuildWorld(replace(AT_ONCE, image_family="full"), stands=ALONE)
    world.write("d-web-1-data", b"newest bytes")
    world.here.images.create_from_instance(WEB_1, name="full", family="full", tags={}, token="t-full")
    world.advance(minutes=60)
    return world, WEB_1


PATHS: Final[dict[str, Build]] = {
    one.__name__: one for one in (keeps_everything, elsewhere, vanished, in_a_group, full_image)
}
OURS: Final = ("store.", "functions.")
SEEDED_IMAGES: Final = ("m-web", "m-db")


@dataclass(frozen=True, kw_only=True)
class Trouble:
    at: int  # the call, counted from the loss
    name: str  # died | lost | unsent | frozen

    def arm(self, world: RebuildWorld, first: int) -> None:
        def strike(number: int, label: str, after: bool) -> None:
            if number != first + self.at or after is (self.name in ("unsent", "frozen")):
                return
            if self.name == "frozen":
                world.wire.trouble = lambda number, label, after: None
                world.run_recovery(minutes=15)
                return
            if self.name == "died":
                raise Died(label)
            raise OutcomeUnknown(label) if _is_effect(label) else Retryable(label)

        world.wire.trouble = strike


def troubles(labels: list[str], *, only_effects: bool = False) -> Iterator[Trouble]:
    """Of every call; `only_effects`: of those that change the cloud."""
    for at, label in enumerate(labels):
        effect = _is_effect(label)
        if only_effects and (not effect or label.startswith(OURS)):
            continue
        if only_effects:
            yield Trouble(at=at - 1, name="died")
        yield Trouble(at=at, name="died")
        yield Trouble(at=at, name="lost")
        if effect:
            yield Trouble(at=at, name="unsent")


def freezes(labels: list[str]) -> Iterator[Trouble]:
    """Before every effect on the cloud."""
    for at, label in enumerate(labels):
        if _is_effect(label) and not label.startswith(OURS):
            yield Trouble(at=at, name="frozen")


def play(build: Build, trouble: Trouble | None = None) -> tuple[RebuildWorld, int]:
    """The world at the end, and the number of the first call."""
    world, lost = build()
    first = len(world.wire.labels)
    if trouble is not None:
        trouble.arm(world, first)
    world.lose(lost)
    world.run_recovery(minutes=18)
    return world, first


def the_end(world: RebuildWorld) -> dict[str, Any]:
    """What stands. Addresses that the cloud chose differ from run to run, and so does what a moved old one has."""
    end = world.picture()
    kept = {"10.0.1.11", "10.0.1.12", "10.0.1.21"}
    end["instances"] = sorted(
        (name, state, zone, address if address in kept else "other", image if image in SEEDED_IMAGES else "made")
        for name, state, zone, address, image in end["instances"]
    )
    end["states"] = sorted(one.state.value for one in world.operations(OperationKind.REBUILD))
    end["outcomes"] = sorted(one.result.get("outcome", "") for one in world.operations(OperationKind.REBUILD))
    end["data"] = sorted(
        world.read(one.id, 12)
        for one in world.cloud.ecs.disks.shelf.by_id.values()
        if one.kind == "data" and one.instance_id in world.made()
    )
    end["held"] = list(Subjects(InProcessStore(world.cloud, "understudy")).held())
    group = next(iter(world.cloud.ess.groups))
    end["bounds"] = (group.min_size, group.max_size, group.desired)
    return end


def _is_effect(label: str) -> bool:
    return label.split(".")[1] in EFFECTS


def calls_of(world: RebuildWorld, first: int) -> list[str]:
    """Until it was done: what the tick asks afterwards is no part of it."""
    labels = world.wire.labels[first:]
    last = max(at for at, label in enumerate(labels) if label in ("instances.tag", "balancer.detach"))
    return labels[: last + 8]


def swept(build: Build, some: Callable[[list[str]], Iterator[Trouble]]) -> tuple[int, list[str]]:
    """How many interruptions were played, and which ended otherwise than an undisturbed run."""
    calm, first = play(build)
    wanted = the_end(calm)
    assert wanted["outcomes"] == ["replaced"], [one.result for one in calm.operations(OperationKind.REBUILD)]
    labels = calls_of(calm, first)
    count, wrong = 0, []
    for trouble in some(labels):
        count += 1
        world, _ = play(build, trouble)
        found = the_end(world)
        if found != wanted and not filled_by_its_group(found):
            differs = {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]}
            wrong.append(f"{trouble.name} call {trouble.at} {labels[trouble.at]}: {differs}")
    return count, wrong


def filled_by_its_group(end: dict[str, Any]) -> bool:
    """Nobody acted until the group had let the lost one go and launched one: then ours would be one too many."""
    serving = [state for _, state in end["groups"]["asg-web"]]
    running = [one for one in end["instances"] if one[1] == "Running"]
    return (serving, len(running)) == (["InService"], 3) and (end["open"], end["held"], end["outcomes"]) == (
        0,
        [],
        ["filled"],
    )


def everything(labels: list[str]) -> Iterator[Trouble]:
    yield from troubles(labels)
    yield from freezes(labels)


if __name__ == "__main__":
    failed = False
    for path in sys.argv[1:] or PATHS:
        played, wrongs = swept(PATHS[path], everything)
        print(f"{path}: {played} interruptions, {len(wrongs)} ended otherwise", *wrongs[:20], sep="\n  ")
        failed = failed or bool(wrongs)
    sys.exit(failed)
