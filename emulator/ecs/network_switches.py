"""What an operator of the emulator can set about addresses and guests' agents. Not part of any cloud.

POST /_emulator/ecs/network              {"interfaces_at_most": n or null, "eips_at_most": n,
                                          "established_survive": bool}: see `security_groups`
POST /_emulator/ecs/eips/ID/lock         {"locked": bool}: the account is in arrears
POST /_emulator/ecs/instances/ID/agent   {"silent": bool}: its Cloud Assistant takes no commands
POST /_emulator/ecs/commands             {"pattern": regular expression, "exit_code": n, "output": text, "seconds": n}:
                                         how guests answer commands whose text fits; the last one told wins

How long an address that was given back stays taken is among the settings (`address_release_seconds`).
"""

import re
from typing import TYPE_CHECKING, Any

from emulator.ecs.assistant import Answer

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def network(ecs: "Ecs", _: str, body: dict[str, Any]) -> dict[str, Any]:
    for name, value in body.items():
        match name, value:
            case "interfaces_at_most", None | int() if not isinstance(value, bool) and (value is None or value >= 0):
                ecs.interfaces.at_most = value
            case "eips_at_most", int() if not isinstance(value, bool) and value >= 0:
                ecs.realm.vpc.quota = value
            case "established_survive", bool():
                ecs.security_groups.established_survive = value
                ecs.security_groups.changed()
            case _:
                raise ValueError(f"{name} cannot be {value!r}; the first lines of {__name__} say what can")
    return {
        "interfaces_at_most": ecs.interfaces.at_most,
        "eips_at_most": ecs.realm.vpc.quota,
        "established_survive": ecs.security_groups.established_survive,
    }


def lock_eip(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    match body:
        case {"locked": bool(locked)}:
            ecs.realm.vpc.find(id).financial_lock = locked
            return {"eip": id, "locked": locked}
    raise ValueError('give {"locked": true or false}')


def agent(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    match body:
        case {"silent": bool(silent)}:
            ecs.assistant.silence(ecs.find_instance(id).id, silent)
            return {"instance": id, "silent": silent}
    raise ValueError('give {"silent": true or false}')


def commands(ecs: "Ecs", _: str, body: dict[str, Any]) -> dict[str, Any]:
    given = {"exit_code": 0, "output": "", "seconds": 1.0, **body}
    match given:
        case {
            "pattern": str(pattern),
            "exit_code": int(exit_code),
            "output": str(output),
            "seconds": int() | float() as seconds,
            **more,
        } if not more and seconds >= 0:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"pattern: {pattern!r} is no regular expression: {error}") from None
            ecs.assistant.behave(pattern, Answer(exit_code=exit_code, output=output, seconds=float(seconds)))
            return {"pattern": pattern, "exit_code": exit_code, "output": output, "seconds": seconds}
    raise ValueError('give {"pattern": text} and, as wanted, "exit_code", "output" and "seconds"')
