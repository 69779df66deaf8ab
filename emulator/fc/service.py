"""Function Compute: the functions of one `s.yaml`, their instances, timers, event rules and asynchronous queue.

Not modelled: versions and aliases other than LATEST, layers, NAS, provisioned instances, image runtimes, billing.
"""

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emulator import deeds
from emulator.bus import CloudEvent
from emulator.clock import Due
from emulator.cloud import Cloud
from emulator.events.delivery import LATENCY
from emulator.events.target import CLOUD_EVENT, DATA, FunctionTarget
from emulator.faults.fault import Asked
from emulator.fc import eventbridge
from emulator.fc.instances import Instance, error_body
from emulator.fc.project import (
    EventRule,
    Function,
    Http,
    Project,
    ProjectError,
    Timer,
    Trigger,
    asynchronous,
    load,
    trigger_of,
)
from emulator.fc.queue import ASYNC, AsyncQueue, Outcome, Queued, Refused
from emulator.fc.run import Run
from emulator.keys import Key
from emulator.wire.log import Entry

log = logging.getLogger(__name__)

RECORDS = 20_000
STOPPING = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One execution, or one event that was dropped."""

    function: str
    trigger: str
    request_id: str
    at: datetime  # emulated
    outcome: str  # ok | an x-fc-error-type | time-out | dropped: why
    seconds: float  # real
    attempt: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How far a timer has got: it was switched on at `since`, and what it fired last was due at `after`."""

    expression: str
    since: datetime
    after: datetime


@dataclass(slots=True, kw_only=True)
class State:
    """What is alive of one function."""

    function: Function
    zones: tuple[str, ...] = ()
    idle: list[Instance] = field(default_factory=list)
    enabled: dict[str, bool] = field(default_factory=dict)
    timers: dict[str, Due] = field(default_factory=dict)
    running: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    """What calls changed since the deployment, in the words of an s.yaml; `invocationRestriction` besides."""

    @property
    def disabled(self) -> bool:
        return self.settings.get("invocationRestriction") is not None


