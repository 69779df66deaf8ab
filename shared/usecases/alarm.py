"""A notice says "look now"; this decides who looks at what, and writes down when nobody does.

Nothing is decided here about the world: a lost or doubled notice changes only how soon somebody looks.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.inventory import Instance
from shared.domain.policy import Policy, RebuildRule
from shared.domain.rebuild import ISOLATED, RECENT, failovers_business, master_of, unplanned
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
from shared.usecases.failover.wake_watches import WakeWatches, WatchNotCalled, concerned, sites_of
from shared.usecases.recovery.look import instance_of
from shared.usecases.recovery.suspicion import Suspicion, Suspicions, hand_over, slot_of

STALE: Final = timedelta(hours=6)
"""Older notices are told as such; they still mean "look now"."""
SEVERAL: Final = ", "


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
class _Heard:
    """What one notice says, whatever its shape."""

    key: str
    subject: str
    told: str
    at: datetime | None


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
        watches: WakeWatches,
        clock: Clock,
        secret: Callable[[], str | None],
    ) -> None:
        self._inventory = inventory
        self._policies = policies
        self._suspicions = suspicions
        self._deliveries = deliveries
        self._decisions = decisions
        self._functions = functions
        self._watches = watches
        self._clock = clock
        self._secret = secret

    def run(self, trigger: Trigger, *, run: str) -> Answer:
        """Raises BadInput for a trigger that is no notice, WrongSecret for a webhook call without the secret (and then
        nothing was read or done), Retryable when the store or the inventory did not answer, or a watch could not be
        called (send it again)."""
        if isinstance(trigger, HttpRequest):
            self._check(trigger)
            trigger = parse_request(trigger)
        if isinstance(trigger, ThresholdAlarm):
            return self._together([self._threshold(trigger, run)])
        if isinstance(trigger, CloudEvents):
            for line in trigger.rejected:
                log.event("notice.unreadable", run=run, because=line)
            return self._together(self._each(trigger.notices, run))
        raise BadInput(
            f"alarm: a {type(trigger).__name__} is no alarm. Send a system event or a threshold callback; "
            "events/README.md lists their shapes."
        )

    def _check(self, request: HttpRequest) -> None:
        """CloudMonitor cannot sign its calls, so the URL carries a secret. Compared in constant time, as bytes."""
        given, secret = request.query.get("token", "").encode("utf-8", "replace"), self._secret()
        if not secret:
            raise WrongSecret(
                "webhook: UNDERSTUDY_WEBHOOK_SECRET is not set, so every call is refused; set it in s.yaml"
            )
        if not hmac.compare_digest(given, secret.encode()):
            raise WrongSecret(
                "webhook: the token in the query is missing or wrong, nothing was done. "
                "Call it as ?token=, with the value of UNDERSTUDY_WEBHOOK_SECRET in s.yaml."
            )

    def _each(self, notices: Iterable[SystemEventNotice], run: str) -> list[Decision | None]:
        """A watch that cannot be called keeps no rebuild of the same batch waiting."""
        made: list[Decision | None] = []
        unheard: WatchNotCalled | None = None
        for notice in notices:
            try:
                made.append(self._notice(notice, run))
            except WatchNotCalled as error:
                unheard = error
        if unheard is not None:
            raise unheard
        return made

    def _notice(self, notice: SystemEventNotice, run: str) -> Decision | None:
        if self._deliveries.seen(notice.logical_key):
            return None
        reaction, kind = _REACTIONS[notice.kind]
        told = f"{notice.type} {notice.status or notice.outcome}".strip()
        subject = notice.instance or notice.disk or notice.snapshot or notice.product
        heard = _Heard(key=notice.logical_key, subject=subject, told=f"{kind}: {told}", at=notice.started or notice.at)
        if reaction is _Reaction.BACKUP:
            hand_over(self._functions, "backup", {"look": "now"})
            return self._tell(heard, run, "unfinished backups go on", called=("backup",))
        idle = notice.status in _OVER or reaction is _Reaction.NOTE
        if not idle or (notice.kind is EventKind.INSTANCE_MAINTENANCE and notice.status is EventStatus.EXECUTING):
            told_watches = self._of_a_pair(heard, (notice.instance or "", notice.resource), run)
            if told_watches is not None:
                return told_watches
        if idle:
            return self._tell(heard, run, "nothing to do")
        if notice.instance is None:
            return self._tell(heard, run, "it names no instance")
        event = notice.event_id if reaction is _Reaction.REBUILD else ""
        return self._follow(heard, notice.instance, run, event=event, rank=notice.status.rank, reaction=reaction)

    def _threshold(self, alarm: ThresholdAlarm, run: str) -> Decision | None:
        if self._deliveries.seen(alarm.logical_key):
            return None
        told = f"threshold alarm {alarm.name or alarm.rule}: {alarm.metric} is {alarm.value} ({alarm.state})"
        heard = _Heard(key=alarm.logical_key, subject=alarm.instance or alarm.rule, told=told, at=alarm.at)
        if alarm.state is not AlarmState.OK:  # a metric that stopped coming is as good a reason to look as a bad one
            names = (alarm.instance or "", alarm.rule, alarm.name, *alarm.dimensions.values())
            told_watches = self._of_a_pair(heard, names, run)
            if told_watches is not None:
                return told_watches
        if alarm.state is not AlarmState.ALERT:
            return self._tell(heard, run, "not an alert")
        if alarm.instance is None:
            return self._tell(heard, run, "it names no instance")
        return self._follow(heard, alarm.instance, run, event="", rank=0, reaction=_Reaction.LOOK)

    def _of_a_pair(self, heard: _Heard, names: Iterable[str], run: str) -> Decision | None:
        """What became of a notice that is about a pair of region masters; None when it is not. Nothing of it is ever
        rebuilt. Raises WatchNotCalled, and has not called the notice seen, when it should be delivered again."""
        version, policy = self._policies.active()
        pairs = concerned(policy, names)
        if not pairs:
            return None
        because = " | ".join(failovers_business(pair.name) for pair in pairs)
        woken = self._watches.wake(sites_of(pairs), because=heard.told)
        if woken.again:
            raise WatchNotCalled(f"{because}: {woken}. It is looked at again when the notice is delivered again.")
        also = tuple(pair.name for pair in pairs)
        return self._tell(heard, run, because, str(woken), called=woken.called, policy=version, also=also)

    def _follow(
        self, heard: _Heard, instance: InstanceId, run: str, *, event: str, rank: int, reaction: _Reaction
    ) -> Decision:
        version, policy = self._policies.active()
        found = instance_of(self._inventory, instance)
        rule = None if found is None else _rule_for(policy, found)
        if rule is None:
            return self._tell(heard, run, _why_not(policy, instance, found), event="alarm.not_ours", policy=version)
        named = event or self._known_failure(instance)
        if not named and reaction is _Reaction.ASK:
            return self._tell(heard, run, "the API knows of no failure, so it may be meant", policy=version)
        suspicion = Suspicion(
            instance=instance,
            event=named or slot_of(heard.at or self._clock.now()),
            because=heard.told,
            failed_at=heard.at or self._clock.now(),
            rank=rank,
        )
        opened = self._suspicions.follow(suspicion, rule, version)
        called = () if opened.operation is None else (opened.operation,)
        return self._tell(heard, run, opened.because, called=called, policy=version)

    def _known_failure(self, instance: InstanceId) -> str:
        """The id of its present failure as the API has it, so that an alarm and the event are one trouble; else ""."""
        events = tuple(self._inventory.system_events(instance))
        failure = unplanned(events, since=self._clock.now() - RECENT)
        return failure.id if failure else ""

    def _tell(
        self,
        heard: _Heard,
        run: str,
        *because: str,
        event: str = "",
        called: tuple[str, ...] = (),
        policy: PolicyVersion | None = None,
        also: tuple[str, ...] = (),
    ) -> Decision:
        """Log it, keep it, and only then call the notice seen: a crash before that has it looked at again, which is
        harmless, and a crash after that loses nothing. `also`: further subjects under which it is kept."""
        now = self._clock.now()
        reasons = [*because, *([] if heard.told in because else [heard.told])]
        if heard.at is not None and now - heard.at > STALE:
            reasons.append(f"the notice is {int((now - heard.at).total_seconds())} s old")
        made = Decision(
            event=event or ("alarm.followed" if called else "alarm.noted"),
            at=now,
            subject=heard.subject,
            because=tuple(reasons),
            inputs={"key": heard.key} | ({"operation": SEVERAL.join(called)} if called else {}),
            policy=policy,
            acted=bool(called),
            run=run,
        )
        log.decision(made)
        for subject in dict.fromkeys((heard.subject, *also)):
            self._decisions.record(subject, made)
        self._deliveries.first_time(heard.key)
        return made

    @staticmethod
    def _together(made: list[Decision | None]) -> Answer:
        told = [one for one in made if one is not None]
        acted = (called for one in told if one.acted for called in one.inputs["operation"].split(SEVERAL))
        return Answer(
            acted=tuple(dict.fromkeys(acted)),
            noted=tuple(f"{one.subject}: {one.because[0]}" for one in told if not one.acted),
        )


def _rule_for(policy: Policy, instance: Instance) -> RebuildRule | None:
    if ISOLATED in instance.tags or master_of(policy, instance.id):
        return None
    return next((rule for rule in policy.rebuilds if selects(rule.select, instance)), None)


def _why_not(policy: Policy, id: InstanceId, instance: Instance | None) -> str:
    if instance is None:
        return "the inventory does not list this instance: it is not ours, was released, or our role may not see it"
    if ISOLATED in instance.tags:
        return f"it was already replaced (by {instance.tags[ISOLATED]}) and is kept in isolation"
    pair = master_of(policy, id)
    if pair:
        return failovers_business(pair)
    return "no rebuild rule selects this instance"
