"""Long-running tasks as DescribeTasks lists them: copies of images, redeployments. Whoever starts one opens it here.

Source: ECS API DescribeTasks (SDK 7.11.8).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.ecs.shelf import Shelf

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

STATES = ("Pending", "Processing", "Finished", "Failed", "Cancelled", "Deleted")


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    id: str
    action: str  # CopyImage, RedeployInstance...
    resource_id: str
    created: datetime
    status: str = "Processing"
    finished: datetime | None = None
    cancellable: bool = False
    tags: dict[str, str] = field(default_factory=dict)


class Tasks:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Task] = Shelf()

    def open(self, action: str, resource_id: str, *, cancellable: bool = False) -> Task:
        task = Task(
            id=self._ecs.chance.id("t"), action=action, resource_id=resource_id, created=self._ecs.clock.now(),
            cancellable=cancellable,
        )  # fmt: skip
        self.shelf.add(task)
        return task

    def close(self, task: Task, status: str = "Finished") -> None:
        if status not in STATES:
            raise ValueError(f"{status!r} is not one of {', '.join(STATES)}")
        task.status, task.finished = status, self._ecs.clock.now()
