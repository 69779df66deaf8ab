"""What the official SDKs say of each action: its parameters on the wire and the shape of its answer.

`python -m tests.emulator.official` writes it to `emulator/wire/catalogue.json`, where the emulator (which may not need
an SDK) finds which parameters it does not model, and tests find fields that no SDK would read. Generated from the
models of the pinned packages; a test compares it with them again.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from inspect import getsource
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from emulator.cloud import Cloud
from emulator.wire.services import VERSIONS

CATALOGUE = Path(__file__).parents[2] / "emulator" / "wire" / "catalogue.json"

SDKS = {
    "ecs": "alibabacloud_ecs20140526",
    "pvtz": "alibabacloud_pvtz20180101",
    "slb": "alibabacloud_slb20140515",
    "alidns": "alibabacloud_alidns20150109",
    "vpc": "alibabacloud_vpc20160428",
    "ess": "alibabacloud_ess20220222",
    "cms": "alibabacloud_cms20190101",
    "sts": "alibabacloud_sts20150401",
}

SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", bytes: "string"}
REGION_REQUIRED = re.compile(r"# This parameter is required\.\n\s+self\.region_id = ")
"""The SDK says it in a comment, and leaves it to the service to refuse a call without it."""
Schema = Any
"""A scalar's name, `any`, `[item]` or `{field: schema}`."""


def _fields(model: type) -> Iterator[tuple[str, Any]]:
    """(wire name, Python type) of each attribute of a model. The names are found by writing one attribute at a time:
    the SDK's own `to_map` is the only place that knows them."""
    empty = model()
    before = empty.to_map()
    init = model.__dict__["__init__"]
    for attribute, kind in get_type_hints(init, vars(sys.modules[model.__module__])).items():
        if attribute == "return":
            continue
        one = model()
        setattr(one, attribute, _sample(kind))
        changed = [name for name, value in one.to_map().items() if before.get(name) != value]
        if len(changed) != 1:
            raise AssertionError(f"{model.__name__}.{attribute} is written as {changed}")
        yield changed[0], kind


def _sample(kind: Any) -> Any:
    origin = get_origin(kind)
    if origin is list:
        return [_sample(get_args(kind)[0])]
    if origin is dict or kind is dict:
        return {"k": "v"}
    if kind in SCALARS:
        return kind(1) if kind is not str and kind is not bytes else kind()
    return "any" if kind is Any else kind()


def shape(kind: Any) -> Schema:
    origin = get_origin(kind)
    if origin is list:
        return [shape(get_args(kind)[0])]
    if origin is dict or kind in (dict, Any):
        return "any"
    if kind in SCALARS:
        return SCALARS[kind]
    return {name: shape(inner) for name, inner in _fields(kind)}


def flattened(schema: Schema, name: str = "") -> Iterator[str]:
    """A request's shape as it travels: `Tag.N.Key`, `SystemDisk.Size`."""
    if isinstance(schema, dict):
        for inner, deeper in schema.items():
            yield from flattened(deeper, f"{name}.{inner}" if name else inner)
    elif isinstance(schema, list):
        yield from flattened(schema[0], f"{name}.N")
    else:
        yield name


def describe(service: str, action: str) -> dict[str, Any] | None:
    """None: this SDK has no such action."""
    models = importlib.import_module(f"{SDKS[service]}.models")
    answer = getattr(models, f"{action}ResponseBody", None)
    if answer is None:
        return None
    request = getattr(models, f"{action}ShrinkRequest", None) or getattr(models, f"{action}Request", None)
    parameters = sorted(flattened(shape(request))) if request is not None else []
    region = {"region": True} if request is not None and REGION_REQUIRED.search(getsource(request)) else {}
    return {"parameters": parameters, **region, "answer": shape(answer)}


def actions(service: str) -> list[str]:
    models = importlib.import_module(f"{SDKS[service]}.models")
    return sorted(name.removesuffix("ResponseBody") for name in dir(models) if name.endswith("ResponseBody"))


def catalogue() -> dict[str, Any]:
    modelled = Cloud().home.operations
    found: dict[str, Any] = {}
    for number, service in VERSIONS.items():
        mine = sorted(action for version_, action in modelled if version_ == number)
        described = {action: describe(service, action) for action in mine}
        found[service] = {
            "version": number,
            "sdk": f"{SDKS[service].replace('_', '-')} {version(SDKS[service])}",
            "actions": {action: entry for action, entry in described.items() if entry is not None},
            "foreign": [action for action, entry in described.items() if entry is None],
            "others": [action for action in actions(service) if action not in mine],
        }
    return found


def text(found: Mapping[str, Any]) -> str:
    """One line an action, so that a change of the SDK reads as one."""
    lines = ["{"]
    for number, (service, part) in enumerate(found.items()):
        lines.append(f'"{service}": {{')
        lines += [f'"{key}": {json.dumps(part[key])},' for key in ("version", "sdk", "foreign", "others")]
        lines.append('"actions": {')
        entries = [f'"{a}": {json.dumps(d, separators=(",", ":"))}' for a, d in sorted(part["actions"].items())]
        lines.append(",\n".join(entries))
        lines.append("}}" + ("," if number < len(found) - 1 else ""))
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    CATALOGUE.write_text(text(catalogue()))
