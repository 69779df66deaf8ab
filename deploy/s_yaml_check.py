"""Checks s.yaml offline: what the component's own schema says, and what it does not look at.

`python deploy/s_yaml_check.py` checks the file; with `--deploy` also that nothing of the demo is left in it and that
build/code is what would be built now. Every check is a function from a Deployment to sentences; no sentences is fine.
"""

import argparse
import ast
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

import jsonschema  # noqa: E402 (after the path is set: these are run as scripts)

from emulator.fc.project import ProjectError, Resolved, resolve, typed  # noqa: E402 (after the path is set: these are run as scripts)

TRIGGER_KEYS: Final = {"triggerName", "triggerType", "triggerConfig", "description", "qualifier"}
CONFIG_KEYS: Final[Mapping[str, tuple[set[str], set[str]]]] = {
    # type: (required, optional). Source: fc3 component 0.1.22, whose schema does not enforce them.
    "timer": ({"cronExpression", "enable"}, {"payload"}),
    "http": ({"authType", "methods"}, {"disableURLInternet"}),
    "eventbridge": (
        {
            "triggerEnable",
            "asyncInvocationType",
            "eventRuleFilterPattern",
            "eventSourceConfig",
            "eventSinkConfig",
            "runOptions",
        },
        set(),
    ),
}
EVENT_SINK: Final = {"eventSchema"}
RUN_OPTIONS: Final = {"mode", "errorsTolerance", "retryStrategy", "deadLetterQueue", "maximumTasks", "batchWindow"}
LARGEST_ENVIRONMENT: Final = 4096
LONGEST_AGE: Final = 604_800  # the smaller of two documented limits
MOST_EVENT_RULES: Final = 10
VARIABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FORBIDDEN_IN_PACKAGE: Final = ("tests", "emulator", "understudy", "deploy", "bench", "events", "s.yaml", ".env")
DEMO: Final = {"1000000000000001", "vpc-demo", "sg-demo", "vsw-h", "vsw-i"}
SHORT_LIVED: Final = {"watch": (2, 60), "schedule": (8, 600)}
"""Entry module: most retries, greatest age in seconds. After an outage stale ticks must not start by the hundred: the
age sees to it, and watch looks at its tick's own time besides. A retry is for the instance whose keys ran out and that
ended itself; without one the site would be blind for the rest of the minute, perhaps both sites at once. Two, since the
next warm instance may be as old; more would only repeat what fails for another reason."""
TRIED_AGAIN: Final = {"watch": 1}
"""Entry module: fewest retries."""
RESERVED: Final = {"watch": 6, "command": 1}
"""Entry module: fewest instances kept for it. Three ticks of watch overlap, since each may run 62 + 60 s, every 60 s;
and as many calls by `alarm`, which makes one a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    root: Path
    resolved: Resolved
    props: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def package(self) -> Path:
        return self.root / "build" / "code"

    def entry(self, name: str) -> str:
        return str(self.props[name].get("handler", "")).partition(".")[0]

    def triggers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, props in self.props.items():
            for trigger in props.get("triggers") or ():
                yield f"{name}: trigger {trigger.get('triggerName')!r}", trigger


Check = Callable[[Deployment], Iterator[str]]


def schema(deployment: Deployment) -> Iterator[str]:
    """The component's schema, and no key that it does not know (it accepts misspelt ones)."""
    document = json.loads((ROOT / "deploy" / "fc3.schema.json").read_text())
    validator = jsonschema.Draft7Validator(document)
    for name, props in deployment.props.items():
        for error in validator.iter_errors(props):
            yield f"{name}: {'/'.join(map(str, error.path)) or 'props'}: {error.message}"
        for key in sorted(set(props) - set(document["properties"])):
            yield f"{name}: {key}: the component has no such property"


