"""Classic load balancers on the wire: version 2014-05-15.

Source: SDK alibabacloud_slb20140515 3.3.31. What is not modelled of the service as a whole is said in `model`.
"""

from typing import TYPE_CHECKING

from emulator.slb.api.backends import Backends
from emulator.slb.api.balancers import Balancers
from emulator.slb.api.groups import Groups
from emulator.slb.api.listeners import Listeners
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2014-05-15"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    found: dict[tuple[str, str], Operation] = {}
    for part in (Balancers(realm), Backends(realm.slb), Listeners(realm.slb), Groups(realm.slb)):
        for name in vars(type(part)):
            if name[0].isupper():
                found[VERSION, name] = getattr(part, name)
    return found
