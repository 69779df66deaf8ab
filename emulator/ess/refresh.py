"""Instance refresh: members are replaced batch by batch, so that a share of them serves all the time.

Source: ESS API StartInstanceRefresh, DescribeInstanceRefreshes (SDK 1.13.3).
Assumptions: the desired image or configuration becomes the group's own at the start; a batch is removed before its
replacement is launched; a batch that cannot be launched ends the task as Failed, without a roll-back.
Not modelled: checkpoints, suspending, rolling back, MaxHealthyPercentage (replacements first).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from emulator.ess.activity import FAILED, ITSELF, Activity
from emulator.ess.group import DELETING, IN_SERVICE, SCALE_IN, Member, ScalingGroup
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

RUNNING: Final = "Running"
SUCCESSFUL: Final = "Successful"
ENDED_BADLY: Final = "Failed"
CANCELLED: Final = "Cancelled"
LEAST_HEALTHY: Final = 80


@dataclass(slots=True, kw_only=True, eq=False)
class Refresh:
    id: str
    group_id: str
    min_healthy: int
    skip_matching: bool
    started: datetime
    left: list[str]
    needed: int
    image_id: str = ""
    configuration_id: str = ""
    status: str = RUNNING
    finished: int = 0
    batch: int = 0
    waits: bool = False  # between two activities of its own
    to_launch: int = 0  # in place of the batch that has left
    ended: datetime | None = None
    detail: str = ""


class Refreshes:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self.tasks: dict[str, Refresh] = {}

    def running(self, group: ScalingGroup) -> Refresh | None:
        return next((one for one in self.tasks.values() if one.group_id == group.id and one.status == RUNNING), None)

    def start(
        self, group: ScalingGroup, *, image_id: str, configuration_id: str, min_healthy: int, skip_matching: bool
    ) -> Refresh:
        """Raises ApiError ScalingActivityInProgress when the group is busy or being refreshed (assumption)."""
        self._ess.scaling.activities.check_idle(group)
        if (other := self.running(group)) is not None:
            raise ApiError("ScalingActivityInProgress", f"The instance refresh {other.id} of {group.id} is running.")
        if image_id and self._ess.realm.ecs.images.visible(image_id) is None:
            raise ApiError("InvalidImageId.NotFound", f"The image {image_id} does not exist.", 404)
        if configuration_id:
            self._ess.choose(group, configuration_id)
        if image_id:
            configuration = self._ess.configuration(group.configuration_id)
            configuration.image_id, configuration.image_family = image_id, ""
        left = [one.instance_id for one in group.removable() if not (skip_matching and self._matches(group, one))]
        task = Refresh(
            id=self._ess.realm.chance.id("ir"),
            group_id=group.id,
            min_healthy=min_healthy,
            skip_matching=skip_matching,
            started=self._ess.realm.clock.now(),
            left=left,
            needed=len(left),
            image_id=image_id,
            configuration_id=configuration_id,
        )
        self.tasks[task.id] = task
        self._next(group, task)
        return task

    def _matches(self, group: ScalingGroup, member: Member) -> bool:
        """It was made of what the group would make now."""
        instance = self._ess.realm.ecs.instances.get(member.instance_id)
        configuration = self._ess.configuration(group.configuration_id)
        return instance is not None and instance.image_id == configuration.image_id

    def _next(self, group: ScalingGroup, task: Refresh) -> None:
        present = [group.members[one] for one in task.left if one in group.members]
        present = [member for member in present if member.state == IN_SERVICE]
        if not present:
            self._end(task, SUCCESSFUL)
            return
        must_stay = -(-group.total * task.min_healthy // 100)
        batch = present[: max(1, group.total - must_stay)]
        task.batch = len(batch)
        task.left = [one for one in task.left if one not in {member.instance_id for member in batch}]
        cause = f"The instance refresh {task.id} replaces {len(batch)} instances"
        self._ess.scaling.remove(group, batch, cause=cause, trigger=ITSELF, refresh_id=task.id)

    def activity_ended(self, group: ScalingGroup, activity: Activity) -> None:
        """The next step of the group's refresh, once nothing else (a parallel activity) is under way there."""
        task = self.running(group)
        if task is None:
            return
        if group.state == DELETING:
            self._end(task, CANCELLED, f"{group.id} was deleted.")
            return
        if activity.refresh_id == task.id:
            if activity.status == FAILED:
                self._end(task, ENDED_BADLY, activity.message)
                return
            task.waits = True
            task.to_launch = task.batch if activity.kind == SCALE_IN else 0
            task.finished += len(activity.created)
        if task.waits and self._ess.scaling.activities.running(group.id) is None:
            task.waits = False
            self._step(group, task)

    def _step(self, group: ScalingGroup, task: Refresh) -> None:
        if not task.to_launch:
            self._next(group, task)
            return
        cause = f"The instance refresh {task.id} launches {task.to_launch} instances"
        self._ess.scaling.scale_out(group, task.to_launch, cause=cause, trigger=ITSELF, refresh_id=task.id)

    def cancel(self, task: Refresh) -> None:
        """What is under way runs to its end."""
        self._end(task, CANCELLED)

    def _end(self, task: Refresh, status: str, detail: str = "") -> None:
        task.status, task.ended, task.detail = status, self._ess.realm.clock.now(), detail