def trigger_keys(deployment: Deployment) -> Iterator[str]:
    for where, trigger in deployment.triggers():
        kind = str(trigger.get("triggerType"))
        if kind not in CONFIG_KEYS:
            yield f"{where}: triggerType {kind!r} is not used here ({', '.join(CONFIG_KEYS)})"
            continue
        required, optional = CONFIG_KEYS[kind]
        config = trigger.get("triggerConfig") or {}
        yield from (f"{where}: {key}: unknown key" for key in sorted(set(trigger) - TRIGGER_KEYS))
        yield from (f"{where}: triggerConfig.{key} is missing" for key in sorted(required - set(config)))
        yield from (f"{where}: triggerConfig.{key}: unknown key" for key in sorted(set(config) - required - optional))
        if kind == "eventbridge":
            sink = (config.get("eventSinkConfig") or {}).get("deliveryOption") or {}
            yield from (f"{where}: deliveryOption.{key}: unknown key" for key in sorted(set(sink) - EVENT_SINK))
            options = config.get("runOptions") or {}
            yield from (f"{where}: runOptions.{key}: unknown key" for key in sorted(set(options) - RUN_OPTIONS))


def readable(deployment: Deployment) -> Iterator[str]:
    """Cron forms, JSON patterns, unique names, one region: all that the typed reader refuses."""
    try:
        typed(deployment.resolved)
    except ProjectError as error:
        yield str(error)


def event_rules(deployment: Deployment) -> Iterator[str]:
    count = sum(trigger.get("triggerType") == "eventbridge" for _, trigger in deployment.triggers())
    if count > MOST_EVENT_RULES:
        yield f"{count} eventbridge triggers: FC may create {MOST_EVENT_RULES} rules on the default bus"
    for name, props in deployment.props.items():
        kinds = [trigger.get("triggerType") for trigger in props.get("triggers") or ()]
        if "eventbridge" in kinds and set(kinds[kinds.index("eventbridge") :]) != {"eventbridge"}:
            yield f"{name}: list eventbridge triggers last: component 0.1.22 skips what follows an unchanged one"


def handlers(deployment: Deployment) -> Iterator[str]:
    places = [deployment.root / "functions"]
    if deployment.package.is_dir():
        places.append(deployment.package)
    for name, props in deployment.props.items():
        hook = ((props.get("instanceLifecycleConfig") or {}).get("initializer") or {}).get("handler")
        for wanted in filter(None, (props.get("handler"), hook)):
            module, _, function = str(wanted).partition(".")
            for place in places:
                if function not in _functions_of(place / f"{module}.py"):
                    yield f"{name}: {wanted}: no function {function!r} in {place.name}/{module}.py"


