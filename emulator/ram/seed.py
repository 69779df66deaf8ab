"""The section `ram` of a seed, and roles declared on the command line.

ram:
  files: deploy/ram                       # where `file:` names are looked up; the working directory without it
  fill: {region: cn-hangzhou}             # answers @region@ in policies
  users:
    - {name: deployer, access_keys: [{id: AKID, secret: SECRET}], policies: [{file: deployer.json}]}
  roles:
    - name: backup
      trust: {services: [fc.aliyuncs.com]}   # or {users: [...], roles: [...], accounts: [...]}, or a document
      policies: [{file: backup.json}, {Version: "1", Statement: [...]}]
      max_session_seconds: 7200
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.ram.policy import PolicyError
from emulator.seed import SeedError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.realm import Realm

_MARK: Final = re.compile(r"@([A-Za-z_]+)@")


def load(section: Any, realm: "Realm") -> None:
    """Raises ValueError that names the place."""
    if not isinstance(section, Mapping):
        raise PolicyError("ram: expected a mapping with users and roles")
    _only(section, "ram", "files", "fill", "users", "roles")
    folder = Path(str(section.get("files", ".")))
    fill = {"account": realm.account, "region": realm.region, **_texts(section.get("fill") or {})}
    ram, keys = realm.cloud.ram, realm.cloud.keys
    for number, part in enumerate(section.get("users") or ()):
        where = f"ram: users[{number}]"
        _only(part, where, "name", "access_keys", "policies")
        name = str(part["name"])
        ram.user(name, *_policies(part, where, folder, fill), account=realm.account)
        for key in part.get("access_keys") or ():
            keys.add(str(key["id"]), str(key["secret"]), account=realm.account, user=name)
    for number, part in enumerate(section.get("roles") or ()):
        where = f"ram: roles[{number}]"
        _only(part, where, "name", "trust", "policies", "max_session_seconds")
        ram.role(
            str(part["name"]),
            *_policies(part, where, folder, fill),
            trust=trust(part.get("trust"), realm.account),
            account=realm.account,
            max_session=timedelta(seconds=int(part.get("max_session_seconds", 3600))),
        )


def declare(cloud: "Cloud", roles: Sequence[tuple[str, Sequence[Path]]], fill: Mapping[str, str]) -> None:
    """Roles of the home account from policy files, trusted by whoever is permitted to assume them. Raises SeedError."""
    values = {"account": cloud.account, "region": cloud.region, **fill}
    for name, files in roles:
        try:
            cloud.ram.role(name, *(read(file, values) for file in files))
        except PolicyError as error:
            raise SeedError(str(error)) from error


def read(file: Path, fill: Mapping[str, str]) -> str:
    """A policy's text with each `@name@` filled. Raises PolicyError."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{file}: cannot be read: {error.strerror}") from error
    missing = sorted({name for name in _MARK.findall(text) if name not in fill})
    if missing:
        raise PolicyError(f"{file}: no value for {', '.join(f'@{name}@' for name in missing)}")
    return _MARK.sub(lambda found: fill[found[1]], text)


def trust(section: Any, account: str) -> Mapping[str, Any] | None:
    """A trust policy, written out or in short."""
    if section is None:
        return None
    if isinstance(section, Mapping) and "Statement" in section:
        return section
    _only(section, "ram: trust", "services", "users", "roles", "accounts")
    ram = [
        *(f"acs:ram::{account}:user/{name}" for name in section.get("users") or ()),
        *(f"acs:ram::{account}:role/{name}" for name in section.get("roles") or ()),
        *(f"acs:ram::{other}:root" for other in section.get("accounts") or ()),
    ]
    principal = {"Service": list(section.get("services") or ()), "RAM": ram}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {kind: who for kind, who in principal.items() if who},
    }
    return {"Version": "1", "Statement": [statement]}


def _policies(part: Mapping[str, Any], where: str, folder: Path, fill: Mapping[str, str]) -> list[str]:
    found = []
    for policy in part.get("policies") or ():
        if not isinstance(policy, Mapping):
            raise PolicyError(f"{where}: a policy is {{file: NAME}} or a document")
        if "file" in policy:
            found.append(read(folder / str(policy["file"]), fill))
        else:
            found.append(_MARK.sub(lambda mark: fill.get(mark[1], mark[0]), json.dumps(policy)))
    return found


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _only(part: Any, where: str, *known: str) -> None:
    if not isinstance(part, Mapping):
        raise PolicyError(f"{where}: expected a mapping")
    if strangers := set(part) - set(known):
        raise PolicyError(f"{where}: unknown keys {sorted(strangers)}; the keys are {', '.join(known)}")
