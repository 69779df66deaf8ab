"""Cloud Assistant: commands sent into guests, by an agent that lives in each of them.

An answer of RunCommand means accepted. Per instance the errand is `Pending`, then `Running`, then `Success` (exit code
0) or `Failed`; `Timeout` when it runs too long; `Aborted` when it could not be handed over within a minute: because the
instance is not Running, or because its agent is silent (its zone is dark, its guest is frozen, or `silence()` was
called; a restart heals that). Results are kept for four weeks.

What a command does is told by `behave`: a pattern or a test of the errand, and its answer. A command that no behaviour
fits ends after a second with exit code 0 and no output. Only where the seed says `guest: {assistant: true}` of an
image is the text really run: by `/bin/sh -c` on this machine, beside the guest's process and with its environment and
nothing else, as the user who started the emulator, in a directory of its own, whatever Username and WorkingDir say.
Without a server (in-process) nobody runs it, and it times out unless `answer` is called.

Assumptions: an errand is handed over within two seconds; one that is cut short by its instance ends as `Error`; one in
a zone that goes dark meanwhile reads `Running` until the zone is heard again; the output's beginning is kept, its end
is dropped; an errand without an exit code yet shows 0; the agent counts as there until two minutes of silence.
Sources: ECS API RunCommand, DescribeInvocationResults, StopInvocation, DescribeCloudAssistantStatus (read 2025).
Not modelled: schedules (`RepeatMode` other than Once), sessions, files, plugins (such as app-snapshot-plugin).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from emulator.ecs import commands
from emulator.ecs.commands import Command
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance
    from emulator.ecs.model import Ecs

PENDING, RUNNING, STOPPING, SUCCESS, FAILED = "Pending", "Running", "Stopping", "Success", "Failed"
TIMEOUT, ABORTED, ERROR, CANCELLED, TERMINATED = "Timeout", "Aborted", "Error", "Cancelled", "Terminated"
ENDED: Final = (SUCCESS, FAILED, TIMEOUT, ABORTED, ERROR, CANCELLED, TERMINATED)

INSTANCES_AT_MOST: Final = 100
HAND_OVER_SECONDS: Final = (0.5, 2.0)
TRY_AGAIN: Final = timedelta(seconds=5)
HAND_OVER_AT_MOST: Final = timedelta(minutes=1)
STOP_SECONDS: Final = 1.0
UNHEARD: Final = timedelta(minutes=2)
KEPT: Final = timedelta(weeks=4)
OUTPUT_BYTES: Final = 24 * 1024

WHY: Final = {
    "InstanceNotRunning": "the instance is not running when create task",
    "InstanceReleased": "the instance has released when create task",
    "ClientNotRunning": "the aliyun service is not running on the instance",
    "DeliveryTimeout": "the command delivery has been timeout",
    "ExecutionTimeout": "the command execution has been timeout",
    "ExecutionInterrupted": "the command execution has been interrupted",
    "ExitCodeNonzero": "the command execution exit code is not zero",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a guest is asked to do."""

    invocation_id: str
    instance_id: str
    text: str  # with its parameters filled in
    type: str
    username: str
    working_dir: str
    timeout: int  # seconds
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a guest does about it. `seconds` beyond the errand's timeout make it a Timeout."""

    exit_code: int = 0
    output: str = ""
    seconds: float = 1.0


Behaviour = Callable[[Errand], Answer]
DONE: Final = Answer()


@dataclass(slots=True, kw_only=True, eq=False)
class Result:
    """Of one errand at one instance."""

    instance_id: str
    created: datetime
    status: str = PENDING
    started: datetime | None = None
    finished: datetime | None = None
    stopped: datetime | None = None  # when StopInvocation was called
    updated: datetime
    exit_code: int = 0
    output: str = ""
    dropped: int = 0
    error_code: str = ""
    turn: int = 0

    @property
    def error_info(self) -> str:
        return WHY.get(self.error_code, "")

    @property
    def record_status(self) -> str:
        """`InvokeRecordStatus`: the coarse old word. A command that failed by its exit code reads Finished."""
        if self.status in (PENDING, RUNNING):
            return RUNNING
        if self.status in (SUCCESS, FAILED):
            return "Finished"
        return {STOPPING: STOPPING, CANCELLED: "Stopped", TERMINATED: "Stopped"}.get(self.status, FAILED)


