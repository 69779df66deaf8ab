"""What stands in the cloud at the start: one YAML file, `${name}` filled from settings.

Each service loads its own section (`emulator/<service>/seed.py: load(section, cloud)`); this module reads the file,
fills it and refuses keys that nobody knows, since a misspelt key would otherwise be a silent hole in the world.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.realm import Realm

EXAMPLES = Path(__file__).parent / "examples"

ECS_KEYS = ("region", "zones", "vpc", "vswitches", "security_groups", "images", "instances")
OTHER_SECTIONS = {
    "load_balancers": "slb",
    "private_zones": "pvtz",
    "public_domains": "alidns",
    "scaling_groups": "ess",
    "ram": "ram",
}


class SeedError(ValueError):
    """The seed file is wrong; the message names file, key and remedy."""


def load(path: Path | str, cloud: "Cloud", *, settings: Mapping[str, str] | None = None) -> None:
    """Fill `cloud` from the file. A bare name such as `two-zones` means one of the examples."""
    text, where = read(path)
    load_text(text, cloud, where=where, settings=settings or {})


def read(path: Path | str) -> tuple[str, str]:
    """The file's text, and its name for messages."""
    file = Path(path)
    if not file.suffix and not file.exists():
        file = EXAMPLES / f"{path}.yaml"
    try:
        return file.read_text(), str(file)
    except OSError as error:
        raise SeedError(f"{file}: cannot be read: {error.strerror}") from error


def load_text(text: str, cloud: "Cloud", *, where: str, settings: Mapping[str, str]) -> None:
    document = _parse(text, where, settings)
    elsewhere = document.pop("elsewhere", None) or []
    try:
        _load_realm(document, cloud.home, where)
        for number, part in enumerate(elsewhere):
            _load_elsewhere(part, cloud, f"{where}: elsewhere[{number}]")
    except KeyError as error:
        raise SeedError(f"{where}: the key {error.args[0]!r} is missing or names nothing") from error
    except SeedError:
        raise
    except (ValueError, TypeError, ApiError) as error:
        raise SeedError(f"{where}: {error}") from error


def _load_elsewhere(part: Any, cloud: "Cloud", where: str) -> None:
    """What stands in another region or account: the same keys, with `region` and `account` to say where."""
    if not isinstance(part, dict):
        raise SeedError(f"{where}: expected a mapping, got {type(part).__name__}")
    realm = cloud.realm(str(part.pop("account", cloud.account)), str(part.get("region", cloud.region)))
    _load_realm(part, realm, where)


def _load_realm(document: Mapping[str, Any], realm: "Realm", where: str) -> None:
    known = (*ECS_KEYS, *OTHER_SECTIONS)
    for key in document:
        if key not in known:
            raise SeedError(f"{where}: unknown key {key!r}; the keys are {', '.join((*known, 'elsewhere'))}")
    from emulator.ecs.seed import load as load_ecs

    load_ecs({key: document[key] for key in ECS_KEYS if key in document}, realm)
    for key, service in OTHER_SECTIONS.items():
        if document.get(key):
            _loader(service, key, where).load(document[key], realm)


def _parse(text: str, where: str, settings: Mapping[str, str]) -> dict[str, Any]:
    try:
        filled = Template(text).substitute(settings)
    except KeyError as error:
        name = error.args[0]
        raise SeedError(f"{where}: ${{{name}}} has no value; give it with --set {name}=...") from None
    except ValueError as error:
        raise SeedError(f"{where}: {error}; write $$ for a dollar sign") from None
    try:
        document = yaml.safe_load(filled) or {}
    except yaml.YAMLError as error:
        raise SeedError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise SeedError(f"{where}: the file must be a mapping, got {type(document).__name__}")
    return document


def _loader(service: str, key: str, where: str) -> Any:
    name = f"emulator.{service}.seed"
    if importlib.util.find_spec(name) is None:
        raise SeedError(f"{where}: {key}: this emulator does not model {service}")
    return importlib.import_module(name)
