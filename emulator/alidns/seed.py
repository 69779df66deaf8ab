"""The `public_domains` section of a seed file:
`[{name, edition: version_enterprise_advanced, records: [{rr, type, value, ttl, priority, weight, status, remark}]}]`.

A `weight` opens weighted answers for its name. Without `edition` a domain is of the free one, whose TTLs begin at 600.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.alidns.editions import EDITIONS, FREE

if TYPE_CHECKING:
    from emulator.realm import Realm


def load(section: Sequence[Mapping[str, Any]], realm: "Realm") -> None:
    for entry in section:
        edition = str(entry.get("edition", FREE.code))
        if edition not in EDITIONS:
            raise ValueError(f"public_domains: edition {edition!r} is not one of {', '.join(EDITIONS)}")
        domain = realm.alidns.add_domain(str(entry["name"]), edition=EDITIONS[edition])
        for row in entry.get("records", ()):
            _load_record(row, domain.name, realm)


def _load_record(row: Mapping[str, Any], domain: str, realm: "Realm") -> None:
    alidns = realm.alidns
    record = alidns.add_record(
        domain,
        rr=str(row["rr"]),
        type=str(row["type"]),
        value=str(row["value"]),
        ttl=row.get("ttl"),
        priority=row.get("priority"),
    )
    if "weight" in row:
        alidns.open_weights(alidns.domain(domain), record.rr, record.type, True)
        alidns.set_weight(record.id, int(row["weight"]))
    if remark := str(row.get("remark", "")):
        alidns.set_remark(record.id, remark)
    if status := str(row.get("status", "")):
        alidns.set_status(record.id, status)