@dataclass(slots=True, kw_only=True, eq=False)
class Invocation:
    id: str
    command: Command
    created: datetime
    timeout: int
    username: str
    working_dir: str
    parameters: dict[str, str]
    results: dict[str, Result]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Of all its instances together, as documented for DescribeInvocations."""
        each = [result.status for result in self.results.values()]
        for first in (PENDING, RUNNING, STOPPING):
            if first in each:
                return first
        stopped = [status in (CANCELLED, TERMINATED) for status in each]
        good = [status == SUCCESS for status in each]
        if all(stopped):
            return "Stopped"
        if all(one or other for one, other in zip(stopped, good, strict=True)):
            return SUCCESS
        return "PartialFailed" if any(good) else FAILED

    @property
    def record_status(self) -> str:
        """`InvokeStatus`, the old word."""
        each = {result.record_status for result in self.results.values()}
        for first in (RUNNING, STOPPING):
            if first in each:
                return first
        if each == {FAILED}:
            return FAILED
        if each == {"Stopped"}:
            return "Stopped"
        return "PartialFailed" if FAILED in each else "Finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What RunCommand and InvokeCommand have in common."""

    instance_ids: tuple[str, ...]
    timeout: int | None = None
    username: str = ""
    working_dir: str | None = None
    parameters: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Assistant:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.commands: Shelf[Command] = Shelf()
        self.invocations: Shelf[Invocation] = Shelf()
        self._runners: list[tuple[Callable[[Errand], None], Callable[[str, str], None]]] = []
        self._behaviours: list[tuple[Callable[[Errand], bool], Behaviour]] = []
        self._silent: set[str] = set()
        self._dark_since: dict[str, datetime] = {}
        self._under_way: dict[str, list[tuple[Invocation, Result]]] = {}  # by instance
        ecs.on_instance(self._instance_changed)
        ecs.realm.zones.subscribe(self._zone_changed)

    # What guests do -------------------------------------------------------------------------------------------

    def behave(self, on: "str | Callable[[Errand], bool]", answer: Answer | Behaviour) -> None:
        """Errands whose text contains the pattern, or that pass the test, are answered so. The last one told wins."""
        fits = on if callable(on) else lambda errand, pattern=re.compile(on): pattern.search(errand.text) is not None
        behaviour = answer if callable(answer) else lambda _: answer
        self._behaviours.append((fits, behaviour))

    def on_errand(self, begin: Callable[[Errand], None], end: Callable[[str, str], None]) -> None:
        """For whoever runs real guests: `begin(errand)` for one that a guest really does, whose end it tells by
        `answer`; `end(invocation, instance)` when it is over or must be, however it came to that."""
        self._runners.append((begin, end))

    def answer(self, invocation_id: str, instance_id: str, answer: Answer) -> None:
        """A guest has done its errand. One that is over already stays as it is."""
        invocation = self.invocations.get(invocation_id)
        result = None if invocation is None else invocation.results.get(instance_id)
        if invocation is not None and result is not None and result.status == RUNNING:
            self._answered(invocation, result, result.turn, answer)

    def silence(self, instance_id: str, silent: bool = True) -> None:
        """A guest that hangs: its agent neither takes commands nor says anything."""
        (self._silent.add if silent else self._silent.discard)(instance_id)

    def was_silenced(self, instance_id: str) -> bool:
        """And has not booted since."""
        return instance_id in self._silent

    def is_silent(self, instance: "Instance") -> bool:
        return instance.id in self._silent or self._ecs.is_dark(instance.zone)

    def last_heard(self, instance: "Instance") -> datetime | None:
        """None: its machine is off. While its zone is dark: when that began."""
        if instance.state != "Running":
            return None
        return self._dark_since.get(instance.zone, self._ecs.clock.now())

    def is_there(self, instance: "Instance") -> bool:
        """`CloudAssistantStatus`: a darkness shorter than two minutes has not been noticed yet."""
        heard = self.last_heard(instance)
        if heard is None or instance.id in self._silent:
            return False
        return heard > self._ecs.clock.now() - UNHEARD

    # Commands -------------------------------------------------------------------------------------------------

    def create(self, command: Command, *, token: str | None = None) -> Command:
        fingerprint = (command.name, command.type, command.content, command.timeout, command.working_dir)

        def make() -> Command:
            commands.check(command)
            self.commands.add(command)
            return command

        made: Command = self._ecs.tokens.once("CreateCommand", token, fingerprint, make)
        return made

    def find(self, id: str) -> Command:
        command = self.commands.get(id)
        if command is None:
            raise ApiError("InvalidCmdId.NotFound", f"The command {id} does not exist.", 404)
        return command

    def delete(self, id: str) -> None:
        """What was invoked runs on, and its results stay."""
        self.commands.remove(self.find(id))

    def run(self, command: Command, sending: Sending, *, keep: bool, token: str | None = None) -> Invocation:
        """RunCommand: make a command and send it; it is listed afterwards only if it is kept."""
        fingerprint = (command.name, command.type, command.content, command.timeout, sending, keep)

        def make() -> Invocation:
            commands.check(command)
            invocation = self._send(command, sending)
            if keep:
                self.commands.add(command)
            return invocation

        made: Invocation = self._ecs.tokens.once("RunCommand", token, fingerprint, make)
        return made

    def invoke(self, command_id: str, sending: Sending, *, token: str | None = None) -> Invocation:
        made: Invocation = self._ecs.tokens.once(
            "InvokeCommand", token, (command_id, sending), lambda: self._send(self.find(command_id), sending)
        )
        return made

    # Invocations ----------------------------------------------------------------------------------------------

    def _send(self, command: Command, sending: Sending) -> Invocation:
        ids = self._targets(sending.instance_ids)
        if command.type != commands.SHELL:
            raise ApiError("InvalidInstance.NotMatch", f"{command.type} does not go with Linux, which all guests are.")
        commands.check_user(sending.username)
        commands.check_directory(sending.working_dir or "")
        given = commands.parameters(command, sending.parameters)
        now = self._ecs.clock.now()
        invocation = Invocation(
            id=self._ecs.chance.id("t"),
            command=command,
            created=now,
            timeout=commands.seconds(sending.timeout, command.timeout),
            username=sending.username or "root",
            working_dir=sending.working_dir or command.working_dir or "/root",
            parameters=given,
            results={one: Result(instance_id=one, created=now, updated=now) for one in ids},
            tags=dict(sending.tags),
        )
        command.invoked += 1
        self._forget_old()
        self.invocations.add(invocation)
        for result in invocation.results.values():
            self._after(result, self._ecs.chance.uniform(*HAND_OVER_SECONDS), partial(self._try, invocation, result))
        return invocation

    def _targets(self, ids: Sequence[str]) -> tuple[str, ...]:
        if not ids:
            raise ApiError("MissingParam.InstanceId", "InstanceId.1 is mandatory.")
        if len(ids) > INSTANCES_AT_MOST:
            raise ApiError("InstanceIds.ExceedLimit", f"At most {INSTANCES_AT_MOST} instances.", 403)
        for one in ids:
            if one not in self._ecs.shelf:
                raise ApiError("InvalidInstance.NotFound", f"The instance {one} does not exist.", 404)
        return tuple(dict.fromkeys(ids))

    def find_invocation(self, id: str) -> Invocation:
        invocation = self.invocations.get(id)
        if invocation is None or invocation.created < self._ecs.clock.now() - KEPT:
            raise ApiError("InvalidInvokeId.NotFound", f"The invocation {id} does not exist.", 404)
        return invocation

    def stop(self, id: str, instance_ids: Sequence[str]) -> None:
        """What has ended stays as it is (assumption); what is not sent yet never will be."""
        invocation = self.find_invocation(id)
        for one in instance_ids:
            if one not in invocation.results:
                raise ApiError("InvalidInstanceId.NotFound", f"{id} does not concern {one}.", 404)
        now = self._ecs.clock.now()
        for result in invocation.results.values():
            if result.status not in (PENDING, RUNNING) or (instance_ids and result.instance_id not in instance_ids):
                continue
            result.stopped = now
            if result.status == PENDING:
                self._end(invocation, result, CANCELLED)
                continue
            self._kill(invocation, result)
            self._move(result, STOPPING)
            self._after(result, STOP_SECONDS, partial(self._end, invocation, result, TERMINATED))

    # From Pending to the end ----------------------------------------------------------------------------------

    def _try(self, invocation: Invocation, result: Result) -> None:
        """Hand the errand over, or try again until the minute is over."""
        instance = self._ecs.shelf.get(result.instance_id)
        left = result.created + HAND_OVER_AT_MOST - self._ecs.clock.now()
        if instance is None:
            self._end(invocation, result, ABORTED, "InstanceReleased")
        elif instance.state != "Running":
            self._end(invocation, result, ABORTED, "InstanceNotRunning")
        elif not self.is_silent(instance):
            self._begin(invocation, result, instance)
        elif left > timedelta(0):
            self._after(result, min(TRY_AGAIN, left).total_seconds(), partial(self._try, invocation, result))
        else:
            why = "ClientNotRunning" if instance.id in self._silent else "DeliveryTimeout"
            self._end(invocation, result, ABORTED, why)

    def _begin(self, invocation: Invocation, result: Result, instance: "Instance") -> None:
        now = self._ecs.clock.now()
        result.started = now
        self._under_way.setdefault(instance.id, []).append((invocation, result))
        self._move(result, RUNNING)
        errand = Errand(
            invocation_id=invocation.id,
            instance_id=instance.id,
            text=invocation.command.filled(invocation.parameters, self._built_in(invocation, instance)),
            type=invocation.command.type,
            username=invocation.username,
            working_dir=invocation.working_dir,
            timeout=invocation.timeout,
            at=now,
        )
        self._after(result, invocation.timeout, lambda: self._time_out(invocation, result))
        behaviour = next((answer for fits, answer in reversed(self._behaviours) if fits(errand)), None)
        if behaviour is None and (instance.guest or {}).get("assistant"):
            for begin, _ in self._runners:
                begin(errand)
            return
        answer = DONE if behaviour is None else behaviour(errand)
        if answer.seconds <= invocation.timeout:
            turn = result.turn
            self._after(result, answer.seconds, lambda: self._answered(invocation, result, turn, answer))

    def _built_in(self, invocation: Invocation, instance: "Instance") -> dict[str, str]:
        return {
            "ACS::RegionId": self._ecs.region,
            "ACS::AccountId": self._ecs.account,
            "ACS::InstanceId": instance.id,
            "ACS::InstanceName": instance.name,
            "ACS::InvokeId": invocation.id,
            "ACS::CommandId": invocation.command.id,
        }

    def _answered(self, invocation: Invocation, result: Result, turn: int, answer: Answer) -> None:
        if result.turn != turn:
            return
        instance = self._ecs.shelf.get(result.instance_id)
        if instance is not None and self._ecs.is_dark(instance.zone):
            # The guest has done it; nobody hears of it before the light is back.
            self._ecs.when_lit(instance.zone, lambda: self._answered(invocation, result, turn, answer))
            return
        output = answer.output.encode()
        result.output = output[:OUTPUT_BYTES].decode(errors="ignore")
        result.dropped = max(0, len(output) - OUTPUT_BYTES)
        result.exit_code = answer.exit_code
        if answer.exit_code == 0:
            self._end(invocation, result, SUCCESS)
        else:
            self._end(invocation, result, FAILED, "ExitCodeNonzero")

    def _time_out(self, invocation: Invocation, result: Result) -> None:
        self._kill(invocation, result)
        instance = self._ecs.shelf.get(result.instance_id)
        if instance is not None and self._ecs.is_dark(instance.zone):
            turn = result.turn

            def heard() -> None:
                if result.turn == turn:
                    self._end(invocation, result, TIMEOUT, "ExecutionTimeout")

            self._ecs.when_lit(instance.zone, heard)
            return
        self._end(invocation, result, TIMEOUT, "ExecutionTimeout")

    def _instance_changed(self, instance: "Instance", _: str, new: str) -> None:
        """A machine that goes off takes its errands with it; its next boot hears again."""
        if new == "Running":
            self._silent.discard(instance.id)
            return
        for invocation, result in self._under_way.pop(instance.id, []):
            self._kill(invocation, result)
            why = "InstanceReleased" if new == "Deleted" else "ExecutionInterrupted"
            self._end(invocation, result, ERROR, why)

    def _zone_changed(self, zone: str, dark: bool) -> None:
        if dark:
            self._dark_since[zone] = self._ecs.clock.now()
        else:
            self._dark_since.pop(zone, None)

    def _kill(self, invocation: Invocation, result: Result) -> None:
        for _, end in self._runners:
            end(invocation.id, result.instance_id)

    def _end(self, invocation: Invocation, result: Result, status: str, why: str = "") -> None:
        if (invocation, result) in (rest := self._under_way.get(result.instance_id, [])):
            rest.remove((invocation, result))
        result.finished, result.error_code = self._ecs.clock.now(), why
        self._move(result, status)

    def _move(self, result: Result, status: str) -> None:
        result.status, result.updated = status, self._ecs.clock.now()
        result.turn += 1

    def _after(self, result: Result, seconds: float, step: Callable[[], None]) -> None:
        turn = result.turn

        def due() -> None:
            if result.turn == turn:
                step()

        self._ecs.clock.call_later(timedelta(seconds=seconds), due, f"command at {result.instance_id}")

    def _forget_old(self) -> None:
        since = self._ecs.clock.now() - KEPT
        for invocation in [one for one in self.invocations if one.created < since]:
            self.invocations.remove(invocation)
