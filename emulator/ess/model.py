"""Auto Scaling of one account in one region: its groups, what they launch, their rules, and who belongs to whom.

Source: ESS API 2022-02-22 (SDK 1.13.3). `will` acts by itself, `scaling` carries out.
Not modelled: launch templates, lifecycle hooks, scheduled and event-triggered tasks, economical mode, ECI, RDS,
spot instances, ALB and NLB server groups, warm-up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.ecs.instances import Instance
from emulator.ecs.rules import Tokens
from emulator.ecs.shelf import Shelf
from emulator.ess import notices
from emulator.ess.activity import BY_ALARM, Activity, Trigger
from emulator.ess.configuration import ScalingConfiguration
from emulator.ess.group import (
    ACTIVE,
    ALARM_NOTIFICATION,
    DELETING,
    IN_SERVICE,
    INACTIVE,
    PROCESSES,
    PROTECTED,
    SCALE_IN,
    SCALE_OUT,
    STANDBY,
    Member,
    ScalingGroup,
    chosen_for_removal,
)
from emulator.ess.refresh import Refreshes
from emulator.ess.rule import ScalingRule, wanted
from emulator.ess.scaling import Scaling
from emulator.ess.will import Will
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Realm

CONFIGURATIONS_PER_GROUP = 10
INSTANCES_PER_CALL = 20


class AutoScaling:
    def __init__(self, realm: "Realm") -> None:
        self.realm = realm
        self.tokens = Tokens()
        self.groups: Shelf[ScalingGroup] = Shelf()
        self.configurations: dict[str, ScalingConfiguration] = {}
        self.rules: dict[str, ScalingRule] = {}  # by ARI
        self.group_of: dict[str, ScalingGroup] = {}
        self.scaling = Scaling(realm, self.configurations, self.group_of, self._activity_ended)
        self.will = Will(self)
        self.refreshes = Refreshes(self)
        self._listening = False

    # Finding --------------------------------------------------------------------------------------------------

    def group(self, id: str) -> ScalingGroup:
        found = self.groups.get(id)
        if found is None:
            raise ApiError("InvalidScalingGroupId.NotFound", f"The scaling group {id} does not exist.", 404)
        return found

    def active_group(self, id: str) -> ScalingGroup:
        found = self.group(id)
        if not found.active:
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {id} is {found.state}, not Active.")
        return found

    def configuration(self, id: str) -> ScalingConfiguration:
        found = self.configurations.get(id)
        if found is None:
            raise ApiError(
                "InvalidScalingConfigurationId.NotFound", f"The scaling configuration {id} does not exist.", 404
            )
        return found

    def rule(self, ari: str) -> ScalingRule:
        found = self.rules.get(ari)
        if found is None:
            raise ApiError("InvalidScalingRuleAri.NotFound", f"The scaling rule {ari} does not exist.", 404)
        return found

    def members(self, group: ScalingGroup, ids: Sequence[str]) -> list[Member]:
        """Raises ApiError InvalidInstanceId.NotFound when one of them is not in the group."""
        for instance_id in ids:
            if instance_id not in group.members:
                raise ApiError("InvalidInstanceId.NotFound", f"{instance_id} is not in {group.id}.", 404)
        return [group.members[instance_id] for instance_id in dict.fromkeys(ids)]

    def configuration_ages(self, group: ScalingGroup) -> dict[str, datetime]:
        return {one.id: one.created for one in self.configurations.values() if one.group_id == group.id}

    # Groups ---------------------------------------------------------------------------------------------------

    def add_group(self, group: ScalingGroup) -> None:
        self.check_name(group.name)
        self.scaling.membership.check(group.vpc_id, group.balancers)
        if not self._listening:  # a cloud without groups hears nothing of instances
            self.realm.ecs.on_instance(self._instance_changed)
            self._listening = True
        self.groups.add(group)

    def check_name(self, name: str, but: str = "") -> None:
        if any(other.name == name and other.id != but for other in self.groups):
            raise ApiError("InvalidScalingGroupName.Duplicate", f"There is a scaling group {name!r} already.")

    def enable(self, group: ScalingGroup, configuration_id: str | None) -> None:
        """Only an inactive one. Lifts what the system suspended (assumption)."""
        self.check_enable(group, configuration_id)
        if configuration_id is not None:
            self.choose(group, configuration_id)
        group.state = ACTIVE
        group.system_suspended, group.failing_since = False, None
        self.will.awaken(group)

    def check_enable(self, group: ScalingGroup, configuration_id: str | None) -> None:
        if group.state != INACTIVE:
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {group.id} is {group.state}.")
        if configuration_id is not None:
            self._check_own(group, configuration_id)
        elif not group.configuration_id:
            raise ApiError("InvalidScalingConfigurationId.NotFound", f"{group.id} has no active configuration.", 404)

    def disable(self, group: ScalingGroup) -> None:
        """What is under way runs to its end; nothing new begins."""
        if group.state != ACTIVE:
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {group.id} is {group.state}.")
        group.state = INACTIVE
        self.will.forget(group)

    def boot(self, configuration: ScalingConfiguration, image: str, family: str = "") -> None:
        """What it launches from now on is made of this image, or of the family's newest."""
        self.check_image(image)
        configuration.image_id, configuration.image_family = image, "" if image else family

    def check_image(self, image: str) -> None:
        if image and self.realm.ecs.images.visible(image) is None:
            raise ApiError("InvalidImageId.NotFound", f"The image {image} does not exist.", 404)

    def choose(self, group: ScalingGroup, configuration_id: str) -> None:
        """For future instances only; those that run keep what they were made from."""
        self._check_own(group, configuration_id)
        group.configuration_id = configuration_id

    def _check_own(self, group: ScalingGroup, configuration_id: str) -> None:
        if self.configuration(configuration_id).group_id != group.id:
            raise ApiError(
                "InvalidScalingConfigurationId.NotFound",
                f"{configuration_id} is not a configuration of {group.id}.",
                404,
            )

    def delete_group(self, group: ScalingGroup, *, force: bool) -> None:
        """With `force`, owned members are released and others let go."""
        if group.protected_from_deletion:
            raise ApiError("IncorrectScalingGroupStatus", f"{group.id} is protected from deletion.")
        if not force:
            self.scaling.activities.check_idle(group)
            if group.members:
                raise ApiError("IncorrectScalingGroupStatus", f"{group.id} still has {group.total} instances.")
        self.will.forget(group)
        group.state = DELETING
        self.scaling.launching.abandon(group)
        for member in list(group.members.values()):
            self.scaling.dismiss(group, member.instance_id, release=member.owned)
        self.groups.remove(group)
        for configuration in [c for c in self.configurations.values() if c.group_id == group.id]:
            del self.configurations[configuration.id]
        for rule in [r for r in self.rules.values() if r.group_id == group.id]:
            del self.rules[rule.ari]

    def suspend(self, group: ScalingGroup, processes: Sequence[str]) -> None:
        group.suspended |= set(self._known(processes))

    def resume(self, group: ScalingGroup, processes: Sequence[str]) -> None:
        """Resuming ScaleOut also lifts what the system suspended (assumption)."""
        known = self._known(processes)
        group.suspended -= set(known)
        if SCALE_OUT in known:
            group.system_suspended, group.failing_since = False, None
        self.will.awaken(group)

    def _known(self, processes: Sequence[str]) -> Sequence[str]:
        for process in processes:
            if process not in PROCESSES:
                raise ApiError("InvalidParameter", f"Process {process!r} is not one of {', '.join(PROCESSES)}.")
        return processes

    # Members --------------------------------------------------------------------------------------------------

    def attach(
        self, group: ScalingGroup, ids: Sequence[str], weights: Sequence[int | None], *, entrusted: bool,
        ignore_invalid: bool, cause: str, trigger: Trigger,
    ) -> Activity:  # fmt: skip
        """Group active and idle; instances running, free, in the VPC; no more than MaxSize in the end. Not while
        ScaleOut is suspended (Auto Scaling, "Suspend and resume scaling group processes", 2026; code: assumption)."""
        fit = self.check_attach(group, ids, weights, ignore_invalid=ignore_invalid)
        if group.desired is not None:  # assumption: the desired capacity grows with what is attached
            group.desired = max(group.desired, min(group.max_size, group.total + len(fit)))
        return self.scaling.attach(
            group, list(fit), list(fit.values()), entrusted=entrusted, cause=cause, trigger=trigger
        )

    def check_attach(
        self, group: ScalingGroup, ids: Sequence[str], weights: Sequence[int | None], *, ignore_invalid: bool = False
    ) -> dict[str, int | None]:
        """Who may join, with which weight."""
        if SCALE_OUT in group.suspended:
            raise ApiError("IncorrectScalingGroupStatus", f"ScaleOut of {group.id} is suspended.")
        self.scaling.activities.check_idle(group)
        fit: dict[str, int | None] = {}
        for instance_id, weight in zip(ids, weights, strict=True):
            try:
                self._check_attachable(group, instance_id)
            except ApiError:
                if not ignore_invalid:
                    raise
            else:
                fit[instance_id] = weight
        if group.total + len(fit) > group.max_size:
            raise ApiError(
                "IncorrectCapacity.MaxSize",
                f"{group.total} members and {len(fit)} more are above MaxSize {group.max_size}.",
            )
        return fit

    def _check_attachable(self, group: ScalingGroup, id: str) -> None:
        instance = self.realm.ecs.instances.get(id)
        if instance is None:
            raise ApiError("InvalidInstanceId.NotFound", f"The instance {id} does not exist.", 404)
        if id in self.group_of:
            raise ApiError("InvalidInstanceId.InUse", f"{id} is in the scaling group {self.group_of[id].id}.")
        if instance.state != "Running":
            raise ApiError("IncorrectInstanceStatus", f"{id} is {instance.state}, not Running.")
        if group.vpc_id and instance.vpc_id != group.vpc_id:
            raise ApiError("InvalidInstanceId.VPCMismatch", f"{id} is in {instance.vpc_id}, not in {group.vpc_id}.")

    def let_go(
        self, group: ScalingGroup, members: Sequence[Member], *, release: bool, shrink: bool, cause: str,
        trigger: Trigger,
    ) -> Activity:  # fmt: skip
        """Detach or remove. `shrink`: the desired capacity falls with them; without it they are replaced. Either way
        MinSize of them stay (DetachInstances, 2024-12; assumption: RemoveInstances alike). Not while ScaleIn is
        suspended (assumption, as ScaleOut refuses what joins)."""
        self._check_process(group, SCALE_IN)
        self.scaling.activities.check_idle(group)
        if group.total - len(members) < group.min_size:
            raise ApiError(
                "IncorrectCapacity.MinSize",
                f"{group.total} members less {len(members)} are below MinSize {group.min_size}.",
            )
        if shrink and group.desired is not None:
            group.desired = max(group.min_size, group.desired - len(members))
        return self.scaling.remove(group, members, cause=cause, trigger=trigger, release=release)

    def enter_standby(
        self, group: ScalingGroup, ids: Sequence[str], *, later: bool, cause: str, trigger: Trigger
    ) -> Activity:
        members = self._movable(group, ids, (IN_SERVICE, PROTECTED))
        return self.scaling.enter_standby(group, members, later=later, cause=cause, trigger=trigger)

    def exit_standby(
        self, group: ScalingGroup, ids: Sequence[str], *, later: bool, cause: str, trigger: Trigger
    ) -> Activity:
        members = self._movable(group, ids, (STANDBY,))
        return self.scaling.exit_standby(group, members, later=later, cause=cause, trigger=trigger)

    def _movable(self, group: ScalingGroup, ids: Sequence[str], states: tuple[str, ...]) -> list[Member]:
        members = self.members(group, ids)
        check_states(members, states)
        self.scaling.activities.check_idle(group)
        return members

    # Size -----------------------------------------------------------------------------------------------------

    def execute(
        self, rule: ScalingRule, trigger: Trigger, *, metric: float | None = None, threshold: float | None = None
    ) -> Activity:
        """Raises ApiError IncorrectCapacity.NoChange. What an alarm triggers is rejected while the group cools down
        or hears no alarms: an activity of status Rejected, not an error."""
        group = self.active_group(rule.group_id)
        cause = f"The scaling rule {rule.id} is executed"
        if trigger.kind == BY_ALARM:
            cooling = group.cooling_until is not None and self.realm.clock.now() < group.cooling_until
            if cooling or ALARM_NOTIFICATION in group.suspended:
                why = "The group is cooling down." if cooling else "AlarmNotification is suspended."
                activity = self.scaling.activities.reject(group, cause=cause, trigger=trigger, why=why)
                notices.rejected(self.realm, activity)
                return activity
        value = rule.value(metric=metric, threshold=threshold)
        size = group.clipped(wanted(rule.adjustment_type, value, group.total, least=rule.min_magnitude))
        activity = self.resize(group, size, cause=cause, trigger=trigger)
        activity.cooldown = rule.cooldown
        return activity

    def resize(
        self, group: ScalingGroup, size: int, *, cause: str, trigger: Trigger, parallel: bool = False
    ) -> Activity:
        """Towards `size` (already clipped) at once."""
        if not parallel:
            self.scaling.activities.check_idle(group)
        change = size - group.total
        if change == 0:
            raise ApiError("IncorrectCapacity.NoChange", f"{group.id} has {group.total} instances already.")
        self._check_process(group, SCALE_OUT if change > 0 else SCALE_IN)
        if change > 0:
            activity = self.scaling.scale_out(group, change, cause=cause, trigger=trigger, parallel=parallel)
        else:
            leaving = chosen_for_removal(group, -change, self.configuration_ages(group))
            if not leaving:
                raise ApiError("IncorrectCapacity.NoChange", f"No member of {group.id} may be removed.")
            activity = self.scaling.remove(group, leaving, cause=cause, trigger=trigger, parallel=parallel)
        if group.desired is not None:
            group.desired = size
        return activity

    def _check_process(self, group: ScalingGroup, process: str) -> None:
        if process in group.suspended or (process == SCALE_OUT and group.system_suspended):
            raise ApiError("IncorrectScalingGroupStatus", f"{process} of {group.id} is suspended.")

    def change_maximum(self, group: ScalingGroup, size: int) -> None:
        """What no longer fits is removed by the group itself."""
        if group.state not in (ACTIVE, INACTIVE):
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {group.id} is {group.state}.")
        if size < max(group.min_size, group.desired or 0):
            raise ApiError("InvalidParameter", f"MaxSize {size} is below MinSize or DesiredCapacity of {group.id}.")
        group.max_size = size
        self.will.awaken(group)

    def change_desired(self, group: ScalingGroup, size: int) -> None:
        """The group brings itself there."""
        if group.state not in (ACTIVE, INACTIVE):
            raise ApiError("IncorrectScalingGroupStatus", f"The scaling group {group.id} is {group.state}.")
        if not group.min_size <= size <= group.max_size:
            raise ApiError("InvalidParameter", f"DesiredCapacity {size} of {group.id} is outside MinSize and MaxSize.")
        group.desired = size
        self.will.awaken(group)

    def _activity_ended(self, group: ScalingGroup, activity: Activity) -> None:
        self.refreshes.activity_ended(group, activity)  # before the size is put right by itself
        self.will.activity_ended(group, activity)

    def _instance_changed(self, instance: Instance, old: str, new: str) -> None:
        self.will.instance_changed(instance, old, new)


def check_states(members: Sequence[Member], allowed: tuple[str, ...]) -> None:
    """Raises ApiError IncorrectInstanceStatus."""
    for member in members:
        if member.state not in allowed:
            raise ApiError(
                "IncorrectInstanceStatus", f"{member.instance_id} is {member.state}, not {' or '.join(allowed)}."
            )
