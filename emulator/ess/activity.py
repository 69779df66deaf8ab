"""Scaling activities: what a group did, is doing, or was refused to do; kept for 30 days.

Source: ESS API DescribeScalingActivities (SDK 1.13.3). A call that answers 200 has only begun one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ess.group import ATTACHED, AUTO_CREATED, ScalingGroup
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

KEPT: Final = timedelta(days=30)

IN_PROGRESS: Final = "InProgress"
SUCCESSFUL: Final = "Successful"
WARNING: Final = "Warning"  # done in part
FAILED: Final = "Failed"
REJECTED: Final = "Rejected"

BY_API: Final = "APIs"
BY_ITSELF: Final = "Ess"
BY_ALARM: Final = "Cms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Who asked: an API call (`id`: the account), an alarm task, or Auto Scaling itself (no id)."""

    kind: str
    id: str = ""


ITSELF: Final = Trigger(kind=BY_ITSELF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    code: str
    message: str
    instances: tuple[str, ...] = ()


def gone(group: ScalingGroup) -> Trouble:
    """What ends an activity whose group was deleted under it (code: assumption)."""
    return Trouble(code="InvalidScalingGroupId.NotFound", message=f"The scaling group {group.id} was deleted.")


@dataclass(slots=True, kw_only=True, eq=False)
class Activity:
    id: str
    group_id: str
    cause: str
    description: str
    trigger: Trigger
    started: datetime
    kind: str  # SCALE_OUT | SCALE_IN | "" (standby moves), for the events that it publishes
    parallel: bool = False
    ended: datetime | None = None
    status: str = IN_PROGRESS
    progress: int = 0
    message: str = ""
    asked: int = 0
    created: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    total: int = 0  # of the group when it ended
    attached: int = 0
    auto_created: int = 0
    metadata: str = ""
    cooldown: int | None = None  # seconds, of the rule that asked for it; None: the group's
    refresh_id: str = ""

    @property
    def running(self) -> bool:
        return self.status == IN_PROGRESS


class Activities:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._all: list[Activity] = []  # oldest first

    def begin(
        self,
        group: ScalingGroup,
        *,
        kind: str,
        cause: str,
        description: str,
        trigger: Trigger,
        asked: int,
        parallel: bool = False,
    ) -> Activity:
        """Raises ApiError ScalingActivityInProgress: a group does one thing at a time."""
        if not parallel:
            self.check_idle(group)
        activity = Activity(
            id=self._realm.chance.id("asa"),
            group_id=group.id,
            kind=kind,
            cause=cause,
            description=description,
            trigger=trigger,
            started=self._realm.clock.now(),
            asked=asked,
            parallel=parallel,
            message="The scaling activity is in progress.",
        )
        self._forget_old()
        self._all.append(activity)
        return activity

    def check_idle(self, group: ScalingGroup) -> None:
        running = self.running(group.id)
        if running is not None:
            raise ApiError(
                "ScalingActivityInProgress", f"The scaling activity {running.id} of {group.id} is in progress.", 400
            )

    def running(self, group_id: str) -> Activity | None:
        """The newest one that is under way."""
        return next((a for a in reversed(self._all) if a.group_id == group_id and a.running), None)

    def end(self, activity: Activity, group: ScalingGroup, *, done: int) -> None:
        """Successful, Warning (in part) or Failed, by what was done and what went wrong."""
        activity.ended = self._realm.clock.now()
        activity.progress = 100
        activity.total = group.total
        activity.attached = sum(member.creation == ATTACHED for member in group.members.values())
        activity.auto_created = sum(member.creation == AUTO_CREATED for member in group.members.values())
        if not activity.troubles:
            activity.status, activity.message = SUCCESSFUL, f"{done} instances are done."
        else:
            first = activity.troubles[0]
            activity.status = WARNING if done else FAILED
            activity.message = f"{done} of {activity.asked} instances are done. {first.code}: {first.message}"

    def reject(self, group: ScalingGroup, *, cause: str, trigger: Trigger, why: str) -> Activity:
        """What was asked for at a wrong time leaves a trace and nothing else."""
        activity = self.begin(group, kind="", cause=cause, description=why, trigger=trigger, asked=0, parallel=True)
        activity.status, activity.message, activity.progress = REJECTED, why, 0
        activity.ended = activity.started
        activity.total = group.total
        return activity

    def of_group(self, group_id: str) -> list[Activity]:
        """Newest first."""
        return [activity for activity in reversed(self._recent()) if activity.group_id == group_id]

    def named(self, ids: list[str]) -> list[Activity]:
        return [activity for activity in reversed(self._recent()) if activity.id in ids]

    def _recent(self) -> list[Activity]:
        since = self._realm.clock.now() - KEPT
        return [activity for activity in self._all if activity.running or activity.started >= since]

    def _forget_old(self) -> None:
        if len(self._all) > 4096:
            self._all = self._recent()
