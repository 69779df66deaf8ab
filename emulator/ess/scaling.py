"""What a group does: scale out and in, attach, let go, stand by. Each is an activity that takes its time.

Source: ESS API 2022-02-22 (SDK 1.13.3). Durations are assumptions.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.ess import notices
from emulator.ess.activity import Activities, Activity, Trigger, Trouble, gone
from emulator.ess.configuration import ScalingConfiguration
from emulator.ess.group import (
    ATTACHED,
    IN_SERVICE,
    PENDING,
    PROTECTED,
    REMOVING,
    SCALE_IN,
    SCALE_OUT,
    STANDBY,
    Member,
    ScalingGroup,
    ServerGroup,
)
from emulator.ess.launching import Launching
from emulator.ess.membership import Membership

if TYPE_CHECKING:
    from emulator.realm import Realm

ATTACHING_SECONDS: Final = (5.0, 15.0)
LEAVING_SECONDS: Final = (15.0, 40.0)
STANDBY_MOVE: Final = timedelta(seconds=5)
"""An asynchronous one; a synchronous one is done when it answers."""


class Scaling:
    def __init__(
        self,
        realm: "Realm",
        configurations: dict[str, ScalingConfiguration],
        group_of: dict[str, ScalingGroup],
        after: Callable[[ScalingGroup, Activity], None],
    ) -> None:
        """`group_of`: whose member an instance is, shared with the model. `after`: told of each activity's end."""
        self.realm = realm
        self.configurations = configurations
        self.activities = Activities(realm)
        self.membership = Membership(realm, configurations)
        self.launching = Launching(self)
        self._group_of = group_of
        self._after = after

    # Members --------------------------------------------------------------------------------------------------

    def enrol(self, group: ScalingGroup, member: Member) -> None:
        group.members[member.instance_id] = member
        self._group_of[member.instance_id] = group

    def dismiss(self, group: ScalingGroup, instance_id: str, *, release: bool) -> None:
        """Out of the balancers and the group; `release` also deletes the instance, whatever state it is in: neither
        Stopping nor release protection keep Auto Scaling from what it made (ECS documentation, release protection)."""
        self.membership.leave(group, [instance_id])
        group.members.pop(instance_id, None)
        self._group_of.pop(instance_id, None)
        instance = self.realm.ecs.instances.get(instance_id)
        if release and instance is not None:
            self.realm.ecs.lifecycle.release(instance)

    # Growing --------------------------------------------------------------------------------------------------

    def scale_out(
        self,
        group: ScalingGroup,
        count: int,
        *,
        cause: str,
        trigger: Trigger,
        parallel: bool = False,
        refresh_id: str = "",
    ) -> Activity:
        activity = self._begin(group, SCALE_OUT, cause, f"Add {count} ECS instances", trigger, count, parallel=parallel)
        activity.refresh_id = refresh_id
        self.launching.begin(group, activity)
        return activity

    def attach(
        self,
        group: ScalingGroup,
        instances: Sequence[str],
        weights: Sequence[int | None],
        *,
        entrusted: bool,
        cause: str,
        trigger: Trigger,
    ) -> Activity:
        activity = self._begin(
            group, SCALE_OUT, cause, f"Attach {len(instances)} ECS instances", trigger, len(instances)
        )
        for instance_id, weight in zip(instances, weights, strict=True):
            instance = self.realm.ecs.find_instance(instance_id)
            member = Member(
                instance_id=instance_id,
                creation=ATTACHED,
                entrusted=entrusted,
                joined=self.realm.clock.now(),
                activity_id=activity.id,
                zone=instance.zone,
                address=instance.private_ip,
                weight=weight,
            )
            self.enrol(group, member)

        def attached() -> None:
            for instance_id in instances:
                self._take_in(group, instance_id, activity)
            self.ended(group, activity, done=len(activity.created))

        self.realm.clock.call_later(self._seconds(ATTACHING_SECONDS), attached, f"ess attach {group.id}")
        return activity

    def _take_in(self, group: ScalingGroup, instance_id: str, activity: Activity) -> None:
        member = group.members.get(instance_id)
        if member is None:
            activity.troubles.append(gone(group))
            return
        instance = self.realm.ecs.instances.get(instance_id)
        if instance is None or instance.state != "Running":
            state = "gone" if instance is None else instance.state
            message = f"{instance_id} is {state}, not Running."
            activity.troubles.append(Trouble(code="IncorrectInstanceStatus", message=message, instances=(instance_id,)))
            self.dismiss(group, instance_id, release=False)
            return
        troubles = self.membership.join(group, member)
        if troubles:
            activity.troubles += troubles
            self.dismiss(group, instance_id, release=False)
            return
        member.state = IN_SERVICE
        activity.created.append(instance_id)

    # Shrinking ------------------------------------------------------------------------------------------------

    def remove(
        self, group: ScalingGroup, members: Sequence[Member], *, cause: str, trigger: Trigger, release: bool = True,
        parallel: bool = False, refresh_id: str = "",
    ) -> Activity:  # fmt: skip
        """Members leave the balancers at once and the group a little later. Owned ones are then released, others let
        go; with `release` False all are let go."""
        verb = "Remove" if release else "Detach"
        description = f"{verb} {len(members)} ECS instances"
        activity = self._begin(group, SCALE_IN, cause, description, trigger, len(members), parallel=parallel)
        activity.refresh_id = refresh_id
        leaving = [member.instance_id for member in members]
        for member in members:
            member.state = REMOVING
        self.membership.leave(group, leaving)

        def left() -> None:
            for member in members:
                self.dismiss(group, member.instance_id, release=release and member.owned)
                activity.destroyed.append(member.instance_id)
            self.ended(group, activity, done=len(activity.destroyed))

        self.realm.clock.call_later(self._seconds(LEAVING_SECONDS), left, f"ess remove {group.id}")
        return activity

    # Standing by ----------------------------------------------------------------------------------------------

    def enter_standby(
        self, group: ScalingGroup, members: Sequence[Member], *, later: bool, cause: str, trigger: Trigger
    ) -> Activity:
        """Weight 0 in the balancers; from then on nobody looks at their health."""

        def stand(member: Member, activity: Activity) -> None:
            activity.troubles += self.membership.drain(group, member)
            member.state = STANDBY

        return self._move(group, members, stand, later, cause, trigger, f"Put {len(members)} ECS instances on standby")

    def exit_standby(
        self, group: ScalingGroup, members: Sequence[Member], *, later: bool, cause: str, trigger: Trigger
    ) -> Activity:
        """In service again, with the group's weight and not the one from before. One that does not run is taken
        back as well, and released at the next health look (assumption)."""

        def serve(member: Member, activity: Activity) -> None:
            activity.troubles += self.membership.restore(group, member)
            member.state = IN_SERVICE

        for member in members:
            member.state = PENDING if later else member.state
        return self._move(group, members, serve, later, cause, trigger, f"Take {len(members)} ECS instances back")

    def _move(
        self,
        group: ScalingGroup,
        members: Sequence[Member],
        act: Callable[[Member, Activity], None],
        later: bool,
        cause: str,
        trigger: Trigger,
        description: str,
    ) -> Activity:
        activity = self._begin(group, "", cause, description, trigger, len(members))

        def move() -> None:
            for member in members:
                if member.instance_id in group.members:
                    act(member, activity)
            self.ended(group, activity, done=len(members))

        if later:
            self.realm.clock.call_later(STANDBY_MOVE, move, f"ess standby {group.id}")
        else:
            move()
        return activity

    def protect(self, members: Sequence[Member], on: bool) -> None:
        for member in members:
            member.state = PROTECTED if on else IN_SERVICE

    # Load balancers -------------------------------------------------------------------------------------------

    def join_balancers(
        self, group: ScalingGroup, balancers: Sequence[str], *, cause: str, trigger: Trigger
    ) -> Activity:
        """Members join with the group's weight, those on standby with 0."""
        activity = self._begin(group, "", cause, f"Attach {len(balancers)} load balancers", trigger, group.total)
        for member in group.members.values():
            activity.troubles += self.membership.join(group, member)
            if member.state == STANDBY:
                activity.troubles += self.membership.drain(group, member)
        self.ended(group, activity, done=group.total)
        return activity

    def leave_balancers(
        self, group: ScalingGroup, balancers: Sequence[str], *, cause: str, trigger: Trigger
    ) -> Activity:
        activity = self._begin(group, "", cause, f"Detach {len(balancers)} load balancers", trigger, group.total)
        self.membership.leave(group, group.members, balancers=balancers)
        self.ended(group, activity, done=group.total)
        return activity

    def leave_server_groups(
        self, group: ScalingGroup, gone: Sequence[ServerGroup], *, cause: str, trigger: Trigger
    ) -> Activity:
        activity = self._begin(group, "", cause, f"Detach {len(gone)} vServer groups", trigger, group.total)
        self.membership.leave_server_groups(group.members, gone)
        self.ended(group, activity, done=group.total)
        return activity

    # An activity's life ---------------------------------------------------------------------------------------

    def _begin(
        self, group: ScalingGroup, kind: str, cause: str, description: str, trigger: Trigger, asked: int, *,
        parallel: bool = False,
    ) -> Activity:  # fmt: skip
        activity = self.activities.begin(
            group, kind=kind, cause=cause, description=description, trigger=trigger, asked=asked, parallel=parallel
        )
        notices.started(self.realm, activity)
        return activity

    def ended(self, group: ScalingGroup, activity: Activity, *, done: int) -> None:
        self.activities.end(activity, group, done=done)
        notices.ended(self.realm, activity)
        self._after(group, activity)

    def _seconds(self, bounds: tuple[float, float]) -> timedelta:
        return timedelta(seconds=self.realm.chance.uniform(*bounds))
