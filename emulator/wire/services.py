"""The RPC services, by the version that names them on the wire, and the operations each one offers."""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSIONS: Final[Mapping[str, str]] = {
    "2014-05-26": "ecs",
    "2018-01-01": "pvtz",
    "2014-05-15": "slb",
    "2015-01-09": "alidns",
    "2016-04-28": "vpc",
    "2022-02-22": "ess",
    "2019-01-01": "cms",
    "2015-04-01": "sts",
}
"""Versions are unique among these services (rpc-wire: several products share action names, so both are needed)."""

GLOBAL: Final = frozenset(["pvtz", "alidns", "sts"])
"""Services without a region: their resources belong to the account."""


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    """`emulator/<service>/rpc.py: operations(realm)` of every service that is modelled."""
    found: dict[tuple[str, str], Operation] = {}
    for service in VERSIONS.values():
        name = f"emulator.{service}.rpc"
        if importlib.util.find_spec(f"emulator.{service}") and importlib.util.find_spec(name):
            found.update(importlib.import_module(name).operations(realm))
    return found
