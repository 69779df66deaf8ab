"""Is this instance lost, and may a replacement be built now? Pure: what was seen goes in, a verdict comes out.

Facts that rule here (ECS and CloudMonitor documents, read 2026-03):

- The platform itself restarts the instances of a failed host within about 5 minutes, so a rebuild waits longer than
  that (`RebuildRule.patience`) or it doubles the server.
- An unplanned failure has no warning: its first status is *executing*. Notifications come twice and in any order, so
  only the events as the API lists them count here, never a notification.
- An instance in a dark zone may say Running for ever. One machine's silence in a zone where nothing else answers
  either is not that machine's failure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain import provenance
from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance, InstanceState, SystemEvent
from shared.domain.policy import Policy, RebuildRule
from shared.domain.selection import selects

ISOLATED: Final = "understudy:isolated"
"""Tag of an instance that was replaced: kept, stopped, no longer anybody's member. Its value is the operation."""
REPLACES: Final = provenance.REPLACES
IN_GROUP: Final = "understudy:group"
"""Tag of an instance: the scaling group that it is a member of as long as it runs."""
NO_GROUP: Final = "-"

CHANGED_ADDRESSES: Final = "private addresses"
"""Under which decisions tell of addresses that rebuilds could not keep."""

UNPLANNED: Final = ("SystemFailure.", "InstanceFailure.")
HOST_FAILED: Final = "SystemFailure."
RECENT: Final = timedelta(minutes=30)
"""A failure event that ended longer ago than this before the trouble was seen does not explain the trouble."""
LOOK_AGAIN: Final = timedelta(seconds=30)
GROUP_PATIENCE: Final = timedelta(minutes=10)
"""How long a scaling group is given to replace what it made itself: it looks at health about once a minute, and a
launch takes a minute or two (assumption)."""
PAUSED_LOOK: Final = timedelta(minutes=1)
"""Between looks at what a pause or a lost zone holds up: nothing is decided until that is over."""


