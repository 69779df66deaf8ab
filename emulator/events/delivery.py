"""The one place that every event passes on its way out: `Deliveries.deliver(message, target)`.

EventBridge rules of functions, CloudMonitor's event and threshold rules, and webhooks registered by hand all end here.
Faults on the way (late, doubled, reordered, lost) belong to `emulator.faults`: webhooks ask for them here, functions in
their queue, like everything else that is queued for them.
"""

import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.bus import CloudEvent
from emulator.events import oddities, shapes
from emulator.events.alarm import Alarm
from emulator.events.oddities import known
from emulator.events.posting import Posting
from emulator.events.target import (
    CLOUD_EVENT,
    CMS_FORM,
    CMS_JSON,
    DATA,
    RAW,
    THRESHOLD,
    FunctionTarget,
    Target,
    Webhook,
)
from emulator.faults.fault import Asked
from emulator.fc.eventbridge import cloud_event

if TYPE_CHECKING:
    from emulator.cloud import Cloud

LATENCY: Final = timedelta(seconds=1)
"""From the event to the first attempt at its target (assumption: figures are not published)."""
KEPT: Final = 10_000
STATUSES_KEPT: Final = 10_000

Message = CloudEvent | Alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One attempt, for the admin door."""

    at: datetime  # emulated
    to: str
    shape: str
    what: str
    outcome: str  # ok | HTTP status | what went wrong


class Deliveries:
    """All methods belong to the server's loop."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self.log: deque[Delivered] = deque(maxlen=KEPT)
        self.webhooks: dict[str, Webhook] = {}
        self._odd: frozenset[str] = frozenset()
        self._first_status: dict[str, str] = {}  # by event id
        self._numbers = 0
        self._posting = Posting(cloud.clock, self._note)
        self._listening = False

    # What is set up -------------------------------------------------------------------------------------------

    @property
    def odd(self) -> frozenset[str]:
        return self._odd

    @odd.setter
    def odd(self, names: "frozenset[str] | set[str]") -> None:
        """Raises OddityError."""
        self._odd = known(names)

    def add_webhook(self, hook: Webhook) -> str:
        """Everything that its filter takes goes there from now on. Its id."""
        if not self._listening:
            self._cloud.bus.subscribe(self._cloud.outside(self._on_event))
            self._listening = True
        self._numbers += 1
        hook_id = f"wh-{self._numbers}"
        self.webhooks[hook_id] = hook
        return hook_id

    def _on_event(self, event: CloudEvent) -> None:
        for hook in self.webhooks.values():
            if hook.takes(event):
                self.deliver(event, hook)

    def alarm_raised(self, alarm: Alarm) -> None:
        """To webhooks registered by hand for alarms; a rule's own webhook is the rule's business."""
        for hook in self.webhooks.values():
            if hook.shape == THRESHOLD:
                self.deliver(alarm, hook)

    # On the way -----------------------------------------------------------------------------------------------

    def deliver(self, message: Message, target: Target) -> None:
        """Send `message` to `target`, a little later, in the target's shape. Everything that leaves passes here."""
        self._cloud.outside(self._send)(message, target)

    def _send(self, message: Message, target: Target) -> None:
        body, content_type = self._written(message, target)
        times = 2 if oddities.DOUBLED in self._odd else 1
        what = message.name if isinstance(message, CloudEvent) else f"{message.rule_id} {message.state}"
        for _ in range(times):
            self._cloud.clock.call_later(
                LATENCY, lambda: self._arrive(target, body, content_type, what), f"event {what}"
            )

    def _arrive(self, target: Target, body: str, content_type: str, what: str) -> None:
        if isinstance(target, Webhook):
            asked = Asked(service="webhook", action=what, function=target.url, triggers=(target.shape, "webhook"))
            send = lambda: self._posting.post(target, body, content_type, what)  # noqa: E731
            self._cloud.faults.deliveries.send(asked, send, f"webhook {what}")
            return
        fc = self._cloud.fc
        if fc is None:
            self._note(target.function, target.shape, what, "no function compute: start it with an s.yaml")
            return
        outcome = fc.event_arrived(target.function, body.encode(), trigger=target.trigger)
        self._note(target.function, target.shape, what, outcome)

    def _note(self, to: str, shape: str, what: str, outcome: str) -> None:
        self.log.append(Delivered(at=self._cloud.clock.now(), to=to, shape=shape, what=what, outcome=outcome))

    # Its words ------------------------------------------------------------------------------------------------

    def _written(self, message: Message, target: Target) -> tuple[str, str]:
        if isinstance(message, Alarm):
            if target.shape != THRESHOLD:
                raise ValueError(f"an alarm has only the shape {THRESHOLD}, not {target.shape}")
            return shapes.threshold(message, odd=self._odd), shapes.FORM
        name = self._name(message)
        match target.shape:
            case "cloud-event" | "data":
                told = cloud_event(message, published=self._cloud.clock.now())
                if oddities.PRC_TIME in self._odd:
                    told["aliyunpublishtime"] = told["aliyunpublishtime"].removesuffix("Z") + "PRC"
                return json.dumps(told["data"] if target.shape == DATA else told), shapes.JSON
            case "raw":
                return json.dumps(shapes.raw(message, name=name, odd=self._odd)), shapes.JSON
            case "cms-json" | "cms-form":
                wrapper = shapes.subscription(
                    message, name=name, batch=message.id, conditions=_conditions(target), odd=self._odd
                )
                if target.shape == CMS_FORM:
                    return shapes.as_form(wrapper), shapes.FORM
                return json.dumps(wrapper), shapes.JSON
        raise ValueError(f"an event has one of the shapes {CLOUD_EVENT}, {DATA}, {RAW}, {CMS_JSON}, {CMS_FORM}")

    def _name(self, event: CloudEvent) -> str:
        """With the status of the event's first notification, if that oddity is on."""
        stem, colon, status = event.name.rpartition(":")
        event_id = event.content.get("eventId")
        if not event_id or ":" not in stem:
            return event.name
        first = self._first_status.setdefault(str(event_id), status)
        if len(self._first_status) > STATUSES_KEPT:
            del self._first_status[next(iter(self._first_status))]
        return f"{stem}{colon}{first}" if oddities.STALE_STATUS in self._odd else event.name


def _conditions(target: Target) -> list[dict[str, str]]:
    if isinstance(target, FunctionTarget):
        return []
    return [{"field": name, "op": "EQ", "value": value} for name, values in target.filter.items() for value in values]