class FunctionCompute:
    """All methods belong to the server's loop."""

    def __init__(
        self,
        cloud: Cloud,
        project: Project | Path,
        *,
        code: Sequence[Path],
        environment: Mapping[str, str] | None = None,
        workdir: Path | None = None,
        variables: Mapping[str, str] | None = None,
        account_limit: int = 100,
        process_limit: int = 8,
        credential_lifetime: timedelta = timedelta(hours=36),
    ) -> None:
        """`project`: an s.yaml, or one that is read already; `variables` answer `${env(...)}` in it (the account's id
        is known without being given). `workdir` takes logs and scratch; None: a temporary one.

        `code`: directories where handlers and what they import are found, in order; none: each function has its own
        `code` of the s.yaml and nothing else, as in the cloud.

        `environment` overrides that of every function; `{url}` in a value becomes the emulator's address, and
        `{url:REGION}` that of another region's door, `{dns}` that of its DNS.
        `account_limit`: concurrent executions of all functions (300 or 100 in the documentation, which contradicts
        itself). `process_limit`: asynchronous executions that really run at once on this machine; more wait.
        """
        if isinstance(project, Path):
            project = load(project, {"ALIBABA_CLOUD_ACCOUNT_ID": cloud.account, **(variables or {})})
        self.project = project
        self.records: deque[Record] = deque(maxlen=RECORDS)
        self._cloud = cloud
        self._code = tuple(path.resolve() for path in code)
        for function in project.functions:
            missing = [path for path in self._code_of(function) if not path.is_dir()]
            if missing and not self._code:
                raise ProjectError(f"{project.path}: {function.name}: code: {missing[0]} is not a directory")
        self._overrides = dict(environment or {})
        self._own_workdir = TemporaryDirectory(prefix="fc-") if workdir is None else None
        self.workdir = Path(self._own_workdir.name) if self._own_workdir else workdir or Path()
        self._account_limit = account_limit
        self._credential_lifetime = credential_lifetime
        self._slots = asyncio.Semaphore(process_limit)
        self._states = {function.name: State(function=function) for function in project.functions}
        self._runs: set[Run] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._living: dict[Instance, asyncio.Task[None]] = {}
        self._started = cloud.clock.now()
        self._stopping = False
        self._numbers: Counter[str] = Counter()
        self.switched: dict[tuple[str, str], bool] = {}
        """Triggers (function, name) that stand otherwise at the start than the project says."""
        self.left_over: Sequence[Queued] = ()
        """What a process before this one had accepted and not ended."""
        self.on_switch: Callable[[str, str, bool], None] = lambda *_: None
        """Called with function and trigger after each `enable`."""
        self.counted: dict[tuple[str, str], Counted] = {}
        """How far a process before this one got with its timers (function, trigger)."""
        self.on_count: Callable[[str, str, Counted | None], None] = lambda *_: None
        """Called with function and timer whenever it has fired, is switched on, or (None) off."""
        self.kept_settings: dict[str, dict[str, Any]] = {}
        """Of functions, by name: as a process before this one left them."""
        self.on_configure: Callable[[str, Mapping[str, Any]], None] = lambda *_: None
        """Called with a function and all its settings after each change."""
        self._frozen: set[Run] = set()  # by a fault
        self.queue = AsyncQueue(
            cloud.clock,
            self,
            spawn=self._spawn,
            deliveries=cloud.faults.deliveries,
            region=project.region,
            account=cloud.account,
        )

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        (self.workdir / "logs").mkdir(parents=True, exist_ok=True)
        self._started = self._cloud.clock.now()
        self._cloud.bus.subscribe(self._cloud.outside(self._on_event))
        self._cloud.zones.subscribe(self._cloud.outside(self._on_zone))
        self._cloud.faults.outages.on_region(self._on_region)
        for state in self._states.values():
            self._apply(state, self.kept_settings.get(state.function.name, {}))
            for trigger in state.function.triggers:
                if not isinstance(trigger, Http):
                    kept = self.switched.get((state.function.name, trigger.name))
                    on = trigger.enabled if kept is None else kept
                    self._switch(state, trigger, on, self.counted.get((state.function.name, trigger.name)))
        self.queue.go_on(self.left_over)
        if self._cloud.journal is not None:
            for event in [event for event in self._cloud.events if event.at + LATENCY > self._started]:
                self._on_event(event)  # it was on its way when the process before this one ended

    async def stop(self) -> None:
        """End every instance; nothing runs afterwards."""
        self._stopping = True
        for state in self._states.values():
            for due in state.timers.values():
                due.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for instance in self._living:
            instance.kill()
        if self._living:
            await asyncio.wait(self._living.values(), timeout=STOPPING.total_seconds())
        for run in list(self._runs):
            run.close()
        if self._own_workdir:
            self._own_workdir.cleanup()

    # --- calling ----------------------------------------------------------------------------------------------

    def function(self, name: str) -> Function:
        return self._state(name).function

    @property
    def functions(self) -> tuple[Function, ...]:
        return tuple(state.function for state in self._states.values())

    def arn(self, name: str) -> str:
        return f"acs:fc:{self.project.region}:{self._cloud.account}:functions/{name}"

    def settings(self, name: str) -> Mapping[str, Any]:
        return self._state(name).settings

    def configure(self, name: str, **settings: Any) -> None:
        """Change some of asyncInvokeConfig, concurrencyConfig, triggers (all of them) and invocationRestriction, each
        in its wire form. The values must be sound: see `emulator.fc.settings`."""
        state = self._state(name)
        before = {trigger.name: trigger for trigger in state.function.triggers}
        self._apply(state, settings)
        after = {trigger.name: trigger for trigger in state.function.triggers}
        for gone in before.keys() - after.keys():
            self._switch(state, before[gone], False)
            del state.enabled[gone]
        for trigger in after.values():
            if before.get(trigger.name) != trigger and not isinstance(trigger, Http):
                self._switch(state, trigger, trigger.enabled)
                self.on_switch(name, trigger.name, trigger.enabled)
        self.on_configure(name, state.settings)

    def _apply(self, state: State, settings: Mapping[str, Any]) -> None:
        state.settings |= settings
        changed: dict[str, Any] = {}
        if "asyncInvokeConfig" in settings:
            changed["asynchronous"] = asynchronous(settings["asyncInvokeConfig"] or {})
        if "concurrencyConfig" in settings:
            changed["reserved"] = (settings["concurrencyConfig"] or {}).get("reservedConcurrency")
        if "triggers" in settings:
            name = state.function.name
            changed["triggers"] = tuple(trigger_of(f"{name}: {t['triggerName']}", t) for t in settings["triggers"])
        state.function = replace(state.function, **changed)

    def stop_task(self, name: str, task: str) -> None:
        """Raises Refused."""
        record = self.queue.tasks.get((self._state(name).function.name, task))
        if record is None:
            raise Refused(404, "AsyncTaskNotFound", f"no task {task!r} of function {name!r}")
        self.queue.stop(name, task)
        for run in self._runs:
            if run.request_id == record.request_id and run.instance is not None:
                run.instance.kill()

    def end_executions(self, name: str) -> None:
        """Those that are running now fail."""
        for run in self._runs:
            if run.function.name == name and run.instance is not None:
                run.instance.kill()

    def log_path(self, name: str) -> Path:
        return self.workdir / "logs" / f"{name}.log"

    def _state(self, name: str) -> State:
        if name not in self._states:
            raise Refused(404, "FunctionNotFound", f"function '{name}' does not exist")
        return self._states[name]

    def request_id(self) -> str:
        """`1-` and three groups of hex, as FC 3.0 writes them."""
        text = self._cloud.chance.request_id().replace("-", "").lower()
        return f"1-{text[:8]}-{text[8:16]}-{text[16:28]}"

    async def invoke(
        self, name: str, payload: bytes, *, trigger: str = "invoke", request_id: str | None = None
    ) -> Outcome:
        """Synchronous: never retried. Raises Refused(429) when no concurrency is left."""
        function = self._allowed(name).function
        if not self.enter(function):
            raise Refused(429, "ResourceExhausted", f"function '{name}' has no concurrency left")
        chosen = request_id or self.request_id()
        run = self.begin(function, chosen)
        now = self._cloud.clock.now()
        queued = Queued(
            function=function,
            payload=payload,
            request_id=chosen,
            trigger=trigger,
            queued=now,
            due=now,
            task=chosen,
            attempts=1,
        )
        try:
            return await self._execute(run, queued)
        finally:
            run.close()

    def invoke_async(
        self,
        name: str,
        payload: bytes,
        *,
        trigger: str = "invoke",
        source: str = ASYNC,
        delay: timedelta = timedelta(0),
        task: str | None = None,
        request_id: str | None = None,
    ) -> str:
        """Queue it and return the request id. Raises Refused."""
        function = self._allowed(name).function
        chosen = request_id or self.request_id()
        self.queue.put(function, payload, request_id=chosen, trigger=trigger, source=source, delay=delay, task=task)
        return chosen

    def _allowed(self, name: str) -> State:
        state = self._state(name)
        if state.disabled:  # assumption: the code; the documentation names none
            why = state.settings["invocationRestriction"].get("reason") or "no reason was given"
            raise Refused(403, "AccessDenied", f"function '{name}' is disabled for invocation: {why}")
        return state

    # --- what the queue asks for ------------------------------------------------------------------------------

    def enter(self, function: Function) -> bool:
        state = self._states[function.name]
        function = state.function  # its concurrency may have been changed since it was queued
        if state.disabled:
            return False  # assumption: what is queued waits as when it is throttled
        if function.reserved is not None:
            allowed = state.running < function.reserved
        else:
            shared = [s for s in self._states.values() if s.function.reserved is None]
            kept = sum(s.function.reserved or 0 for s in self._states.values())
            allowed = sum(s.running for s in shared) < self._limit() - kept
        if allowed:
            state.running += 1
        return allowed

    def _limit(self) -> int:
        """Instances of this account in this region."""
        asked = Asked(service="fc", account=self._cloud.account, region=self.project.region)
        lowered = self._cloud.faults.limit(asked)
        return self._account_limit if lowered is None else min(lowered, self._account_limit)

    def begin(self, function: Function, request_id: str) -> Run:
        run = Run(self._cloud.clock, function, request_id)
        self._runs.add(run)
        if self._still(run):
            run.freeze()
        return run

    async def execute(self, run: Run, queued: Queued) -> Outcome:
        # Reserved concurrency must not queue behind others, as in the cloud; what is frozen needs no processor now.
        if run.function.reserved is not None or run.frozen:
            return await self._execute(run, queued)
        async with self._slots:
            return await self._execute(run, queued)

    def deliver(self, arn: str, payload: bytes, source: Function) -> None:
        """Calls the destination in the role of its source. Destinations other than functions of this project are only
        logged, and so is one that the role may not invoke (assumption: the cloud drops it as silently)."""
        why = f"destination of {source.name}"
        name = arn.partition(":functions/")[2].partition("/")[0]
        if name not in self._states:
            log.warning("destination %s is not modelled: dropped (%s)", arn, why)
        elif not self._cloud.ram.may_invoke(source.role or None, arn):
            log.warning("role %s may not invoke %s: dropped (%s)", source.role, arn, why)
            self._cloud.requests.add(
                Entry(self._cloud.clock.now(), "fc", "InvokeFunction", source.role or "", 403, "AccessDenied")
            )
        else:
            self._hand_on(name, payload, trigger=why)

    def _hand_on(self, name: str, payload: bytes, *, trigger: str, source: str = ASYNC) -> None:
        """Nobody waits for the answer: a refusal (the function is disabled, the payload too large) is only logged."""
        try:
            self.invoke_async(name, payload, trigger=trigger, source=source)
        except Refused as refused:
            log.warning("%s could not call %s: %s", trigger, name, refused)

    def dropped(self, queued: Queued, why: str) -> None:
        self._record(queued, f"dropped: {why}", 0.0)

    # --- execution --------------------------------------------------------------------------------------------

    async def _execute(self, run: Run, queued: Queued) -> Outcome:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        run.allow(run.function.timeout)
        work = asyncio.ensure_future(self._work(run, queued))
        late = asyncio.ensure_future(run.expired.wait())
        try:
            await asyncio.wait({work, late}, return_when=asyncio.FIRST_COMPLETED)
            seconds = loop.time() - begun
            if work.done():
                outcome = work.result()
                outcome = Outcome(body=outcome.body, error=outcome.error, seconds=seconds)
                self._record(queued, outcome.error or "ok", seconds, outcome.body if outcome.error else b"")
            else:
                limit = run.function.timeout.total_seconds()
                body = error_body(f"Function timed out after {limit:g} seconds (maxExecutionTime {limit:g})")
                outcome = Outcome(body=body, error="UnhandledInvocationError", seconds=seconds)
                self._record(queued, "time-out", seconds, body)
            return outcome
        finally:
            late.cancel()
            if not work.done():
                work.cancel()
                if run.instance:
                    run.instance.kill()
                await asyncio.gather(work, return_exceptions=True)
            self._finish(run)

    def _finish(self, run: Run) -> None:
        state = self._states[run.function.name]
        state.running -= 1
        self._runs.discard(run)
        self._frozen.discard(run)
        if run.instance and run.instance.alive:
            if self._stopping:
                run.instance.kill()
            else:
                run.instance.suspend()  # an idle instance gets no processor time (FC documentation)
                state.idle.append(run.instance)

    async def _work(self, run: Run, queued: Queued) -> Outcome:
        await run.thawed.wait()
        state = self._states[run.function.name]
        while state.idle:
            instance = state.idle.pop()
            if instance.alive:
                instance.resume()
                run.on(instance)
                break
        else:
            instance = await self._start(run.function)
            run.on(instance)
            hook = run.function.initializer
            if hook:
                run.allow(hook.timeout)
                ready = await instance.initialize(queued.request_id)
                if ready.error:
                    instance.kill()
                    return Outcome(body=ready.body, error=ready.error, seconds=0)
                run.allow(run.function.timeout)
        reply = await instance.invoke(queued.request_id, queued.payload)
        return Outcome(body=reply.body, error=reply.error, seconds=0)

    async def _start(self, function: Function) -> Instance:
        self._numbers[function.name] += 1
        id_ = f"c-{function.name}-{self._numbers[function.name]}"
        key = None
        if function.role:
            seconds = self._credential_lifetime.total_seconds()
            key = self._cloud.do(deeds.issue_key, role=function.role, seconds=seconds)
        scratch = self.workdir / "instances" / id_
        instance = await Instance.start(
            id=id_,
            function=function,
            about={
                "region": self.project.region,
                "account": self._cloud.account,
                "credentials": {
                    "access_key_id": key.id if key else "",
                    "access_key_secret": key.secret if key else "",
                    "security_token": (key.token or "") if key else "",
                },
            },
            code=self._code_of(function),
            environment=self._environment(function, id_, key, scratch),
            scratch=scratch,
            log=self.log_path(function.name),
        )
        instance.access_key = key.id if key else ""
        self._living[instance] = asyncio.create_task(self._reap(instance))
        return instance

    async def _reap(self, instance: Instance) -> None:
        await instance.gone()
        self._living.pop(instance, None)

    def _code_of(self, function: Function) -> tuple[Path, ...]:
        return self._code or ((self.project.path.parent / function.code).resolve(),)

    def _addressed(self, value: str) -> str:
        for port, region in self._cloud.region_ports.items():
            value = value.replace(f"{{url:{region}}}", f"http://{self._cloud.host}:{port}")
        return value.replace("{url}", self._cloud.url).replace("{dns}", self._cloud.dns)

    def _environment(self, function: Function, id: str, key: Key | None, scratch: Path) -> dict[str, str]:
        """Nothing of this process's environment leaks in. Source: FC documentation, environment variables."""
        root = str(self._code_of(function)[0])
        own = {name: _below(value, root) for name, value in function.environment.items()}
        own |= {name: self._addressed(value) for name, value in self._overrides.items()}
        injected = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "PYTHONUNBUFFERED": "1",
            "FC_FUNCTION_NAME": function.name,
            "FC_FUNCTION_HANDLER": function.handler,
            "FC_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "FC_FUNC_CODE_PATH": root + "/",
            "FC_ACCOUNT_ID": self._cloud.account,
            "FC_REGION": self.project.region,
            "FC_INSTANCE_ID": id,
            "FC_FUNCTION_VERSION": "LATEST",
        }
        if key:
            injected |= {
                "ALIBABA_CLOUD_ACCESS_KEY_ID": key.id,
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": key.secret,
                "ALIBABA_CLOUD_SECURITY_TOKEN": key.token or "",
            }
        return own | injected

    def _record(self, queued: Queued, outcome: str, seconds: float, body: bytes = b"") -> None:
        record = Record(
            function=queued.function.name,
            trigger=queued.trigger,
            request_id=queued.request_id,
            at=self._cloud.clock.now(),
            outcome=outcome,
            seconds=round(seconds, 4),
            attempt=queued.attempts,
            detail=body.decode(errors="replace")[:2000],
        )
        self.records.append(record)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a delivery broke inside the emulator", exc_info=task.exception())

    # --- triggers ---------------------------------------------------------------------------------------------

    def enable(self, name: str, trigger: str, on: bool) -> None:
        """Switch a timer or an event rule; a switched-on timer counts from now on."""
        state = self._state(name)
        found = next((t for t in state.function.triggers if t.name == trigger), None)
        if found is None:
            raise Refused(404, "TriggerNotFound", f"function '{name}' has no trigger '{trigger}'")
        self._switch(state, found, on)
        self.on_switch(name, trigger, on)

    def _switch(self, state: State, trigger: Trigger, on: bool, counted: Counted | None = None) -> None:
        state.enabled[trigger.name] = on
        due = state.timers.pop(trigger.name, None)
        if due:
            due.cancel()
        if not isinstance(trigger, Timer):
            return
        if not on:
            self.on_count(state.function.name, trigger.name, None)
        elif counted is not None and counted.expression == trigger.cron.expression:
            self._arm(state, trigger, since=counted.since, after=counted.after)
        else:
            now = self._cloud.clock.now()
            self._arm(state, trigger, since=now, after=now)

    def enabled(self, name: str, trigger: str) -> bool:
        return self._state(name).enabled.get(trigger, True)

    def _arm(self, state: State, timer: Timer, *, since: datetime, after: datetime) -> None:
        at = timer.cron.next_after(after, since=since)
        counted = Counted(expression=timer.cron.expression, since=since, after=after)
        self.on_count(state.function.name, timer.name, counted)

        def fire() -> None:
            self._arm(state, timer, since=since, after=at)
            event = {
                "triggerTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "triggerName": timer.name,
                "payload": timer.payload,
            }
            self._hand_on(state.function.name, json.dumps(event).encode(), trigger=timer.name, source="timer")

        state.timers[timer.name] = self._cloud.clock.call_at(at, fire, f"timer {state.function.name}/{timer.name}")

    def _on_event(self, event: CloudEvent) -> None:
        if self._stopping:
            return
        if event.dry_run:  # CloudMonitor's business alone (assumption)
            return
        if (event.account, event.region) != (self._cloud.account, self.project.region):
            return  # a bus carries what happens in its own account and region
        told = eventbridge.cloud_event(event, published=self._cloud.clock.now())
        for state in self._states.values():
            for rule in state.function.triggers:
                if isinstance(rule, EventRule) and state.enabled.get(rule.name) and rule.pattern.matches(told):
                    shape = DATA if rule.raw_data else CLOUD_EVENT
                    target = FunctionTarget(function=state.function.name, trigger=rule.name, shape=shape)
                    self._cloud.deliveries.deliver(event, target)

    def event_arrived(self, name: str, payload: bytes, *, trigger: str) -> str:
        """An event is handed to a function: "ok", or why it was not."""
        if self._stopping:
            return "function compute is stopping"
        try:
            self.invoke_async(name, payload, trigger=trigger, source="event")
        except Refused as refused:
            return f"{refused.status} {refused.code}"
        return "ok"

    # --- zones and chaos --------------------------------------------------------------------------------------

    def _dark(self, function: Function) -> bool:
        """All of its vSwitches lie in dark zones. A function without vpcConfig never freezes."""
        if not function.vswitches:
            return False
        zones = [self.zone_of(vswitch) for vswitch in function.vswitches]
        return all(zone is not None and self._cloud.zones.is_dark(zone) for zone in zones)

    def zone_of(self, vswitch: str) -> str | None:
        found = self._cloud.ecs.vswitches.get(vswitch)
        return found.zone if found else None

    def _on_zone(self, zone: str, dark: bool) -> None:  # noqa: ARG002 (a function may span zones: look at all)
        self._settle()

    def _on_region(self) -> None:
        self.queue.stand_still(self._cloud.faults.outages.is_out(self.project.region))
        self._settle()

    def _settle(self) -> None:
        for run in list(self._runs):
            if self._still(run):
                run.freeze()
            else:
                run.thaw()

    def _still(self, run: Run) -> bool:
        """Whether it must not work now."""
        out = self._cloud.faults.outages.is_out(self.project.region)
        return out or run in self._frozen or self._dark(run.function)

    def freeze_caller(self, access_key: str, seconds: timedelta) -> bool:
        """A fault: the instance with these credentials is suspended in the middle of its work. False: there is none."""
        run = next((r for r in self._runs if r.instance and access_key and r.instance.access_key == access_key), None)
        if run is None:
            return False
        self._frozen.add(run)
        run.freeze()

        def go_on() -> None:
            self._frozen.discard(run)
            if run in self._runs and not self._still(run):
                run.thaw()

        self._cloud.clock.call_later(seconds, go_on, f"an instance of {run.function.name} goes on")
        return True

    def running(self) -> tuple[Run, ...]:
        return tuple(self._runs)

    def instances(self, name: str | None = None) -> tuple[Instance, ...]:
        """Idle and working ones."""
        idle = [i for state in self._states.values() for i in state.idle]
        busy = [run.instance for run in self._runs if run.instance]
        return tuple(i for i in (*idle, *busy) if name in (None, i.function.name))

    def kill(self, name: str | None = None) -> int:
        """End instances of `name` (of all functions, when None); running requests fail as after a crash."""
        dying = self.instances(name)
        for instance in dying:
            instance.kill()
        return len(dying)

    def kill_one(self) -> str | None:
        """Chaos: one instance that is at work, chosen by the emulator's seed. Its function's name, if there was one."""
        busy = sorted((run.instance for run in self._runs if run.instance), key=lambda i: i.id)
        if not busy:
            return None
        chosen = busy[self._cloud.chance.below(len(busy))]
        chosen.kill()
        return chosen.function.name


def _below(value: str, root: str) -> str:
    """`/code/python` of the cloud is a folder of the first code directory here."""
    parts = [
        root + part[len("/code") :] if part == "/code" or part.startswith("/code/") else part
        for part in value.split(":")
    ]
    return ":".join(parts)