class Service(StrEnum):
    """What the service port did when it was tried."""

    ANSWERS = "answers"
    REFUSES = "refuses"  # the machine is there, the process is not
    SILENT = "silent"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at one instance and its surroundings."""

    now: datetime
    first_seen: datetime  # when the trouble first came to our notice
    instance: Instance | None  # None: the inventory answered without it
    events: tuple[SystemEvent, ...] = ()
    service: Service = Service.UNTRIED
    in_rotation: bool | None = None  # the balancer's health check says normal; None: no balancer, or no data
    zone_alive: int = 0  # other machines of its zone that were seen alive
    zone_lost: int = 0  # other machines of its zone that were seen lost
    ahead: int = 0  # open rebuilds of the same rule that come first
    paused: str = ""  # why rebuilds are paused; "" when they are not
    disarmed: bool = False  # the platform was told to leave it stopped, so no restart of a failed host comes
    begun: int = 0  # rebuilds of the same rule that began within the last hour, this one not counted
    group: str = ""  # the scaling group that made it, or let it go, and fills its place; "" when none does
    filled: str = ""  # the scaling group that let it go and has filled its place
    master: str = ""  # the pair whose region master it is
    attached: bool = False  # member of a group that did not make it, and would fill its place all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again at `until`, not before."""

    until: datetime
    because: str
    paused: bool = False  # an operator holds it up, so others need not wait for it
    told: bool = False  # worth a decision: it may last


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """Nothing that a rebuild may or should mend."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """The zone is the trouble, not the instance: failover's business, until the zone is back or this one's own loss is
    all that is left."""

    zone: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Somebody else has replaced it: another one would be one too many."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    because: str


RebuildVerdict = Wait | Rebuild | Recovered | NotOurs | HandOver | Filled | Refuse


def judge(rule: RebuildRule, view: View) -> RebuildVerdict:
    """The verdict on one instance at `view.now`.

    Every `Wait` ends: patience runs from the first sign of trouble, a queue of rebuilds moves on, an operator resumes.
    """
    instance = view.instance
    if instance is None:
        return Refuse(because="the inventory does not list it: it was released, or we may not see it")
    if ISOLATED in instance.tags:
        return NotOurs(because=f"it was already replaced (by {instance.tags[ISOLATED]}) and is kept in isolation")
    if view.master:
        return NotOurs(because=failovers_business(view.master))
    if not selects(rule.select, instance):
        return NotOurs(because=f"rebuild rule {rule.name} does not select it")
    failure = unplanned(view.events, since=view.first_seen - RECENT)
    began = min(view.first_seen, failure.published) if failure else view.first_seen
    deadline = began + rule.patience
    if instance.state is InstanceState.RUNNING and view.service is Service.ANSWERS:
        return _answering(failure, view, deadline)
    if view.filled:
        return Filled(because=f"scaling group {view.filled} let it go and has filled its place with one of its own")
    if failure is None:
        return _without_event(rule, instance, view, began)
    return _lost(rule, view, began, failure)


def master_of(policy: Policy, instance: InstanceId) -> str:
    """The pair whose region master it is; "" for every other instance. Never rebuilt, whatever a rule selects."""
    return next((pair.name for pair in policy.pairs for one in pair.members if one.instance == instance), "")


def failovers_business(pair: str) -> str:
    return f"it is a region master (pair {pair}): failover's business, not a rebuild's"


def unplanned(events: tuple[SystemEvent, ...], *, since: datetime) -> SystemEvent | None:
    """The newest failure event that is unfinished or ended after `since`: what the loss is accounted to."""
    candidates = [
        event
        for event in events
        if event.type.startswith(UNPLANNED) and (event.finished is None or event.finished >= since)
    ]
    return max(candidates, key=lambda event: (event.published, event.id), default=None)


def _answering(failure: SystemEvent | None, view: View, deadline: datetime) -> RebuildVerdict:
    if failure is not None and failure.finished is None and view.now < deadline:
        return Wait(until=deadline, because=f"it answers, but {failure.type} is still {failure.status}")
    return Recovered(because="it runs and its service answers")


def _without_event(rule: RebuildRule, instance: Instance, view: View, began: datetime) -> RebuildVerdict:
    """No failure event: an intention, a process that died, a machine that hangs, or a zone."""
    deadline = began + rule.patience
    if instance.state in (InstanceState.STOPPED, InstanceState.STOPPING):
        return NotOurs(because=f"it is {instance.state} without any failure event: somebody meant that")
    if instance.state in (InstanceState.PENDING, InstanceState.STARTING):
        return _until(deadline, view, f"it is {instance.state}", "it never came up; look at it by hand")
    if view.service is Service.REFUSES:
        return NotOurs(because="the machine is up and refuses connections: its process needs a restart, not a rebuild")
    if view.service is Service.UNTRIED or view.in_rotation:
        return _until(deadline, view, "no sign of a failure yet", "no failure event, and nothing shows that it is lost")
    if not view.zone_alive:
        return HandOver(zone=instance.zone, because="it is silent, and so is everything else that we know in its zone")
    if view.now < deadline:
        return Wait(until=deadline, because="it is silent without a failure event; it may be starting again")
    return _go(rule, view, began, "it stayed silent beyond patience while others of its zone answer")


def _lost(rule: RebuildRule, view: View, began: datetime, failure: SystemEvent) -> RebuildVerdict:
    assert view.instance is not None
    deadline = began + rule.patience
    seen = f"{failure.type} ({failure.id}) is {failure.status}, {_looks(view.instance, view)}"
    if view.zone_lost and not view.zone_alive:
        return HandOver(
            zone=view.instance.zone,
            because=f"{view.zone_lost + 1} instances of {view.instance.zone} are lost at once and none there answers",
        )
    if view.disarmed and failure.type.startswith(HOST_FAILED):
        return _go(rule, view, began, f"{seen}; the platform leaves it stopped, so its restart is not waited for")
    if view.now < deadline:
        return Wait(until=deadline, because=f"{seen}; the platform's own restart is waited for")
    return _go(rule, view, began, f"{seen}; patience of {int(rule.patience.total_seconds())} s is over")


def _go(rule: RebuildRule, view: View, began: datetime, because: str) -> RebuildVerdict:
    if view.group and view.now < (until := began + max(rule.patience, GROUP_PATIENCE)):
        return Wait(
            until=min(until, view.now + PAUSED_LOOK),
            because=f"scaling group {view.group} fills its place itself; it is given until {until:%H:%M:%S}",
            told=True,
        )
    if view.paused:
        return Wait(until=view.now + PAUSED_LOOK, because=f"rebuilds are paused: {view.paused}", paused=True)
    if view.ahead >= rule.max_at_once:
        return Wait(until=view.now + LOOK_AGAIN, because=f"{view.ahead} rebuilds of {rule.name} come first")
    if view.begun >= rule.max_per_hour:
        return Wait(
            until=view.now + PAUSED_LOOK,
            because=f"{view.begun} rebuilds of {rule.name} began within the last hour, max_per_hour allows no more",
            told=True,
        )
    return Rebuild(because=because)


def _until(deadline: datetime, view: View, because: str, after: str) -> RebuildVerdict:
    if view.now >= deadline:
        return NotOurs(because=after)
    return Wait(until=min(deadline, view.now + LOOK_AGAIN), because=because)


def _looks(instance: Instance, view: View) -> str:
    health = {True: "in rotation", False: "out of rotation", None: "rotation unknown"}[view.in_rotation]
    return f"the instance is {instance.state}, its service {view.service}, {health}"
