"""The `private_zones` section of a seed file:
`[{id, name, dns_group, proxy_pattern, vpcs: [{region, vpc}], records: [{rr, type, value, ttl, weight, status, ...}]}]`.

`weighted: true` on a record opens weighted answers for its name and type.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.pvtz.model import BoundVpc
from emulator.pvtz.records import DISABLE

if TYPE_CHECKING:
    from emulator.realm import Realm


def load(section: Sequence[Mapping[str, Any]], realm: "Realm") -> None:
    for entry in section:
        zone = realm.pvtz.add_zone(
            str(entry["name"]),
            id=entry.get("id"),
            proxy_pattern=str(entry.get("proxy_pattern", "ZONE")),
            group=entry.get("dns_group"),
        )
        if vpcs := entry.get("vpcs", ()):
            realm.pvtz.bind(zone.id, tuple(BoundVpc(region=v["region"], vpc=v["vpc"]) for v in vpcs), known=False)
        for row in entry.get("records", ()):
            record = realm.pvtz.add_record(
                zone.id,
                rr=str(row["rr"]),
                type=str(row["type"]),
                value=str(row["value"]),
                ttl=row.get("ttl"),
                weight=row.get("weight"),
                priority=row.get("priority"),
                remark=str(row.get("remark", "")),
            )
            if str(row.get("status", "")).upper() == DISABLE:
                realm.pvtz.set_status(record.id, DISABLE)
            if row.get("weighted"):
                realm.pvtz.open_weights(zone.id, record.rr, record.type, True)
