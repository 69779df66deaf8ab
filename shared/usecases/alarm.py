"""A notice says "look now"; this decides who looks at what, and writes down when nobody does.

Nothing is decided here about the world: a lost or doubled notice changes only how soon somebody looks.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.inventory import Instance
from shared.domain.policy import Policy, RebuildRule
from shared.domain.rebuild import ISOLATED, RECENT, unplanned
from shared.domain.selection import selects
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.ports.functions import Functions
from shared.state.decisions import Decisions
from shared.state.deliveries import Deliveries
from shared.state.policies import Policies
from shared.triggers.parse import parse_request
from shared.triggers.trigger import (
    AlarmState,
    CloudEvents,
    EventKind,
    EventStatus,
    HttpRequest,
    SystemEventNotice,
    ThresholdAlarm,
    Trigger,
)
from shared.usecases.look import instance_of
from shared.usecases.suspicion import Suspicion, Suspicions, hand_over

SLOT: Final = timedelta(minutes=10)
"""Alarms without an event id are one trouble when they fall into the same ten minutes."""
STALE: Final = timedelta(hours=6)
"""Older notices are told as such; they still mean "look now"."""


class WrongSecret(BadInput):
    """Somebody who does not know the secret called the webhook."""


class _Reaction(Enum):
    REBUILD = "a rebuild operation looks at it"
    LOOK = "no failure event came with it, so the world is looked at"
    ASK = "only a failure event that the API knows would make it ours"
    BACKUP = "unfinished backups go on"
    NOTE = "nothing to do"


_REACTIONS: Final[Mapping[EventKind, tuple[_Reaction, str]]] = {
    EventKind.INSTANCE_TROUBLE: (_Reaction.REBUILD, "an unplanned failure"),
    EventKind.INSTANCE_MAINTENANCE: (_Reaction.NOTE, "planned maintenance, announced a day or two ahead"),
    EventKind.INSTANCE_STATE: (_Reaction.ASK, "a change of state alone may be somebody's intention"),
    EventKind.INSTANCE_INTERRUPTION: (_Reaction.LOOK, "the cloud takes the instance back"),
    EventKind.DISK_TROUBLE: (_Reaction.LOOK, "a disk is in trouble"),
    EventKind.DISK_OPERATION: (_Reaction.NOTE, "a disk was attached or detached"),
    EventKind.SNAPSHOT: (_Reaction.BACKUP, "a snapshot changed"),
    EventKind.OTHER: (_Reaction.LOOK, "an event about one of our instances"),
}
_OVER: Final = frozenset({EventStatus.AVOIDED, EventStatus.CANCELED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of the notices."""

    acted: tuple[str, ...] = ()  # operations and functions that were called
    noted: tuple[str, ...] = ()  # why nothing was done about the others


