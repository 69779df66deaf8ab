"""What Auto Scaling tells CloudMonitor and EventBridge.

The names are documented (`AUTOSCALING:SCALE_OUT_SUCCESS` and the like, statuses Normal, Unnormal and Warn); levels and
content are not (assumption).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from emulator.bus import CloudEvent
from emulator.ess.activity import FAILED, SUCCESSFUL, Activity

if TYPE_CHECKING:
    from emulator.realm import Realm

WORDS: Final = {"ScaleOut": "SCALE_OUT", "ScaleIn": "SCALE_IN"}


def started(realm: "Realm", activity: Activity) -> None:
    if activity.kind:
        _publish(realm, activity, f"{WORDS[activity.kind]}_START", "INFO", "Normal")


def ended(realm: "Realm", activity: Activity) -> None:
    if not activity.kind:
        return
    word = WORDS[activity.kind]
    if activity.status == SUCCESSFUL:
        _publish(realm, activity, f"{word}_SUCCESS", "INFO", "Normal")
    elif activity.status == FAILED:
        _publish(realm, activity, f"{word}_ERROR", "CRITICAL", "Unnormal")
    else:
        _publish(realm, activity, f"{word}_WARN", "WARN", "Warn")


def rejected(realm: "Realm", activity: Activity) -> None:
    _publish(realm, activity, "SCALE_REJECT", "WARN", "Warn")


def _publish(realm: "Realm", activity: Activity, name: str, level: str, status: str) -> None:
    content: Mapping[str, Any] = {
        "scalingGroupId": activity.group_id,
        "scalingActivityId": activity.id,
        "cause": activity.cause,
        "instanceIds": [*activity.created, *activity.destroyed],
        "status": status,
    }
    realm.bus.publish(
        CloudEvent(
            id=realm.chance.request_id(),
            product="ESS",
            name=f"AUTOSCALING:{name}",
            level=level,
            region=realm.region,
            account=realm.account,
            resource=f"scalinggroup/{activity.group_id}",
            at=realm.clock.now(),
            content=content,
        )
    )