def _functions_of(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def destinations(deployment: Deployment) -> Iterator[str]:
    names = {props.get("functionName") for props in deployment.props.values()}
    leads: dict[str, set[str]] = {}
    for name, props in deployment.props.items():
        config = (props.get("asyncInvokeConfig") or {}).get("destinationConfig") or {}
        for kind, target in config.items():
            arn = str(target.get("destination"))
            found = re.fullmatch(r"acs:fc:([a-z0-9-]+):(\d+):functions/([A-Za-z0-9_-]+)", arn)
            if not found or found[1] != props.get("region") or found[3] not in names:
                yield f"{name}: {kind}: {arn!r} is not a function of this file and region"
                continue
            leads.setdefault(str(props.get("functionName")), set()).add(found[3])
            if not _may_invoke(deployment, name, found[3]):
                policy = f"deploy/ram/{deployment.entry(name)}.json"
                yield f"{name}: {kind}: {policy} lacks fc:InvokeFunction on {found[3]}: its role calls the destination"
    for start in leads:
        seen: set[str] = set()
        reach = set(leads[start])
        while reach - seen:
            seen |= reach
            reach = set().union(*(leads.get(name, set()) for name in reach))
        if start in seen:
            yield f"{start}: its destinations lead back to it: whether FC ends such a loop is not documented"


def _may_invoke(deployment: Deployment, name: str, function: str) -> bool:
    policy = deployment.root / "deploy" / "ram" / f"{deployment.entry(name)}.json"
    if not policy.is_file():
        return False
    return any(
        statement["Effect"] == "Allow"
        and "fc:InvokeFunction" in statement["Action"]
        and any(str(resource).endswith(f":functions/{function}") for resource in statement["Resource"])
        for statement in json.loads(policy.read_text(encoding="utf-8"))["Statement"]
    )


def environment_size(deployment: Deployment) -> Iterator[str]:
    for name, props in deployment.props.items():
        variables = props.get("environmentVariables") or {}
        total = sum(len(f"{key}={value}".encode()) + 1 for key, value in variables.items())
        if total > LARGEST_ENVIRONMENT:
            yield f"{name}: environmentVariables: {total} bytes; FC takes {LARGEST_ENVIRONMENT} in all"
        for key in variables:
            if not VARIABLE.fullmatch(str(key)) or str(key).startswith("FC_"):
                yield f"{name}: environmentVariables.{key}: FC refuses this name"
        if "/code/python" not in str(variables.get("PYTHONPATH", "")).split(":"):
            yield f"{name}: environmentVariables.PYTHONPATH must hold /code/python, where the dependencies are"


def asynchronous(deployment: Deployment) -> Iterator[str]:
    for name, props in deployment.props.items():
        config = props.get("asyncInvokeConfig") or {}
        retries, age = config.get("maxAsyncRetryAttempts"), config.get("maxAsyncEventAgeInSeconds")
        if retries is None or age is None:
            yield f"{name}: asyncInvokeConfig: set maxAsyncRetryAttempts and maxAsyncEventAgeInSeconds: defaults differ"
            continue
        if age > LONGEST_AGE:
            yield f"{name}: maxAsyncEventAgeInSeconds: {age} is over {LONGEST_AGE}, the smaller documented limit"
        most, oldest = SHORT_LIVED.get(deployment.entry(name), (8, LONGEST_AGE))
        if retries > most or age > oldest:
            yield f"{name}: asyncInvokeConfig: at most {most} retries and {oldest} s, or stale ticks pile up"
        if retries < (fewest := TRIED_AGAIN.get(deployment.entry(name), 0)):
            yield f"{name}: maxAsyncRetryAttempts: at least {fewest}: an instance whose keys ran out ends itself"


def concurrency(deployment: Deployment) -> Iterator[str]:
    for name, props in deployment.props.items():
        reserved = (props.get("concurrencyConfig") or {}).get("reservedConcurrency", 0)
        if reserved < (fewest := RESERVED.get(deployment.entry(name), 0)):
            wanted = f"want at least {fewest}: a failover must not queue behind backups, nor behind its last tick"
            yield f"{name}: concurrencyConfig.reservedConcurrency: {reserved}; {wanted}"


def sizes(deployment: Deployment) -> Iterator[str]:
    """Source: FC documentation, vCPU and memory must stand between 1:1 and 1:4."""
    for name, props in deployment.props.items():
        given = [props.get(key) for key in ("memorySize", "cpu", "diskSize")]
        if not all(isinstance(value, int | float) for value in given):
            yield f"{name}: set memorySize, cpu and diskSize together: the component fills in others by itself"
            continue
        ratio = props["memorySize"] / 1024 / props["cpu"]
        if not 1 <= ratio <= 4:
            yield f"{name}: {props['memorySize']} MB with {props['cpu']} vCPU: want 1 to 4 GB per vCPU"


def runtime(deployment: Deployment) -> Iterator[str]:
    for name, props in deployment.props.items():
        if props.get("runtime") != "python3.12":
            yield f"{name}: runtime: want python3.12, for which the bytecode is built"
        if props.get("layers"):
            yield f"{name}: layers: none: a layer loses its bytecode"
        if props.get("code") != "./build/code":
            yield f"{name}: code: want ./build/code, which make package builds"


def roles(deployment: Deployment) -> Iterator[str]:
    """One role per entry module, with a policy in deploy/ram."""
    for name, props in deployment.props.items():
        entry = deployment.entry(name)
        if props.get("role") != f"understudy-{entry}":
            yield f"{name}: role: want understudy-{entry}: one role for each entry module"
        if not (deployment.root / "deploy" / "ram" / f"{entry}.json").is_file():
            yield f"{name}: deploy/ram/{entry}.json is missing: the role has no policy"


def shadowing(deployment: Deployment) -> Iterator[str]:
    taken = set(sys.stdlib_module_names) | _installed() | {"shared"}
    packaged = deployment.package / "python"
    if packaged.is_dir():
        taken |= {path.stem for path in packaged.iterdir()}
    for entry in sorted((deployment.root / "functions").glob("*.py")):
        if entry.stem in taken:
            yield f"functions/{entry.name}: the name shadows a module that others import: rename it"


@cache
def _installed() -> frozenset[str]:
    return frozenset(importlib.metadata.packages_distributions())


def contents(deployment: Deployment) -> Iterator[str]:
    """Of the built package, when there is one."""
    if not deployment.package.is_dir():
        return
    for name in FORBIDDEN_IN_PACKAGE:
        if (deployment.package / name).exists():
            yield f"build/code/{name} must not be deployed: run make package"
    for needed in ("shared", "python", "__pycache__"):
        if not (deployment.package / needed).is_dir():
            yield f"build/code/{needed} is missing: run make package"
    if not (deployment.package / ".fcignore").is_file():
        yield "build/code/.fcignore is missing: run make package"


CHECKS: Final[tuple[Check, ...]] = (
    schema,
    trigger_keys,
    readable,
    event_rules,
    handlers,
    destinations,
    environment_size,
    asynchronous,
    concurrency,
    sizes,
    runtime,
    roles,
    shadowing,
    contents,
)


def no_demo_values(deployment: Deployment) -> Iterator[str]:
    """Only before a deployment."""
    variables = deployment.resolved.document.get("vars") or {}
    for key, value in variables.items():
        if value in DEMO:
            yield f"vars.{key}: {value!r} belongs to the demo: set it in .env (deploy/bootstrap.md says which)"


def fresh_package(deployment: Deployment) -> Iterator[str]:
    """Only before a deployment."""
    if not deployment.package.is_dir():
        yield "build/code is missing: run make package"
        return
    yield from stale(deployment.root)


def stale(root: Path) -> Iterator[str]:
    """Where build/code differs from the sources: other text, a module too few, a module too many."""
    package = root / "build" / "code"
    wanted = {path.name: path for path in (root / "functions").glob("*.py") if path.name != "__init__.py"}
    wanted |= {str(path.relative_to(root)): path for path in (root / "shared").rglob("*.py")}
    packed = {str(path.relative_to(package)) for path in (*package.glob("*.py"), *(package / "shared").rglob("*.py"))}
    for name in sorted(wanted.keys() | packed):
        if name not in packed or name not in wanted or (package / name).read_bytes() != wanted[name].read_bytes():
            yield f"build/code/{name} is not the one of the sources: run make package"


BEFORE_DEPLOY: Final[tuple[Check, ...]] = (no_demo_values, fresh_package)


def problems(path: Path, environment: Mapping[str, str], *, root: Path = ROOT, deploy: bool = False) -> list[str]:
    """All that is wrong, as sentences; empty when the file can be deployed."""
    try:
        resolved = resolve(path, environment)
    except ProjectError as error:
        return [str(error)]
    deployment = Deployment(root=root, resolved=resolved, props=resolved.props)
    checks = CHECKS + BEFORE_DEPLOY if deploy else CHECKS
    return [problem for check in checks for problem in check(deployment)]


def dotenv(path: Path) -> dict[str, str]:
    """The .env file beside s.yaml, as the deployment tool reads it: NAME=value lines; the real environment wins."""
    if not path.is_file():
        return {}
    lines = (line.strip().removeprefix("export ") for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy/s_yaml_check.py", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "s.yaml")
    parser.add_argument("--deploy", action="store_true", help="also refuse demo values and a stale package")
    chosen = parser.parse_args(arguments)
    environment = {**dotenv(chosen.file.parent / ".env"), **os.environ}  # noqa: TID251 (as the deployment tool does)
    found = problems(chosen.file, environment, root=ROOT, deploy=chosen.deploy)
    if found:
        sys.stderr.write("\n".join(f"s.yaml: {problem}" for problem in found) + "\n")
        return 2
    sys.stdout.write(f"{chosen.file.name}: fine\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
