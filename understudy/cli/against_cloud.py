"""A policy against what stands in the cloud: does every selection mean something?"""

from collections.abc import Iterator

from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance
from shared.domain.policy import Pair, Policy, Selection
from shared.ports.compute import Inventory
from shared.usecases.selecting import Selected, select

_HIDDEN = "a role without ecs:DescribeInstances is shown nothing at all"


def mismatches(policy: Policy, inventory: Inventory) -> tuple[str, ...]:
    """What the file asks for and the region does not have, as `key: what, remedy`. Raises as the inventory does."""
    found: list[str] = []
    rebuilt: dict[InstanceId, str] = {}
    for at, protection in enumerate(policy.protections):
        found += _selection(
            f"protections[{at}].select", protection.select, select(inventory, protection.select), policy
        )
    for at, rule in enumerate(policy.rebuilds):
        selected = select(inventory, rule.select)
        found += _selection(f"rebuilds[{at}].select", rule.select, selected, policy)
        for instance in selected.instances:
            if instance.id in rebuilt:
                found.append(
                    f"rebuilds[{at}].select: {instance.id} is already rebuilt by rule {rebuilt[instance.id]}. "
                    "One instance has one rule; exclude it in one of them"
                )
            rebuilt.setdefault(instance.id, rule.name)
    for at, pair in enumerate(policy.pairs):
        found += _members(f"pairs[{at}].members", pair, inventory, policy)
    return tuple(found)


def _selection(key: str, selection: Selection, selected: Selected, policy: Policy) -> Iterator[str]:
    if not selected.instances:
        yield f"{key}: {_in_words(selection)} matches no instance of {policy.region}. Check the spelling ({_HIDDEN})"
        return
    for absent in selected.absent:
        if absent in selected.isolated:
            yield f"{key}.ids: {absent}: {selected.why(absent)}"
        else:
            yield f"{key}.ids: there is no instance {absent} in {policy.region}. Remove it or correct it ({_HIDDEN})"


def _members(key: str, pair: Pair, inventory: Inventory, policy: Policy) -> Iterator[str]:
    ids = [member.instance for member in pair.members]
    instances: dict[InstanceId, Instance] = {one.id: one for one in inventory.instances(ids=ids)}
    for member in pair.members:
        instance = instances.get(member.instance)
        where = f"{key}.{member.site}.instance"
        if instance is None:
            yield f"{where}: there is no instance {member.instance} in {policy.region}. Correct it ({_HIDDEN})"
        elif instance.zone != member.zone:
            yield (
                f"{where}: {member.instance} stands in zone {instance.zone}, but site {member.site} is {member.zone}. "
                "Correct one of the two"
            )


def _in_words(selection: Selection) -> str:
    parts = [f"{key}={value}" for key, value in sorted(selection.tags.items())] + list(selection.ids)
    without = f" without {', '.join(selection.exclude)}" if selection.exclude else ""
    return ", ".join(parts) + without
