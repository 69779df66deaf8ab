"""Auto Scaling on the wire: version 2022-02-22, whose answers are flat lists.

Source: SDK alibabacloud_ess20220222 1.13.3.
"""

from typing import TYPE_CHECKING

from emulator.ess.api.answers import VERSION
from emulator.ess.api.configurations import Configurations
from emulator.ess.api.groups import Groups
from emulator.ess.api.instances import Instances
from emulator.ess.api.refreshes import RefreshesApi
from emulator.ess.api.sizes import Sizes
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    """Every public method of these is an action, under the action's own name."""
    return {
        (VERSION, name): getattr(api, name)
        for kind in (Groups, Configurations, Instances, Sizes, RefreshesApi)
        for api in (kind(realm.ess),)
        for name in vars(kind)
        if name[0].isupper()
    }
