"""Alidns on the wire: version 2015-01-09. Spelled `RR`, `TTL` here (PrivateZone spells `Rr`, `Ttl`); a RecordId is a
text, and no call takes a ClientToken. The service is global: every region's endpoint leads to the same domains.

Source: SDK alibabacloud_alidns20150109 4.6.1. Messages are English whatever `Lang` says.
"""

from typing import TYPE_CHECKING

from emulator.alidns.api.domains import Domains
from emulator.alidns.api.records import Records
from emulator.alidns.api.weights import Weights
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2015-01-09"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    found: dict[tuple[str, str], Operation] = {}
    for part in (Domains(realm.alidns), Records(realm.alidns), Weights(realm.alidns)):
        for name in vars(type(part)):
            if name[0].isupper():
                found[VERSION, name] = getattr(part, name)
    return found
