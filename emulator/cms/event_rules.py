"""Event rules: which system events go to which functions and webhooks, in CloudMonitor's own form.

Source: CloudMonitor API PutEventRule, PutEventRuleTargets (SDK 4.0.10).
Not modelled: contacts, MNS, Log Service and OpenAPI targets (they are kept and shown, and nothing is sent there);
SQL filters. The old function target names a service; for a function of version 3 that is not verified, so the name
alone or `service-name` finds it here (assumption).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from emulator.bus import CloudEvent
from emulator.events.shapes import kind
from emulator.events.target import RAW, FunctionTarget, Target, Webhook

if TYPE_CHECKING:
    from emulator.realm import Realm

TARGET_KINDS: Final = (
    "ContactParameters",
    "FcParameters",
    "MnsParameters",
    "OpenApiParameters",
    "SlsParameters",
    "WebhookParameters",
)
ANY: Final = ("*", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Empty lists and `*` take anything."""

    product: str
    names: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    keyword: str = ""  # CustomFilters: the content contains it

    def takes(self, event: CloudEvent) -> bool:
        return (
            self.product.upper() in ("", "*", event.product.upper())
            and _among(event.name, self.names)
            and _among(event.level, self.levels)
            and _among(kind(event), self.kinds)
            and _among(event.status, self.statuses)
            and (not self.keyword or self.keyword in str(dict(event.content)))
        )


def _among(value: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted or any(one in ANY for one in wanted)


@dataclass(slots=True, kw_only=True, eq=False)
class EventRule:
    name: str
    description: str = ""
    kind: str = "SYSTEM"  # SYSTEM | CUSTOM
    group_id: str = ""
    state: str = "ENABLED"
    silence: int = 0  # seconds: the same event of the same resource is not sent again before (assumption)
    patterns: tuple[Pattern, ...] = ()
    targets: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)  # kind -> id -> fields
    sent: dict[tuple[str, str], datetime] = field(default_factory=dict)


class EventRules:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self.rules: dict[str, EventRule] = {}
        self._listening = False

    def put(self, rule: EventRule) -> None:
        """A rule of that name keeps its targets."""
        old = self.rules.get(rule.name)
        if old is not None:
            rule.targets = old.targets
        self.rules[rule.name] = rule
        if not self._listening:  # without rules nobody listens
            self._realm.bus.subscribe(self._on_event)
            self._listening = True

    def _on_event(self, event: CloudEvent) -> None:
        if event.account != self._realm.account or event.region != self._realm.region:
            return
        for rule in self.rules.values():
            if rule.state == "ENABLED" and any(pattern.takes(event) for pattern in rule.patterns):
                self._send(rule, event)

    def _send(self, rule: EventRule, event: CloudEvent) -> None:
        if rule.silence:
            now, silence = self._realm.clock.now(), timedelta(seconds=rule.silence)
            key = (event.name, event.resource)
            if key in rule.sent and now - rule.sent[key] < silence:
                return
            rule.sent.pop(key, None)
            rule.sent[key] = now
            while now - rule.sent[oldest := next(iter(rule.sent))] >= silence:  # in order of sending
                del rule.sent[oldest]
        for target in self.targets(rule):
            self._realm.cloud.deliveries.deliver(event, target)

    def targets(self, rule: EventRule) -> list[Target]:
        """Those that something is sent to."""
        found: list[Target] = [
            FunctionTarget(function=self._function(fields), trigger=rule.name, shape=RAW)
            for fields in rule.targets.get("FcParameters", {}).values()
        ]
        found += [
            Webhook(url=_url(fields), shape=RAW, method=fields.get("Method", "POST").upper())
            for fields in rule.targets.get("WebhookParameters", {}).values()
        ]
        return found

    def _function(self, fields: Mapping[str, Any]) -> str:
        name, service = fields.get("FunctionName", ""), fields.get("ServiceName", "")
        fc = self._realm.cloud.fc
        full = f"{service}-{name}"
        return full if fc is not None and not fc.project.function(name) and fc.project.function(full) else name


def _url(fields: Mapping[str, str]) -> str:
    url = fields.get("Url", "")
    return url if "://" in url else f"{fields.get('Protocol', 'http').lower()}://{url}"
