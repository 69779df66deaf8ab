"""The ECS part of a seed file: zones, network, images and instances with their disks, all standing and running."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from emulator.ecs.blocks import GIB, Volume
from emulator.ecs.disks import CATEGORIES
from emulator.ecs.images import Image, Mapped
from emulator.ecs.instances import Instance
from emulator.ecs.network import VSwitch
from emulator.ecs.security_groups import INGRESS, Rule, SecurityGroup, accept_all

if TYPE_CHECKING:
    from emulator.realm import Realm

KEYS: Mapping[str, tuple[str, ...]] = {
    "vpc": ("id", "cidr"),
    "vswitches": ("id", "zone", "cidr", "gateway"),
    "security_groups": ("id", "vpc", "name", "rules"),
    "rules": ("port", "from", "protocol", "policy", "priority"),
    "images": ("id", "name", "family", "system_disk_gib", "used_gib", "tags", "guest"),
    "instances": (
        "id", "name", "image", "vswitch", "address", "type", "tags", "system_disk", "data_disks", "state",
        "security_groups", "host_name", "key_pair",
    ),
    "system_disk": ("id", "size_gib", "category", "used_gib", "tags"),
    "data_disks": ("id", "size_gib", "category", "used_gib", "tags", "device"),
    "guest": ("command", "ports", "env", "assistant"),
}  # fmt: skip


def check_keys(entry: object, section: str, where: str) -> dict[str, Any]:
    """The entry as a mapping; ValueError that names a key nobody knows."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected a mapping, got {type(entry).__name__}")
    for key in entry:
        if key not in KEYS[section]:
            raise ValueError(f"{where}: unknown key {key!r}; the keys are {', '.join(KEYS[section])}")
    return entry


def load(section: Mapping[str, Any], realm: "Realm") -> None:
    region = section.get("region", realm.region)
    if region != realm.region:
        raise ValueError(
            f"region: the file is for {region}, the emulator serves {realm.region}; start it with --region {region}"
        )
    ecs = realm.ecs
    if section.get("zones"):
        ecs.zones = tuple(str(zone) for zone in section["zones"])
    vpc = check_keys(section.get("vpc") or {"id": "vpc-default", "cidr": "10.0.0.0/8"}, "vpc", "vpc")
    ecs.network.vpcs[vpc["id"]] = str(vpc["cidr"])
    for entry in section.get("vswitches") or ():
        check_keys(entry, "vswitches", f"vswitches[{entry.get('id')}]")
        if entry["zone"] not in ecs.zones:
            raise ValueError(f"vswitches[{entry['id']}].zone: {entry['zone']} is not one of {', '.join(ecs.zones)}")
        ecs.network.vswitches[entry["id"]] = VSwitch(
            id=entry["id"], vpc=vpc["id"], zone=entry["zone"], cidr=IPv4Network(entry["cidr"]),
            gateway=str(entry.get("gateway", "")),
        )  # fmt: skip
    for entry in section.get("security_groups") or ():
        check_keys(entry, "security_groups", "security_groups")
        _security_group(entry, str(vpc["id"]), realm)
    for entry in section.get("images") or ():
        _image(check_keys(entry, "images", f"images[{entry.get('id')}]"), realm)
    for entry in section.get("instances") or ():
        _instance(check_keys(entry, "instances", f"instances[{entry.get('id')}]"), realm)


def _security_group(entry: Mapping[str, Any], vpc: str, realm: "Realm") -> None:
    """Without `rules` everything gets in. A rule is `{port: 80}`, `{port: "8000/8010", from: 10.0.0.0/8}` or
    `{from: sg-other}`; others are TCP, accepting, of priority 1 unless they say so."""
    if entry.get("vpc", vpc) != vpc:
        raise ValueError(f"security_groups[{entry['id']}].vpc: {entry['vpc']} is not the vpc of this file, {vpc}")
    group = SecurityGroup(id=str(entry["id"]), vpc=vpc, name=str(entry.get("name", "")), created=realm.clock.now())
    if "rules" not in entry:
        group.rules.append(accept_all(group.created, f"sgr-{group.id.removeprefix('sg-')}"))
    for number, rule in enumerate(entry.get("rules") or ()):
        where = f"security_groups[{group.id}].rules[{number}]"
        check_keys(rule, "rules", where)
        first, _, last = str(rule.get("port", "-1/-1")).partition("/")
        source = str(rule.get("from", "0.0.0.0/0"))
        named = source.startswith("sg-")
        if not named:
            IPv4Network(source)
        group.rules.append(
            Rule(
                id=f"sgr-{group.id.removeprefix('sg-')}-{number}", direction=INGRESS, created=group.created,
                protocol=str(rule.get("protocol", "TCP")).upper(), first_port=int(first), last_port=int(last or first),
                peer_cidr="" if named else source, peer_group=source if named else "",
                policy=str(rule.get("policy", "Accept")).capitalize(), priority=int(rule.get("priority", 1)),
            )
        )  # fmt: skip
    realm.ecs.security_groups.shelf.add(group)


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in (entry.get("tags") or {}).items()}


