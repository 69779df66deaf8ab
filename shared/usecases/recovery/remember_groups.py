"""Ahead of need: which scaling group each instance of a rebuild rule is a member of, written on the instance itself.

A group lets a member that does not run go within a minute or two and fills its place. Whoever looks after that can only
know it from here; without it the place would be filled twice.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.rebuild import IN_GROUP, ISOLATED, NO_GROUP
from shared.ports.compute import Instances
from shared.ports.scaling import Scaling


@dataclass(slots=True, kw_only=True)
class RememberGroups:
    scaling: Scaling
    instances: Instances

    def run(self, selected: Sequence[Instance]) -> None:
        """Only of those that run: what its group let go because it does not must keep its mark."""
        alive = [one for one in selected if one.state is InstanceState.RUNNING and ISOLATED not in one.tags]
        members = self.scaling.memberships([one.id for one in alive]) if alive else {}
        changed: dict[str, list[InstanceId]] = defaultdict(list)
        for one in alive:
            group = members[one.id].group if one.id in members else NO_GROUP
            if one.tags.get(IN_GROUP, NO_GROUP) != group:
                changed[group].append(one.id)
        for group, ids in sorted(changed.items()):
            self.instances.tag(ids, resource_type="instance", tags={IN_GROUP: group})
