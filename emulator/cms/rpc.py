"""CloudMonitor on the wire: version 2019-01-01. Source: SDK alibabacloud_cms20190101 4.0.10."""

from typing import TYPE_CHECKING

from emulator.cms.api.answers import VERSION
from emulator.cms.api.events import EventsApi
from emulator.cms.api.metric_rules import MetricRulesApi
from emulator.cms.api.metrics import MetricsApi
from emulator.wire.call import Operation

if TYPE_CHECKING:
    from emulator.realm import Realm


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    """Every public method of the three is an action, under the action's own name."""
    return {
        (VERSION, name): getattr(api, name)
        for part in (MetricsApi, MetricRulesApi, EventsApi)
        for api in (part(realm.cms),)
        for name in vars(part)
        if name[0].isupper()
    }