def _image(entry: Mapping[str, Any], realm: "Realm") -> None:
    guest = entry.get("guest")
    if guest is not None:
        check_keys(guest, "guest", f"images[{entry['id']}].guest")
        guest = {
            "command": [str(part) for part in guest["command"]],
            "ports": [int(port) for port in guest.get("ports") or ()],
            "env": {str(name): str(value) for name, value in (guest.get("env") or {}).items()},
            **({"assistant": True} if guest.get("assistant") else {}),
        }
    realm.ecs.images.shelf.add(
        Image(
            id=entry["id"],
            name=entry.get("name", entry["id"]),
            family=entry.get("family", ""),
            description="",
            created=realm.clock.now(),
            mappings=(
                Mapped(
                    kind="system", device="/dev/xvda", size_gib=int(entry.get("system_disk_gib", 20)), snapshot=None
                ),
            ),
            status="Available",
            guest=guest,
            used_gib=float(entry.get("used_gib", 2)),
            tags=_tags(entry),
        )
    )


def _instance(entry: Mapping[str, Any], realm: "Realm") -> None:
    ecs = realm.ecs
    where = f"instances[{entry['id']}]"
    image = ecs.images.shelf.get(entry["image"])
    if image is None:
        raise ValueError(f"{where}.image: {entry['image']} is not one of the images of this file")
    vswitch = ecs.network.vswitches.get(entry["vswitch"])
    if vswitch is None:
        raise ValueError(f"{where}.vswitch: {entry['vswitch']} is not one of the vswitches of this file")
    state = str(entry.get("state", "Running"))
    if state not in ("Running", "Stopped"):
        raise ValueError(f"{where}.state: {state!r} is neither Running nor Stopped")
    groups = tuple(entry.get("security_groups") or tuple(ecs.network.security_groups)[:1])
    ecs.network.check_security_groups(groups, vswitch.vpc)
    instance = Instance(
        id=entry["id"],
        name=str(entry.get("name", entry["id"])),
        zone=vswitch.zone,
        vpc_id=vswitch.vpc,
        vswitch_id=vswitch.id,
        private_ip=ecs.network.take(vswitch, entry["id"], entry.get("address")),
        image_id=image.id,
        instance_type=str(entry.get("type", "ecs.g7.large")),
        security_group_ids=groups,
        created=realm.clock.now(),
        state=state,
        guest=image.guest,
        host_name=str(entry.get("host_name", entry.get("name", entry["id"]))),
        key_pair=str(entry.get("key_pair", "")),
        started=realm.clock.now(),
        tags=_tags(entry),
    )
    if instance.id in ecs.shelf:
        raise ValueError(f"{where}: there are two instances of this id")
    ecs.put(instance)
    system = check_keys(entry.get("system_disk") or {}, "system_disk", f"{where}.system_disk")
    size = int(system.get("size_gib", image.system.size_gib))
    volume = image.system_volume(size)
    if "used_gib" in system:
        volume = Volume(size * GIB, filled=int(float(system["used_gib"]) * GIB))
    _disk(system, "system", size, instance, realm, volume, "/dev/vda")
    for number, data in enumerate(entry.get("data_disks") or ()):
        check_keys(data, "data_disks", f"{where}.data_disks[{number}]")
        size = int(data["size_gib"])
        volume = Volume(size * GIB, filled=int(float(data.get("used_gib", 0)) * GIB))
        _disk(data, "data", size, instance, realm, volume, data.get("device"))


def _disk(
    entry: Mapping[str, Any],
    kind: str,
    size: int,
    instance: Instance,
    realm: "Realm",
    volume: Volume,
    device: str | None,
) -> None:
    category = str(entry.get("category", "cloud_essd"))
    if category not in CATEGORIES:
        raise ValueError(f"instances[{instance.id}]: category {category!r} is not one of {', '.join(CATEGORIES)}")
    disk = realm.ecs.disks.add(
        kind=kind, category=category, size_gib=size, zone=instance.zone, volume=volume, id=entry.get("id"),
        tags=_tags(entry) or dict(instance.tags), image_id=instance.image_id if kind == "system" else "",
        delete_with_instance=kind == "system",
    )  # fmt: skip
    realm.ecs.disks.hang(disk, instance, device)
