"""The `load_balancers` section of a seed file:
`[{id, name, address, master_zone, slave_zone, listeners: [{port, backend_port, group, health: {...}}],
backends: [{server, weight}], groups: [{id, name, backends: [{server, port, weight}]}]}]`.

A listener with a `group` (a vServer group's id) leaves the default pool aside.

`health` takes `interval`, `timeout` (seconds), `healthy`, `unhealthy`, `path`; `health: off` switches the check off.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from emulator.slb.model import Backend, Balancer, Check, Listener

if TYPE_CHECKING:
    from emulator.realm import Realm


def load(section: Sequence[Mapping[str, Any]], realm: "Realm") -> None:
    """Instances come first in a seed: a backend that is not there is refused as the API refuses it."""
    for entry in section:
        realm.slb.add(
            Balancer(
                id=str(entry["id"]),
                name=str(entry.get("name", entry["id"])),
                address=str(entry["address"]),
                created=realm.clock.now(),
                vpc=str(entry.get("vpc", "")),
                vswitch=str(entry.get("vswitch", "")),
                master_zone=str(entry.get("master_zone", "")),
                slave_zone=str(entry.get("slave_zone", "")),
            )
        )
        for row in entry.get("groups", ()):
            members = [
                Backend(server=str(one["server"]), port=int(one["port"]), weight=int(one.get("weight", 100)))
                for one in row.get("backends", ())
            ]
            realm.slb.groups.create(entry["id"], str(row.get("name", "")), members, id=str(row["id"]))
        for row in entry.get("listeners", ()):
            realm.slb.add_listener(entry["id"], _listener(row))
        for row in entry.get("backends", ()):
            realm.slb.attach(entry["id"], [Backend(server=str(row["server"]), weight=int(row.get("weight", 100)))])


def _listener(row: Mapping[str, Any]) -> Listener:
    health = row.get("health", {})
    check = (
        Check(enabled=False)
        if health is False or health == "off"
        else Check(
            path=str(health.get("path", "")),
            interval=timedelta(seconds=float(health.get("interval", 2))),
            timeout=timedelta(seconds=float(health.get("timeout", 5))),
            healthy=int(health.get("healthy", 3)),
            unhealthy=int(health.get("unhealthy", 3)),
        )
    )
    return Listener(
        port=int(row["port"]),
        backend_port=int(row.get("backend_port", row["port"])),
        group=str(row.get("group", "")),
        check=check,
    )
