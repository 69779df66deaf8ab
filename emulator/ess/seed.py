"""The `scaling_groups` section of a seed file:
`[{id, name, min, max, desired, cooldown, vswitches: [..], load_balancers: {lb-id: weight or null}, tags: {..},
configuration: {id, image or family, type or types, security_groups: [..], weight, tags: {..}},
members: [{instance, entrusted}], enabled}]`.

Groups are enabled unless they say `enabled: false`; members are in service from the start, at the group's weight.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.ess.configuration import ScalingConfiguration
from emulator.ess.group import ATTACHED, IN_SERVICE, Member, ScalingGroup

if TYPE_CHECKING:
    from emulator.realm import Realm


def load(section: Sequence[Mapping[str, Any]], realm: "Realm") -> None:
    for entry in section:
        group = _group(entry, realm)
        realm.ess.add_group(group)
        if "configuration" in entry:
            configuration = _configuration(entry["configuration"], group, realm)
            realm.ess.configurations[configuration.id] = configuration
            group.configuration_id = configuration.id
        for row in entry.get("members", ()):
            _member(row, group, realm)
        if entry.get("enabled", True):
            realm.ess.enable(group, None)


def _group(entry: Mapping[str, Any], realm: "Realm") -> ScalingGroup:
    now = realm.clock.now()
    vswitches = tuple(str(one) for one in entry["vswitches"])
    return ScalingGroup(
        id=str(entry["id"]),
        name=str(entry.get("name", entry["id"])),
        created=now,
        modified=now,
        min_size=int(entry["min"]),
        max_size=int(entry["max"]),
        desired=None if entry.get("desired") is None else int(entry["desired"]),
        cooldown=int(entry.get("cooldown", 300)),
        vpc_id=realm.ecs.network.vswitch(vswitches[0]).vpc,
        vswitch_ids=vswitches,
        balancers={
            str(balancer): None if weight is None else int(weight)
            for balancer, weight in entry.get("load_balancers", {}).items()
        },
        tags={str(key): str(value) for key, value in entry.get("tags", {}).items()},
    )


def _configuration(entry: Mapping[str, Any], group: ScalingGroup, realm: "Realm") -> ScalingConfiguration:
    new_id = str(entry.get("id", realm.chance.id("asc")))
    return ScalingConfiguration(
        id=new_id,
        name=str(entry.get("name", new_id)),
        group_id=group.id,
        created=realm.clock.now(),
        image_id=str(entry.get("image", "")),
        image_family=str(entry.get("family", "")),
        instance_types=tuple(str(one) for one in entry.get("types", (entry.get("type", "ecs.g7.large"),))),
        security_group_ids=tuple(str(one) for one in entry["security_groups"]),
        instance_name=str(entry.get("instance_name", "")),
        weight=None if entry.get("weight") is None else int(entry["weight"]),
        tags={str(key): str(value) for key, value in entry.get("tags", {}).items()},
    )


def _member(row: Mapping[str, Any], group: ScalingGroup, realm: "Realm") -> None:
    instance = realm.ecs.find_instance(str(row["instance"]))
    member = Member(
        instance_id=instance.id,
        creation=ATTACHED,
        entrusted=bool(row.get("entrusted", False)),
        joined=realm.clock.now(),
        state=IN_SERVICE,
        zone=instance.zone,
        address=instance.private_ip,
    )
    realm.ess.scaling.enrol(group, member)
    realm.ess.scaling.membership.join(group, member)
