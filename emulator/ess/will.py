"""Auto Scaling's will of its own: what it does without being asked.

It looks at its members' health, lets go of those that do not run (also those that we stopped on purpose), and brings
every active group back to its size, booting whatever image the active configuration names. Members on standby or under
protection are left alone. Nothing is on the calendar while every group is as it should be.

Source: ESS API DescribeScalingInstances, ModifyScalingGroup, SuspendProcesses (SDK 1.13.3). Assumptions: one look a
minute, and one look at a member that does not run suffices (a reboot may be caught); after a launch that brought
nothing the next attempt is ten minutes later.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.clock import Due
from emulator.ecs.instances import Instance
from emulator.ess.activity import FAILED, ITSELF, SUCCESSFUL, WARNING, Activity
from emulator.ess.group import IN_SERVICE, SCALE_IN, SCALE_OUT, Member, ScalingGroup, chosen_for_removal

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

LOOK_EVERY: Final = timedelta(minutes=1)
NOTICING: Final = timedelta(seconds=10)
"""From a size that is wrong to the activity that mends it."""
RETRY: Final = timedelta(minutes=10)
SUSPENDED_AFTER: Final = timedelta(days=7)


class Will:
    def __init__(self, ess: "AutoScaling") -> None:
        self._ess = ess
        self._clock = ess.realm.clock
        self._looks: dict[str, Due] = {}
        self._mending: dict[str, Due] = {}

    # Health ---------------------------------------------------------------------------------------------------

    def instance_changed(self, instance: Instance, _: str, state: str) -> None:
        group = self._ess.group_of.get(instance.id)
        if group is None:
            return
        self._ess.scaling.launching.changed(instance, state)
        member = group.members.get(instance.id)
        if state != "Running" and member is not None and member.state == IN_SERVICE:
            self.look_soon(group)

    def look_soon(self, group: ScalingGroup) -> None:
        """At the next full minute since the group was made, unless that is planned already."""
        if group.id in self._looks or not group.checks_health:
            return
        now = self._clock.now()
        at = group.created + LOOK_EVERY * ((now - group.created) // LOOK_EVERY + 1)
        self._looks[group.id] = self._clock.call_at(at, lambda: self._look(group), f"ess health {group.id}")

    def _look(self, group: ScalingGroup) -> None:
        self._looks.pop(group.id, None)
        if not group.checks_health or self._ess.scaling.activities.running(group.id) is not None:
            return  # the end of an activity looks again
        sick = [member for member in group.members.values() if member.state == IN_SERVICE and not self._well(member)]
        for member in sick:
            member.healthy = False
        if sick and SCALE_IN not in group.suspended:  # marked, and removed once it is resumed
            names = ", ".join(member.instance_id for member in sick)
            self._ess.scaling.remove(
                group, sick, cause=f"Unhealthy ECS instances are replaced: {names}", trigger=ITSELF
            )

    def _well(self, member: Member) -> bool:
        instance = self._ess.realm.ecs.instances.get(member.instance_id)
        return member.healthy and instance is not None and instance.state == "Running"

    def _somebody_is_sick(self, group: ScalingGroup) -> bool:
        return any(member.state == IN_SERVICE and not self._well(member) for member in group.members.values())

    # Size -----------------------------------------------------------------------------------------------------

    def mend_soon(self, group: ScalingGroup, delay: timedelta = NOTICING) -> None:
        """Have the size put right, if it is wrong."""
        if group.id in self._mending:
            if delay > NOTICING:
                return
            self._mending.pop(group.id).cancel()
        if group.active and group.total != group.target:
            self._mending[group.id] = self._clock.call_later(delay, lambda: self.mend(group), f"ess size {group.id}")

    def mend(self, group: ScalingGroup) -> None:
        """One activity towards the wanted size, if something is wrong and nothing forbids it."""
        due = self._mending.pop(group.id, None)
        if due is not None:
            due.cancel()
        if not group.active or self._ess.scaling.activities.running(group.id) is not None:
            return
        total, target = group.total, group.target
        if total < target and SCALE_OUT not in group.suspended and not group.system_suspended:
            cause = f"The group has {total} ECS instances and needs {target}"
            self._ess.scaling.scale_out(group, target - total, cause=cause, trigger=ITSELF)
        elif total > target and SCALE_IN not in group.suspended:
            leaving = chosen_for_removal(group, total - target, self._ess.configuration_ages(group))
            if leaving:
                cause = f"The group has {total} ECS instances and needs {target}"
                self._ess.scaling.remove(group, leaving, cause=cause, trigger=ITSELF)

    # After an activity ----------------------------------------------------------------------------------------

    def activity_ended(self, group: ScalingGroup, activity: Activity) -> None:
        now = self._clock.now()
        if activity.kind and activity.status in (SUCCESSFUL, WARNING):  # nothing changed: nothing to settle down
            seconds = group.cooldown if activity.cooldown is None else activity.cooldown
            group.cooling_until = now + timedelta(seconds=seconds)
        if activity.kind == SCALE_OUT:
            self._remember_failure(group, activity)
        if not group.active:
            return
        if self._somebody_is_sick(group):
            self.look_soon(group)
        failed_to_launch = activity.kind == SCALE_OUT and activity.status == FAILED
        self.mend_soon(group, RETRY if failed_to_launch else NOTICING)

    def _remember_failure(self, group: ScalingGroup, activity: Activity) -> None:
        """Seven days without one launch that brought something suspend the group."""
        if activity.status != FAILED:
            group.failing_since = None
            return
        group.failing_since = group.failing_since or activity.started
        if self._clock.now() - group.failing_since >= SUSPENDED_AFTER:
            group.system_suspended = True

    def forget(self, group: ScalingGroup) -> None:
        """The group is disabled or deleted: nothing more happens by itself."""
        for planned in (self._looks, self._mending):
            due = planned.pop(group.id, None)
            if due is not None:
                due.cancel()

    def awaken(self, group: ScalingGroup) -> None:
        """Enabled, resumed or changed: look at everything."""
        if group.active:
            if self._somebody_is_sick(group):
                self.look_soon(group)
            self.mend_soon(group)
