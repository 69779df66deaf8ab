"""What an operator asks for. Commands record intents and return; the functions that may act do the work.

One JSON object: {"command": NAME, "by": WHO, ...}. Every command is safe to send again.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput, DrError
from shared.domain.ids import InstanceId, OperationId, PairName, SnapshotId
from shared.domain.retention import Pin
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.controls import Controls, Pause
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.journal import Journal
from shared.state.plan_answers import PlanAnswers
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.usecases.backup.adopting import MOST, AdoptRequest
from shared.usecases.backup.schedule_backups import SCOPE
from shared.usecases.failover.ask_failover import AskFailover
from shared.usecases.failover.ask_names import AskNames
from shared.usecases.images.ask_image import AskImage
from shared.usecases.recovery.ask_launch import AskLaunch
from shared.usecases.recovery.ask_plan import AskPlan
from shared.usecases.recovery.ask_rebuild import AskRebuild
from shared.usecases.recovery.ask_restore import AskRestore
from shared.usecases.requests import ON_DEMAND, BackUpRequest

PAUSABLE: Final = ("backups", "prune", "rebuilds", "failover", "all")
REPEATABLE_FOR: Final = timedelta(hours=1)
"""A request older than this is not a repetition any more: what it asked for was another state of the disks."""
CLOCKS_DIFFER: Final = timedelta(minutes=1)
LISTED: Final = 20

Arguments = Mapping[str, object]
Result = dict[str, object]


class Command:
    def __init__(
        self,
        *,
        policies: Policies,
        controls: Controls,
        journal: Journal,
        points: Points,
        subjects: Subjects,
        families: Families,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
        failover: AskFailover | None = None,
        names: AskNames | None = None,
    ) -> None:
        """`failover`, `names`: what may be asked of pairs and of their names; without them nothing is."""
        self._policies = policies
        self._controls = controls
        self._journal = journal
        self._points = points
        self._subjects = subjects
        self._decisions = decisions
        self._functions = functions
        self._clock = clock
        self._failover = failover
        self._commands: Mapping[str, Callable[[Arguments, str], Result]] = {
            "back_up": self._back_up,
            "adopt": self._adopt,
            "pause": self._pause,
            "resume": self._resume,
            "acknowledge": self._acknowledge,
            "pin": lambda arguments, run: self._pin(arguments, run, pinned=True),
            "unpin": lambda arguments, run: self._pin(arguments, run, pinned=False),
            "prune": self._prune,
            **AskImage(
                policies=policies,
                journal=journal,
                families=families,
                decisions=decisions,
                functions=functions,
                clock=clock,
            ).commands(self._moment),
            **AskRestore(
                policies=policies,
                journal=journal,
                points=points,
                decisions=decisions,
                functions=functions,
                clock=clock,
            ).commands(self._moment),
            **AskLaunch(
                policies=policies, journal=journal, decisions=decisions, functions=functions, clock=clock
            ).commands(self._moment),
            **AskRebuild(
                policies=policies, journal=journal, decisions=decisions, functions=functions, clock=clock
            ).commands(self._moment),
            **AskPlan(
                policies=policies,
                journal=journal,
                subjects=subjects,
                answers=PlanAnswers(controls),
                decisions=decisions,
                functions=functions,
                clock=clock,
            ).commands(self._moment),
            **(failover.commands(self._moment) if failover else {}),
            **(names.commands(self._moment) if names else {}),
        }

    def run(self, arguments: Arguments, *, run: str) -> Result:
        """Raises BadInput naming the argument and what it may be."""
        name = arguments.get("command")
        chosen = self._commands.get(name) if isinstance(name, str) else None
        if chosen is None:
            raise BadInput(f"command {name!r} is not one of: {', '.join(sorted(self._commands))}")
        result = chosen(arguments, run)
        return {"command": name, **result}

    def _back_up(self, arguments: Arguments, run: str) -> Result:
        """A restore point of every instance of a protection, now."""
        version, policy = self._policies.active()
        protection = _text(arguments, "protection", f"one of: {', '.join(one.name for one in policy.protections)}")
        if protection not in {one.name for one in policy.protections}:
            known = ", ".join(one.name for one in policy.protections) or "none"
            raise BadInput(f"protection {protection!r} is not in policy {version}; it has: {known}")
        pause = self._controls.read().paused(SCOPE)
        if pause is not None:
            raise BadInput(
                f"backups are paused since {codec.second(pause.since)}: {pause.because}. "
                f"`understudy resume {pause.scope}` first, then ask again"
            )
        request = BackUpRequest(protection=protection, schedule=ON_DEMAND, due=self._moment(arguments))
        because = f"asked for by {_by(arguments)}"
        self._journal.open(request.operation(policy=version, now=self._clock.now(), because=because))
        self._tell("backup.requested", protection, (because,), run, operation=request.id)
        self._wake("backup", {"operation": request.id})
        return {"operation": request.id}

    def _adopt(self, arguments: Arguments, run: str) -> Result:
        """Take named foreign snapshots over as restore points of a protection."""
        version, policy = self._policies.active()
        protection = _text(arguments, "protection", f"one of: {', '.join(one.name for one in policy.protections)}")
        if policy.protection(protection) is None:
            known = ", ".join(one.name for one in policy.protections) or "none"
            raise BadInput(f"protection {protection!r} is not in policy {version}; it has: {known}")
        instance = arguments.get("instance")
        request = AdoptRequest(
            protection=protection,
            snapshots=_snapshots(arguments),
            asked=self._moment(arguments),
            by=_by(arguments),
            instance=InstanceId(_text(arguments, "instance", "an instance id, e.g. i-bp1...")) if instance else None,
            automatic=arguments.get("automatic") is True,
        )
        because = f"asked for by {_by(arguments)}"
        self._journal.open(request.operation(policy=version, now=self._clock.now(), because=because))
        self._tell("adoption.requested", protection, (because,), run, operation=request.id)
        self._wake("backup", {"operation": request.id})
        return {"operation": request.id, "snapshots": len(request.snapshots)}

    def _pause(self, arguments: Arguments, run: str) -> Result:
        scope = self._scope(arguments)
        because = _text(arguments, "because", "the reason, for whoever finds it paused")
        self._controls.pause(Pause(scope=scope, since=self._clock.now(), because=f"{because} ({_by(arguments)})"))
        self._tell(f"{scope}.paused", scope, (because,), run)
        return {"paused": scope}

    def _resume(self, arguments: Arguments, run: str) -> Result:
        scope = self._scope(arguments)
        was = self._controls.resume(scope, self._clock.now())
        self._tell(f"{scope}.resumed", scope, (f"resumed by {_by(arguments)}",), run, acted=was)
        return {"resumed": scope, "was_paused": was}

    def _scope(self, arguments: Arguments) -> str:
        """One of the kinds, or `failover/PAIR` for one pair. A pause of a pair that is gone can still be ended."""
        scope = _text(arguments, "scope", f"one of: {', '.join(PAUSABLE)}; or failover/PAIR")
        if scope in PAUSABLE:
            return scope
        kind, slash, pair = scope.partition("/")
        if kind == "failover" and slash:
            pairs = [one.name for one in self._policies.active()[1].pairs]
            if pair in pairs or scope in self._controls.read().pauses:
                return scope
            raise BadInput(f"argument scope is {scope!r}; the pairs of the policy are: {', '.join(pairs) or 'none'}")
        raise BadInput(f"argument scope is {scope!r}; it must be one of: {', '.join(PAUSABLE)}; or failover/PAIR")

    def _acknowledge(self, arguments: Arguments, run: str) -> Result:
        """An operator has seen what blocked automation on a subject: a pair, an instance, an operation."""
        subject = _text(arguments, "subject", "a pair, an instance or an operation id")
        known = self._acknowledgeable()
        if subject not in known and self._journal.find(OperationId(subject)) is None:
            some = ", ".join(known[:LISTED]) + (", ..." if len(known) > LISTED else "") or "nothing"
            raise BadInput(
                f"argument subject is {subject!r}, no pair of the policy, no instance that a recovery holds and no "
                f"operation. These can be acknowledged: {some}; and any operation by its id"
            )
        at = self._clock.now()
        if self._failover is not None and subject in self._pairs():
            at = self._failover.acknowledged_at(subject)
        self._controls.acknowledge(subject, at)
        self._tell("block.acknowledged", subject, (f"acknowledged by {_by(arguments)}",), run)
        return {"acknowledged": subject}

    def _acknowledgeable(self) -> tuple[str, ...]:
        """The active policy's pairs, and what recoveries hold: each subject with its operation."""
        pairs = self._pairs()
        held = [name for subject, operation in self._subjects.held() for name in (subject, operation)]
        return tuple(dict.fromkeys([*pairs, *held]))

    def _pairs(self) -> list[PairName]:
        return [] if self._policies.active_version() is None else [one.name for one in self._policies.active()[1].pairs]

    def _pin(self, arguments: Arguments, run: str, *, pinned: bool) -> Result:
        """A pinned restore point is never pruned."""
        instance = InstanceId(_text(arguments, "instance", "the instance whose restore point is meant"))
        wanted = _text(arguments, "point", "the restore point's id, as `understudy prune --all` shows it")
        point = next((one for one in self._points.of(instance) if one.id == wanted), None)
        if point is None:
            raise BadInput(f"instance {instance} has no restore point {wanted!r}. `understudy prune --all` lists them")
        if pinned:
            because = _text(arguments, "because", "the reason, for whoever wonders why it stays")
            self._points.pin(point, Pin(by=_by(arguments), because=because, at=self._clock.now()))
            self._tell("restore_point.pinned", instance, (because, f"by {_by(arguments)}"), run, point=wanted)
            return {"pinned": wanted}
        self._points.unpin(point)
        self._tell("restore_point.unpinned", instance, (f"unpinned by {_by(arguments)}",), run, point=wanted)
        return {"unpinned": wanted}

    def _prune(self, arguments: Arguments, run: str) -> Result:
        """Wake prune; without "apply": true it only says what it would delete, and waits for the answer."""
        limits = {name: str(arguments[name]) for name in ("protection", "allow") if arguments.get(name)}
        if arguments.get("apply") is True:
            payload = {"prune": "apply", "drift": arguments.get("drift") is True, **limits}
            because = (f"asked for by {_by(arguments)}", *(f"{name} {value}" for name, value in limits.items()))
            self._tell("prune.requested", "prune", because, run)
            self._functions.invoke_async("prune", json.dumps(payload).encode())
            return {"queued": True}
        answer = self._functions.invoke("prune", json.dumps({"prune": "dry", **limits}).encode())
        return {"plan": json.loads(answer)}

    def _moment(self, arguments: Arguments) -> datetime:
        """To the second: the id of what is asked for. A caller that may have to repeat itself sends its own `at`."""
        given = arguments.get("at")
        if given is None:
            return self._clock.now().replace(microsecond=0)
        try:
            at = codec.instant(str(given)).replace(microsecond=0)
        except (ValueError, OverflowError) as error:
            raise BadInput(f"argument at is {given!r}; write it as 2026-03-02T10:00:00Z") from error
        now = self._clock.now()
        if at > now + CLOCKS_DIFFER:
            raise BadInput(
                f"argument at is {given!r}, later than now ({codec.second(now)}). Leave it out, or set your clock"
            )
        if at < now - REPEATABLE_FOR:
            raise BadInput(
                f"argument at is {given!r}, over an hour before now ({codec.second(now)}). Leave it out to ask anew"
            )
        return at

    def _wake(self, function: str, payload: Mapping[str, str]) -> None:
        try:
            self._functions.invoke_async(function, json.dumps(payload).encode())
        except DrError as error:
            # Durable already: the function's own timer finds it.
            log.event("invocation.failed", subject=payload["operation"], because=[str(error)])

    def _tell(
        self, event: str, subject: str, because: tuple[str, ...], run: str, *, acted: bool = True, **inputs: str
    ) -> None:
        made = Decision(
            event=event, at=self._clock.now(), subject=subject, because=because, inputs=inputs, acted=acted, run=run
        )
        log.decision(made)
        self._decisions.record(subject, made)


def _text(arguments: Arguments, name: str, what: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"argument {name} is {value!r}; it must be {what}")
    return value.strip()


def _snapshots(arguments: Arguments) -> tuple[SnapshotId, ...]:
    given = arguments.get("snapshots")
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one.strip() for one in given):
        raise BadInput(f"argument snapshots is {given!r}; it must be a list of snapshot ids, e.g. [s-bp1...]")
    named = tuple(dict.fromkeys(SnapshotId(one.strip()) for one in given))
    if len(named) > MOST:
        raise BadInput(f"argument snapshots names {len(named)}; name at most {MOST} at once")
    return named


def _by(arguments: Arguments) -> str:
    by = arguments.get("by")
    return by if isinstance(by, str) and by else "an operator"
