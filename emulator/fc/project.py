"""Reads a Serverless Devs `s.yaml` (edition 3) with `fc3` resources into typed functions and triggers.

Understands the subset that an offline reader can: vars, templates with `extend`, and the expressions env, vars, this
and resources...props. Anything else stops with the file, the place and the expression, instead of being passed through.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from emulator.fc import cron, eventbridge
from emulator.fc.domains import Domain, DomainError
from emulator.fc.domains import parse as parse_domain

EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
ENV = re.compile(r"""env\(\s*(['"])(?P<name>[A-Za-z_][A-Za-z0-9_]*)\1\s*(?:,\s*(?P<default>.+?)\s*)?\)""")
PATH = re.compile(r"(?P<root>vars|this|resources)((?:\.[A-Za-z0-9_-]+)+)")
TOP_LEVEL = {"edition", "name", "access", "vars", "template", "resources", "actions", "validation"}
DOMAIN_COMPONENT = "fc3-domain"
NOT_HERE = ("layers", "nasConfig", "ossMountConfig")
"""Properties without which a function runs otherwise than in the cloud."""
RESOURCE = {"component", "props", "extend", "access", "actions"}


class ProjectError(ValueError):
    """The file cannot be used; the message names file, place and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    name: str
    enabled: bool
    cron: cron.Cron | cron.Every
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    name: str
    methods: tuple[str, ...]
    auth: str  # anonymous | function


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    name: str
    enabled: bool
    pattern: eventbridge.Pattern
    pattern_text: str
    raw_data: bool  # deliver only `data`


Trigger = Timer | Http | EventRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    handler: str
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncConfig:
    """Defaults are the schema's: 3 retries, 18,000 s."""

    retries: int = 3
    max_age: timedelta = timedelta(seconds=18_000)
    task: bool = False
    on_success: str | None = None  # ARN
    on_failure: str | None = None
    stated: bool = False  # by somebody, or nothing but the defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    resource: str  # the word used on the command line
    name: str  # the cloud name
    handler: str
    runtime: str
    code: str
    timeout: timedelta
    memory_mb: int
    environment: Mapping[str, str]
    role: str | None  # bare name
    initializer: Hook | None
    vswitches: tuple[str, ...]
    reserved: int | None
    asynchronous: AsyncConfig
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    path: Path
    name: str
    region: str
    functions: tuple[Function, ...]
    domains: tuple[Domain, ...] = ()

    def function(self, name: str) -> Function | None:
        return next((f for f in self.functions if f.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The file after templates and expressions: what `s preview` shows."""

    path: Path
    document: Mapping[str, Any]

    @property
    def props(self) -> dict[str, dict[str, Any]]:
        return {name: resource["props"] for name, resource in self.document["resources"].items()}


def load(path: Path, environment: Mapping[str, str]) -> Project:
    """`environment` answers `${env(...)}`; nothing is read from the process."""
    return typed(resolve(path, environment))


def resolve(path: Path, environment: Mapping[str, str]) -> Resolved:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ProjectError(f"{path}: not YAML: {error}") from None
    if not isinstance(document, dict):
        raise ProjectError(f"{path}: want a mapping with edition, name and resources")
    unknown = sorted(set(document) - TOP_LEVEL)
    if unknown:
        raise ProjectError(f"{path}: {', '.join(unknown)}: not modelled at the top level")
    if not str(document.get("edition", "")).startswith("3."):
        raise ProjectError(f"{path}: edition: want 3.0.0, not {document.get('edition')!r}")
    if not isinstance(document.get("resources"), dict):
        raise ProjectError(f"{path}: resources: want a mapping of name to component and props")
    document["resources"] = {
        name: _merged(path, name, resource, document.get("template") or {})
        for name, resource in document["resources"].items()
    }
    document.pop("template", None)
    return Resolved(path=path, document=_Resolver(path, document, environment).run())


def _merged(path: Path, name: str, resource: Any, templates: Mapping[str, Any]) -> dict[str, Any]:
    where = f"{path}: resources.{name}"
    if not isinstance(resource, dict) or "component" not in resource:
        raise ProjectError(f"{where}: want a mapping with component and props")
    unknown = sorted(set(resource) - RESOURCE)
    if unknown:
        raise ProjectError(f"{where}: {', '.join(unknown)}: not modelled")
    props = resource.get("props") or {}
    extend = resource.get("extend")
    if extend:
        template = templates.get(extend.get("name"))
        if template is None:
            raise ProjectError(f"{where}: extend: no template named {extend.get('name')!r}")
        base = copy.deepcopy(template)
        for dotted in extend.get("ignore", ()):
            *parents, leaf = dotted.split(".")
            holder = base
            for parent in parents:
                holder = holder.get(parent, {})
            holder.pop(leaf, None)
        props = _deep_merge(base, props)
    return {**{k: v for k, v in resource.items() if k != "extend"}, "props": props}


def _deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Maps are merged, everything else (arrays too) is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _deep_merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


class _Resolver:
    def __init__(self, path: Path, document: dict[str, Any], environment: Mapping[str, str]) -> None:
        self._path = path
        self._document = document
        self._environment = environment

    def run(self) -> dict[str, Any]:
        resolved: dict[str, Any] = self._value(self._document, (), ())
        return resolved

    def _value(self, value: Any, place: tuple[str, ...], asked: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._value(item, (*place, str(key)), asked) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, (*place, str(i)), asked) for i, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        whole = EXPRESSION.fullmatch(value)
        if whole:  # a whole-value expression keeps its type
            return self._expression(whole.group(1).strip(), place, asked)
        text = EXPRESSION.sub(lambda m: str(self._expression(m.group(1).strip(), place, asked)), value)
        if "${" in EXPRESSION.sub("", value):
            raise self._refuse(value, place, "an unclosed or nested expression")
        return text

    def _expression(self, expression: str, place: tuple[str, ...], asked: tuple[str, ...]) -> Any:
        if expression in asked:
            raise self._refuse(expression, place, "refers to itself")
        env = ENV.fullmatch(expression)
        if env:
            return self._env(env, expression, place)
        dotted = PATH.fullmatch(expression)
        if not dotted:
            raise self._refuse(expression, place, "only env('X'[, default]), vars., this. and resources. are modelled")
        root, *steps = expression.split(".")
        if root == "this":
            if place[:1] != ("resources",):
                raise self._refuse(expression, place, "`this` has a meaning only inside a resource")
            at: tuple[str, ...] = (*place[:2], *steps)
        else:
            at = (root, *steps)
        if at[0] == "resources" and at[2:3] != ("props",):
            raise self._refuse(expression, place, "only props of resources are known before a deployment")
        found: Any = self._document
        for step in at:
            if not isinstance(found, dict) or step not in found:
                raise self._refuse(expression, place, f"there is no {'.'.join(at)}")
            found = found[step]
        return self._value(found, at, (*asked, expression))

    def _env(self, env: re.Match[str], expression: str, place: tuple[str, ...]) -> Any:
        name, default = env["name"], env["default"]
        if name in self._environment:
            return self._environment[name]
        if default is None:
            raise self._refuse(expression, place, f"set the environment variable {name}")
        return yaml.safe_load(default)

    def _refuse(self, expression: str, place: tuple[str, ...], why: str) -> ProjectError:
        return ProjectError(f"{self._path}: {'.'.join(place) or 'top level'}: ${{{expression}}}: {why}")


def typed(resolved: Resolved) -> Project:
    kinds = {name: str(resource["component"]) for name, resource in resolved.document["resources"].items()}
    named = {name for name, component in kinds.items() if component.startswith(DOMAIN_COMPONENT)}
    functions = tuple(
        _function(f"{resolved.path}: {name}", name, props)
        for name, props in resolved.props.items()
        if name not in named
    )
    regions = {props.get("region") for props in resolved.props.values()}
    if len(regions) != 1:
        raise ProjectError(f"{resolved.path}: want functions of one region, found {sorted(map(str, regions))}")
    names = [function.name for function in functions]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ProjectError(f"{resolved.path}: functionName {', '.join(doubled)} is used twice")
    return Project(
        path=resolved.path,
        name=str(resolved.document.get("name", "")),
        region=str(regions.pop()),
        functions=functions,
        domains=tuple(
            _domain(f"{resolved.path}: {name}", resolved.props[name], functions) for name in kinds if name in named
        ),
    )


def _domain(where: str, props: Mapping[str, Any], functions: Sequence[Function]) -> Domain:
    try:
        made = parse_domain(props, [function.name for function in functions])
    except DomainError as error:
        raise ProjectError(f"{where}: {error}") from None
    # Source: documentation, custom domain names: only functions with an HTTP trigger are reached.
    deaf = {f.name for f in functions if not any(isinstance(trigger, Http) for trigger in f.triggers)}
    for route in made.routes:
        if route.function in deaf:
            raise ProjectError(f"{where}: {route.path}: function {route.function!r} has no HTTP trigger")
    return made


def _function(where: str, resource: str, props: Mapping[str, Any]) -> Function:
    for key in ("functionName", "handler", "runtime", "region", "code"):
        if not isinstance(props.get(key), str):
            raise ProjectError(f"{where}: {key}: want a string, found {props.get(key)!r}")
    for key in NOT_HERE:
        if props.get(key):
            raise ProjectError(f"{where}: {key}: not modelled; package what is needed into the code directory")
    if not props["runtime"].startswith("python3"):
        raise ProjectError(f"{where}: runtime {props['runtime']!r}: only Python event functions are modelled")
    hooks = props.get("instanceLifecycleConfig") or {}
    hook = hooks.get("initializer")
    vpc = props.get("vpcConfig") or {}
    if vpc == "auto" or (vpc and not isinstance(vpc.get("vSwitchIds"), list)):
        raise ProjectError(f"{where}: vpcConfig: list the vSwitchIds; 'auto' is not modelled")
    concurrency = props.get("concurrencyConfig") or {}
    role = props.get("role")
    return Function(
        resource=resource,
        name=props["functionName"],
        handler=props["handler"],
        runtime=props["runtime"],
        code=props["code"],
        timeout=timedelta(seconds=props.get("timeout", 3)),
        memory_mb=props.get("memorySize", 512),
        environment={k: str(v) for k, v in (props.get("environmentVariables") or {}).items()},
        role=role.rsplit("/", 1)[-1].lower() if role else None,
        initializer=Hook(handler=hook["handler"], timeout=timedelta(seconds=hook.get("timeout", 3))) if hook else None,
        vswitches=tuple(vpc.get("vSwitchIds", ())),
        reserved=concurrency.get("reservedConcurrency"),
        asynchronous=asynchronous(props.get("asyncInvokeConfig") or {}),
        triggers=_triggers(where, props.get("triggers") or ()),
    )


def asynchronous(config: Mapping[str, Any]) -> AsyncConfig:
    destinations = config.get("destinationConfig") or {}
    return AsyncConfig(
        retries=config.get("maxAsyncRetryAttempts", 3),
        max_age=timedelta(seconds=config.get("maxAsyncEventAgeInSeconds", 18_000)),
        task=config.get("asyncTask", False),
        on_success=(destinations.get("onSuccess") or {}).get("destination"),
        on_failure=(destinations.get("onFailure") or {}).get("destination"),
        stated=bool(config),
    )


def _triggers(where: str, items: Sequence[Mapping[str, Any]]) -> tuple[Trigger, ...]:
    triggers = tuple(trigger_of(f"{where}: trigger {item.get('triggerName')!r}", item) for item in items)
    names = [trigger.name for trigger in triggers]
    if len(set(names)) != len(names):
        raise ProjectError(f"{where}: two triggers have the same triggerName")
    return triggers


def trigger_of(where: str, item: Mapping[str, Any]) -> Trigger:
    try:
        name, kind, config = item["triggerName"], item["triggerType"], item["triggerConfig"]
        if kind == "timer":
            return Timer(
                name=name,
                enabled=config["enable"],
                cron=cron.parse(config["cronExpression"]),
                payload=config.get("payload", ""),
            )
        if kind == "http":
            if config["authType"] not in ("anonymous", "function"):
                raise ProjectError(f"{where}: authType {config['authType']!r} is not modelled")
            return Http(name=name, methods=tuple(config["methods"]), auth=config["authType"])
        if kind == "eventbridge":
            return _event_rule(where, name, config)
    except KeyError as error:
        raise ProjectError(f"{where}: {error.args[0]} is missing") from None
    except (cron.CronError, eventbridge.PatternError) as error:
        raise ProjectError(f"{where}: {error}") from None
    raise ProjectError(f"{where}: triggerType {kind!r} is not modelled (timer, http, eventbridge)")


def _event_rule(where: str, name: str, config: Mapping[str, Any]) -> EventRule:
    source = config["eventSourceConfig"]["eventSourceType"]
    mode = config["runOptions"].get("mode", "event-driven")
    if source != "Default" or mode != "event-driven" or not config["asyncInvocationType"]:
        raise ProjectError(
            f"{where}: modelled are eventSourceType Default, mode event-driven, asyncInvocationType true"
        )
    schema = config["eventSinkConfig"]["deliveryOption"].get("eventSchema", "CloudEvents")
    text = config["eventRuleFilterPattern"]
    return EventRule(
        name=name,
        enabled=config["triggerEnable"],
        pattern=eventbridge.parse(text),
        pattern_text=text,
        raw_data=schema == "RawData",
    )