class Alarm:
    def __init__(
        self,
        *,
        inventory: Inventory,
        policies: Policies,
        suspicions: Suspicions,
        deliveries: Deliveries,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
        secret: Callable[[], str],
    ) -> None:
        self._inventory = inventory
        self._policies = policies
        self._suspicions = suspicions
        self._deliveries = deliveries
        self._decisions = decisions
        self._functions = functions
        self._clock = clock
        self._secret = secret

    def run(self, trigger: Trigger, *, run: str) -> Answer:
        """Raises BadInput for a trigger that is no notice, WrongSecret for a webhook call without the secret (and then
        nothing was read or done), Retryable when the store or the inventory did not answer (send it again)."""
        if isinstance(trigger, HttpRequest):
            self._check(trigger)
            trigger = parse_request(trigger)
        if isinstance(trigger, ThresholdAlarm):
            return self._together([self._threshold(trigger, run)])
        if isinstance(trigger, CloudEvents):
            for line in trigger.rejected:
                log.event("notice.unreadable", run=run, because=line)
            return self._together([self._notice(notice, run) for notice in trigger.notices])
        raise BadInput(
            f"alarm: a {type(trigger).__name__} is no alarm. Send a system event or a threshold callback; "
            "events/README.md lists their shapes."
        )

    def _check(self, request: HttpRequest) -> None:
        """CloudMonitor cannot sign its calls, so the URL carries a secret. Compared in constant time, as bytes."""
        given = request.query.get("token", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._secret().encode()):
            raise WrongSecret(
                "webhook: the token in the query is missing or wrong, nothing was done. "
                "Call it as ?token=, with the value of UNDERSTUDY_WEBHOOK_SECRET in s.yaml."
            )

    def _notice(self, notice: SystemEventNotice, run: str) -> Decision | None:
        reaction, kind = _REACTIONS[notice.kind]
        if notice.kind is EventKind.SNAPSHOT:
            return self._backup(notice, run)
        if notice.status in _OVER or reaction is _Reaction.NOTE:
            return self._note(notice, run, f"{kind}; {notice.status or notice.outcome or notice.type}: nothing to do")
        if notice.instance is None:
            return self._note(notice, run, "names no instance")
        at = notice.started or notice.at
        if reaction is _Reaction.REBUILD:
            event = notice.event_id or self._slot(at)
        elif reaction is _Reaction.ASK:
            known = self._known_failure(notice.instance)
            if known is None:
                return self._note(notice, run, f"{kind}, and the API knows of no failure")
            event = known
        else:
            event = self._known_failure(notice.instance) or self._slot(at)
        told = f"{notice.type} {notice.status or notice.outcome}".strip()
        return self._follow(notice.instance, event, at, notice.status.rank, notice.logical_key, f"{kind}: {told}", run)

    def _threshold(self, alarm: ThresholdAlarm, run: str) -> Decision | None:
        told = f"threshold alarm {alarm.name or alarm.rule}: {alarm.metric} is {alarm.value} ({alarm.state})"
        if alarm.state is not AlarmState.ALERT or alarm.instance is None:
            why = "names no instance" if alarm.state is AlarmState.ALERT else "not an alert"
            return self._tell("alarm.noted", alarm.instance or alarm.rule, (why, told), alarm.logical_key, run)
        event = self._known_failure(alarm.instance) or self._slot(alarm.at)
        return self._follow(alarm.instance, event, alarm.at, 0, alarm.logical_key, told, run)

    def _follow(
        self, instance: InstanceId, event: str, at: datetime | None, rank: int, key: str, told: str, run: str
    ) -> Decision | None:
        version, policy = self._policies.active()
        found = instance_of(self._inventory, instance)
        rule = None if found is None else _rule_for(policy, found)
        if found is None or rule is None:
            return self._tell("alarm.not_ours", instance, (_why_not(policy, instance, found), told), key, run, version)
        if self._deliveries.seen(key):
            return None
        suspicion = Suspicion(
            instance=instance, event=event, because=told, failed_at=at or self._clock.now(), rank=rank
        )
        opened = self._suspicions.follow(suspicion, rule, version)
        because = (opened.because, told) if opened.because != told else (told,)
        made = self._tell(
            "alarm.followed" if opened.operation else "alarm.noted",
            instance,
            because,
            key,
            run,
            version,
            operation=opened.operation,
            at=at,
        )
        # Last, so that a crash before this leaves a notice that is looked at again: looking twice is harmless.
        self._deliveries.first_time(key)
        return made

    def _backup(self, notice: SystemEventNotice, run: str) -> Decision | None:
        if not self._deliveries.first_time(notice.logical_key):
            return None
        hand_over(self._functions, "backup", {"look": "now"})
        because = (f"snapshot {notice.snapshot}: {notice.type} {notice.outcome}".strip(),)
        return self._tell(
            "alarm.followed", notice.snapshot or "", because, notice.logical_key, run, operation="backup", store=False
        )

    def _note(self, notice: SystemEventNotice, run: str, because: str) -> Decision:
        subject = notice.instance or notice.disk or notice.snapshot or notice.product
        told = f"{notice.type} {notice.status or notice.outcome}".strip()
        return self._tell("alarm.noted", subject, (because, told), notice.logical_key, run)

    def _known_failure(self, instance: InstanceId) -> str | None:
        """The id of its present failure as the API has it, so that an alarm and the event are one trouble."""
        events = tuple(self._inventory.system_events(instance))
        failure = unplanned(events, since=self._clock.now() - RECENT)
        return failure.id if failure else None

    def _slot(self, at: datetime | None) -> str:
        moment = at or self._clock.now()
        seconds = int(moment.timestamp()) // int(SLOT.total_seconds()) * int(SLOT.total_seconds())
        return f"look-{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%MZ}"

    def _tell(
        self,
        event: str,
        subject: str,
        because: tuple[str, ...],
        key: str,
        run: str,
        policy: PolicyVersion | None = None,
        *,
        operation: str | None = None,
        at: datetime | None = None,
        store: bool = True,
    ) -> Decision:
        now = self._clock.now()
        age = now - at if at else timedelta(0)
        stale = (f"the notice is {int(age.total_seconds())} s old",) if age > STALE else ()
        made = Decision(
            event=event,
            at=now,
            subject=subject,
            because=(*because, *stale),
            inputs={"key": key} | ({"operation": operation} if operation else {}),
            policy=policy,
            acted=operation is not None,
            run=run,
        )
        log.decision(made)
        if store:
            self._decisions.record(subject, made)
        return made

    @staticmethod
    def _together(made: list[Decision | None]) -> Answer:
        told = [one for one in made if one is not None]
        return Answer(
            acted=tuple(dict.fromkeys(one.inputs["operation"] for one in told if one.acted)),
            noted=tuple(f"{one.subject}: {one.because[0]}" for one in told if not one.acted),
        )


def _rule_for(policy: Policy, instance: Instance) -> RebuildRule | None:
    if ISOLATED in instance.tags:
        return None
    return next((rule for rule in policy.rebuilds if selects(rule.select, instance)), None)


def _why_not(policy: Policy, id: InstanceId, instance: Instance | None) -> str:
    if instance is None:
        return "the inventory does not list this instance: it is not ours, was released, or our role may not see it"
    if ISOLATED in instance.tags:
        return f"it was already replaced (by {instance.tags[ISOLATED]}) and is kept in isolation"
    if any(member.instance == id for pair in policy.pairs for member in pair.members):
        return "it is a region master: failover's business, not a rebuild's"
    return "no rebuild rule selects this instance"
