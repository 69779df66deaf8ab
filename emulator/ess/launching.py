"""Scale-out: instances are bought by the active configuration, awaited until they run, and put into service.

An answered call is only a beginning: stock may be out, an image gone, a zone dark. What did not come up in time is
released again, and the activity ends as Warning or Failed.
Source: ESS API ScaleWithAdjustment, DescribeScalingActivities (SDK 1.13.3). Durations are assumptions.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.instances import Instance
from emulator.ess.activity import Activity, Trouble, gone
from emulator.ess.configuration import ScalingConfiguration, image_of, order
from emulator.ess.group import AUTO_CREATED, DELETING, IN_SERVICE, Member, ScalingGroup
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ess.scaling import Scaling

PREPARING: Final = timedelta(seconds=5)
GIVEN_UP: Final = timedelta(minutes=10)
"""An instance that does not run by then is released (assumption)."""
JOINING: Final = timedelta(seconds=5)


class Launching:
    def __init__(self, scaling: "Scaling") -> None:
        self._scaling = scaling
        self._realm = scaling.realm
        self._awaited: dict[str, tuple[ScalingGroup, Member, Activity]] = {}

    def begin(self, group: ScalingGroup, activity: Activity) -> None:
        self._realm.clock.call_later(PREPARING, lambda: self._launch(group, activity), f"ess launch {group.id}")

    def _launch(self, group: ScalingGroup, activity: Activity) -> None:
        if group.state == DELETING:
            activity.troubles.append(gone(group))
            self._scaling.ended(group, activity, done=0)
            return
        made = self._buy(group, activity)
        activity.progress = 50
        if not made:
            self._scaling.ended(group, activity, done=0)
            return
        for member in made:
            self._awaited[member.instance_id] = (group, member, activity)
        self._realm.clock.call_later(GIVEN_UP, lambda: self._give_up(activity), f"ess give up {activity.id}")

    # Buying ---------------------------------------------------------------------------------------------------

    def _buy(self, group: ScalingGroup, activity: Activity) -> list[Member]:
        configuration = self._scaling.configurations.get(group.configuration_id)
        if configuration is None:
            trouble = Trouble(code="InvalidScalingConfigurationId.NotFound", message="The group has no configuration.")
            activity.troubles.append(trouble)
            return []
        made: list[Member] = []
        refused: ApiError | None = None
        for vswitch, amount in self._shares(group, activity.asked):
            wanted = min(amount, activity.asked - len(made))
            for instance_type in configuration.instance_types:
                if wanted <= 0:
                    break
                try:
                    bought = self._order(group, configuration, vswitch, instance_type, wanted)
                except ApiError as error:
                    refused = error
                    continue
                wanted -= len(bought)
                made += [self._enrol(group, activity, configuration, instance) for instance in bought]
        missing = activity.asked - len(made)
        if missing > 0:
            code = refused.code if refused is not None else "OperationDenied.NoStock"
            message = refused.message if refused is not None else f"{missing} instances were out of stock."
            activity.troubles.append(Trouble(code=code, message=message))
        return made

    def _shares(self, group: ScalingGroup, count: int) -> list[tuple[str, int]]:
        """vSwitches with how many each gets at most. PRIORITY fills the first and goes on to the next only for what it
        could not have; BALANCE evens out over zones first, and takes what a zone does not have in the others (so its
        documentation of RebalanceInstances implies)."""
        if group.multi_az != "BALANCE":
            return [(vswitch, count) for vswitch in group.vswitch_ids]
        there = self._realm.ecs.vswitches
        zones = {vswitch: there[vswitch].zone for vswitch in group.vswitch_ids if vswitch in there}  # or deleted since
        held = {
            vswitch: sum(member.zone == zone for member in group.members.values()) for vswitch, zone in zones.items()
        }
        shares = dict.fromkeys(zones, 0)
        for _ in range(count if shares else 0):
            least = min(shares, key=lambda vswitch: held[vswitch] + shares[vswitch])
            shares[least] += 1
        return [*shares.items(), *((vswitch, count) for vswitch in group.vswitch_ids)]

    def _order(
        self, group: ScalingGroup, configuration: ScalingConfiguration, vswitch: str, instance_type: str, amount: int
    ) -> list[Instance]:
        ecs = self._realm.ecs
        return ecs.lifecycle.run(
            order(
                configuration,
                image_id=image_of(configuration, ecs),
                instance_type=instance_type,
                vswitch_id=vswitch,
                amount=min(amount, 100),
                tags={key: group.tags[key] for key in group.propagated},
            )
        )

    def _enrol(
        self, group: ScalingGroup, activity: Activity, configuration: ScalingConfiguration, instance: Instance
    ) -> Member:
        member = Member(
            instance_id=instance.id,
            creation=AUTO_CREATED,
            entrusted=False,
            joined=self._realm.clock.now(),
            configuration_id=configuration.id,
            activity_id=activity.id,
            zone=instance.zone,
            address=instance.private_ip,
        )
        self._scaling.enrol(group, member)
        return member

    # Awaiting -------------------------------------------------------------------------------------------------

    def changed(self, instance: Instance, state: str) -> None:
        """An instance that is awaited runs, or will never."""
        awaited = self._awaited.get(instance.id)
        if awaited is None:
            return
        if state == "Running":
            self._realm.clock.call_later(JOINING, lambda: self._serve(instance.id), f"ess join {instance.id}")
        elif state in ("Stopping", "Stopped", "Deleted"):
            # Not before the change is over: nobody may release an instance in the middle of its own change.
            lost = lambda: self._lost(instance.id, state)  # noqa: E731
            self._realm.clock.call_later(timedelta(0), lost, f"ess lost {instance.id}")

    def _lost(self, instance_id: str, state: str) -> None:
        if instance_id in self._awaited:
            self._failed(instance_id, Trouble(code="IncorrectInstanceStatus", message=f"{instance_id} is {state}."))

    def abandon(self, group: ScalingGroup) -> None:
        """The group is being deleted: nobody waits for what it launched."""
        for instance_id in [one for one, (whose, _, _) in self._awaited.items() if whose is group]:
            _, _, activity = self._awaited.pop(instance_id)
            activity.troubles.append(gone(group))
            self._end_when_all_came(group, activity)

    def _serve(self, instance_id: str) -> None:
        awaited = self._awaited.get(instance_id)
        if awaited is None:
            return
        group, member, activity = awaited
        troubles = self._scaling.membership.join(group, member)
        if troubles:
            activity.troubles += troubles
            self._failed(instance_id, None)
            return
        member.state = IN_SERVICE
        activity.created.append(instance_id)
        del self._awaited[instance_id]
        self._end_when_all_came(group, activity)

    def _failed(self, instance_id: str, trouble: Trouble | None) -> None:
        group, _, activity = self._awaited.pop(instance_id)
        if trouble is not None:
            activity.troubles.append(Trouble(code=trouble.code, message=trouble.message, instances=(instance_id,)))
        self._scaling.dismiss(group, instance_id, release=True)
        self._end_when_all_came(group, activity)

    def _give_up(self, activity: Activity) -> None:
        late = [instance for instance, (_, _, whose) in self._awaited.items() if whose is activity]
        for instance_id in late:
            if instance_id in self._awaited:
                message = f"{instance_id} did not run within {GIVEN_UP}."
                self._failed(instance_id, Trouble(code="IncorrectInstanceStatus", message=message))

    def _end_when_all_came(self, group: ScalingGroup, activity: Activity) -> None:
        if activity.running and not any(whose is activity for _, _, whose in self._awaited.values()):
            self._scaling.ended(group, activity, done=len(activity.created))
