"""What can wake a function, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import DiskId, InstanceId, SnapshotId

JsonObject = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTick:
    """A planned tick. `trigger_time` (UTC), not the clock, is its identity; it may be hours old or come twice."""

    trigger_time: datetime
    name: str
    payload: str = ""  # exactly the string of s.yaml, not parsed


class EventKind(StrEnum):
    """What an event is about, as far as anybody here acts on the difference."""

    INSTANCE_TROUBLE = "instance_trouble"  # SystemFailure.*, InstanceFailure.*: unplanned, no warning
    INSTANCE_MAINTENANCE = "instance_maintenance"  # SystemMaintenance.*: planned, 24-48 h ahead
    INSTANCE_STATE = "instance_state"  # StateChange
    INSTANCE_INTERRUPTION = "instance_interruption"  # a spot instance leaves in 5 minutes
    DISK_TROUBLE = "disk_trouble"  # Stalled, ErrorDetected
    DISK_OPERATION = "disk_operation"
    SNAPSHOT = "snapshot"  # CreateSnapshotCompleted and its like
    OTHER = "other"


class EventStatus(StrEnum):
    """Life of one system event; the same words as `inventory.SystemEvent.status`. NONE: the event has no life cycle."""

    NONE = ""
    INQUIRING = "inquiring"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    EXECUTED = "executed"
    AVOIDED = "avoided"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """Order in which statuses follow each other: all final ones are equal. Notifications may come in any order."""
        return _RANK[self]

    @property
    def final(self) -> bool:
        return self.rank == _FINAL


_FINAL = 4
_RANK: Mapping[EventStatus, int] = {
    EventStatus.NONE: 0,
    EventStatus.INQUIRING: 1,
    EventStatus.SCHEDULED: 2,
    EventStatus.EXECUTING: 3,
    EventStatus.EXECUTED: _FINAL,
    EventStatus.AVOIDED: _FINAL,
    EventStatus.CANCELED: _FINAL,
    EventStatus.FAILED: _FINAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemEventNotice:
    """One notification about one resource, whichever way it came.

    `logical_key` is the same by every route; `transport_key` (the sender's id) differs by route and is empty in
    test events. Neither is unique in time: status changes of one event have one `event_id` and different keys.
    """

    kind: EventKind
    type: str  # SystemFailure.Reboot, StateChange, CreateSnapshotCompleted, ...
    status: EventStatus
    logical_key: str
    transport_key: str = ""
    product: str = "ECS"
    region: str = ""
    event_id: str = ""
    instance: InstanceId | None = None
    disk: DiskId | None = None
    snapshot: SnapshotId | None = None
    resource: str = ""  # id of what the envelope names, of whatever product; "" when it names nothing
    at: datetime | None = None  # when it happened or was published, by the cloud's clock, UTC
    started: datetime | None = None
    finished: datetime | None = None
    outcome: str = (
        ""  # lower case: accomplished | failed, the new state of a StateChange, the action of an interruption
    )
    resolved: bool = False  # a CMS subscription says that the alert is over
    route: str = ""  # cms | eventbridge | subscription | bare


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvents:
    """One or more notices. `rejected` says, one line each, which items of a batch could not be read."""

    notices: tuple[SystemEventNotice, ...]
    rejected: tuple[str, ...] = ()


class AlarmState(StrEnum):
    OK = "ok"
    ALERT = "alert"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdAlarm:
    """A metric crossed its line. Sent once per mute period (an hour to a day): a lost one is not repeated soon."""

    rule: str
    name: str
    metric: str
    namespace: str
    state: AlarmState
    dimensions: Mapping[str, str]
    instance: InstanceId | None
    value: str
    level: str  # lower case: critical | warn | info | ok
    at: datetime | None
    logical_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A JSON object of our own: one function calling another, or the operator's command."""

    payload: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request by an HTTP trigger. The body is decoded from base64 but not read: authenticate first, then
    `parse.parse_request`."""

    method: str  # upper case
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    source_address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRecord:
    """What Function Compute says when it has given up on (or finished) an asynchronous invocation."""

    function: str  # as deployed, e.g. understudy-backup; may be empty
    condition: str
    attempts: int
    payload: str  # the original event's text
    error_type: str = ""
    error_message: str = ""
    request_id: str = ""
    status_code: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """An empty event: somebody pressed the button. Does what a tick would do."""


Trigger = TimerTick | CloudEvents | ThresholdAlarm | Invocation | HttpRequest | DestinationRecord | Nothing
