"""What a rebuild that is asked for would do, with estimated times, before anything does. Reads only."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.errors import BadInput, DrError, NoStock
from shared.domain.estimate import Durations
from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance
from shared.domain.policy import Policy, RebuildRule
from shared.domain.preview import Action, Check, Preview, critical_path, token_of
from shared.domain.replacement import Missing, Replacement
from shared.domain.selection import selects
from shared.state import codec
from shared.state.subjects import Subjects
from shared.usecases.recovery import rebuild_again
from shared.usecases.recovery.look import instance_of, rule_named
from shared.usecases.recovery.rebuild_choose import decide, gather, plan_token, request_of, unfit
from shared.usecases.recovery.rebuild_run import Ports
from shared.usecases.recovery.recovery_requests import RebuildRequest

KIND: Final = "rebuild"
EXPECTED: Final = Durations()


@dataclass(slots=True, kw_only=True)
class RebuildPreview:
    ports: Ports
    subjects: Subjects

    def __call__(self, text: str) -> Preview:
        """Raises BadInput for a rule that the policy does not have."""
        request = codec.load(RebuildRequest, text)
        _, policy = self.ports.policies.active()
        instance = instance_of(self.ports.compute.inventory, request.instance)
        rule = rule_of(policy, request.rule, instance, request.instance)
        because = unfit(instance, request.instance, rule, policy)
        checks = [Check(name="instance", ok=not because, says=because or f"{request.instance} can be replaced")]
        if because or instance is None:
            return _preview(request.instance, (), (*checks,), token_of(request.instance, because))
        checks += self._standing(instance)
        was = rebuild_again.earlier(self.ports, instance.id)
        left = rebuild_again.left_behind(self.ports, instance.id)
        goes_on = rebuild_again.adopts(was, left)
        if left and not goes_on:
            names = ", ".join(one.id for one in left)
            checks.append(Check(name="earlier", ok=False, says=f"{names} of an earlier attempt stands", remedy=_REMEDY))
            return _preview(instance.id, (), tuple(checks), token_of(instance.id, names))
        seen = gather(self.ports, instance, rule, was=was, left=left)
        if isinstance(seen, str):
            checks.append(Check(name="scaling group", ok=False, says=seen, remedy="Look again in a minute"))
            return _preview(instance.id, (), tuple(checks), token_of(instance.id, seen))
        plan = rebuild_again.adopted(was, left[0], seen) if was and goes_on else decide(self.ports, seen, rule)
        if isinstance(plan, Missing):
            checks += [Check(name="material", ok=False, says=one, remedy=_REMEDY) for one in plan.because]
            return _preview(instance.id, (), tuple(checks), token_of(instance.id, *plan.because))
        if not plan.adopts:
            checks.append(self._order(plan, seen.setup.user_data))
        return _preview(instance.id, _actions(plan), tuple(checks), plan_token(plan), warnings=_warnings(plan))

    def _standing(self, instance: Instance) -> list[Check]:
        paused, holder = self.ports.look.paused(), self.subjects.holder(instance.id)
        return [
            Check(
                name="pause",
                ok=not paused,
                says=f"rebuilds are paused: {paused}" if paused else "rebuilds are not paused",
                remedy="`understudy resume rebuilds` first" if paused else "",
            ),
            Check(
                name="subject",
                ok=holder is None,
                says=f"{holder} deals with it" if holder else "no other operation holds it",
                remedy=f"Wait for it, or `understudy acknowledge {holder}` if it waits for you" if holder else "",
            ),
        ]

    def _order(self, plan: Replacement, user_data: str) -> Check:
        try:
            self.ports.compute.instances.rehearse(request_of(plan, plan.candidates[0], user_data=user_data))
        except NoStock as error:
            return Check(name="order", ok=True, says=f"no stock in the first place: {error}")
        except DrError as error:
            return Check(name="order", ok=False, says=str(error), remedy="Mend what the cloud names, then ask again")
        return Check(name="order", ok=True, says="the cloud has nothing against it, apart from stock")


_REMEDY: Final = "docs/runbooks/rebuild-needs-operator.md says how to mend it"


def rule_of(policy: Policy, named: str, instance: Instance | None, id: InstanceId) -> RebuildRule:
    """The rule that is named, else the first that selects the instance."""
    if named:
        found = rule_named(policy, named)
    else:
        found = next((one for one in policy.rebuilds if instance is not None and selects(one.select, instance)), None)
    if found is None:
        known = ", ".join(one.name for one in policy.rebuilds) or "none"
        if not named and instance is None:
            raise BadInput(
                f"the inventory does not list {id}, so no rebuild rule selects it: it was released, stands in another "
                "region, or is misspelt. To make a new one: `understudy launch`"
            )
        says = f"rebuild rule {named!r} is not in the policy" if named else f"no rebuild rule selects {id}"
        raise BadInput(f"{says}; it has: {known}")
    return found


def _actions(plan: Replacement) -> tuple[Action, ...]:
    first, old, new = plan.candidates[0], plan.replaces, plan.adopts or "its replacement"
    moved = [one.disk for one in plan.moved] if first.moves_disks else []
    made: list[Action] = []

    def add(wave: int, does: str, subject: str, takes: timedelta) -> None:
        made.append(Action(wave=wave, does=f"{subject} {does}", subject=subject, takes=takes))

    if plan.system_of:
        add(0, f"is made of {plan.system_of}", "an image of the system disk alone", EXPECTED.image)
    if plan.group or plan.backends:
        add(1, "is taken out of service", old, EXPECTED.out_of_service)
    add(2, "is stopped", old, EXPECTED.stop)
    if first.keeps_address:
        add(3, f"gives up {plan.address}", old, EXPECTED.check)
    image = "that image" if plan.system_of else first.image
    if plan.adopts:
        add(4, f"of an earlier attempt is looked at, and what {old} still has moves to it", new, EXPECTED.check)
        moved = []
    else:
        add(4, f"is made of {image} in {first.zone} ({first.instance_type}) and boots", new, EXPECTED.create)
    for disk in moved:
        add(4, f"is detached from {old}", disk, EXPECTED.detach)
    for disk in moved:
        add(5, "is attached to the new one", disk, EXPECTED.attach)
    for restored in () if first.moves_disks or plan.adopts else plan.restored:
        add(4, f"is made anew of {restored.snapshot} ({codec.second(restored.taken)})", restored.disk, EXPECTED.create)
    add(6, "answers", new, EXPECTED.boot)
    for backend in plan.backends:
        add(7, f"takes weight {backend.weight} in {backend.balancer}", new, EXPECTED.serve)
    for allocation in plan.public:
        add(7, "moves to the new one", allocation, EXPECTED.serve)
    add(8, "is kept, stopped and marked as replaced", old, EXPECTED.check)
    return tuple(made)


def _warnings(plan: Replacement) -> tuple[str, ...]:
    first = plan.candidates[0]
    found = list(plan.notes)
    if not first.moves_disks and plan.restored:
        oldest = min(one.taken for one in plan.restored)
        found.append(f"its data disks are those of {codec.second(oldest)}: what was written since stays behind")
    if not first.keeps_address:
        found.append(f"its private address {plan.address} changes")
    if plan.public:
        found.append("its public addresses are away while they move: that gap cannot be avoided")
    return tuple(found)


def _preview(
    instance: InstanceId,
    actions: tuple[Action, ...],
    checks: tuple[Check, ...],
    token: str,
    *,
    warnings: tuple[str, ...] = (),
) -> Preview:
    return Preview(
        kind=KIND,
        subject=instance,
        actions=actions,
        checks=checks,
        token=token,
        takes=critical_path(actions),
        warnings=warnings,
    )
