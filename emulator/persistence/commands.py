"""What is asked of the world, as values: calls that change it, and deeds. Both can be written down and done again.

A deed is any function `deed(cloud, *, ...)` of the emulator with JSON arguments (and at most one of bytes, named
`body`): an operator's act, a guest's write, whatever reaches into the world past the API.
"""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from emulator.wire.call import ApiError, Call, Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

READING: Final = ("Describe", "Get", "List", "Query", "Search", "Check", "Verify")
"""Actions that begin so change nothing (the API's own naming). All others are taken to change something."""


def is_read(action: str) -> bool:
    return action.startswith(READING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`what` is a Call, or a deed by its name with arguments."""

    what: "Call | Deed"
    body: bytes | None = None

    def __str__(self) -> str:
        if isinstance(self.what, Call):
            return f"{self.what.action} by {self.what.caller.role or self.what.caller.access_key}"
        return self.what.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    name: str  # module:function
    arguments: Mapping[str, Any]


def deed_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Command:
    body = arguments.get("body")
    rest = {name: value for name, value in arguments.items() if name != "body"}
    return Command(what=Deed(name=f"{function.__module__}:{function.__qualname__}", arguments=rest), body=body)


def pack(command: Command) -> str:
    """Raises TypeError or ValueError for arguments that JSON cannot hold."""
    what = command.what
    if isinstance(what, Call):
        plain: dict[str, Any] = {"call": {**asdict(what), "params": dict(what.params)}}
    else:
        plain = {"deed": what.name, "arguments": dict(what.arguments)}
    return json.dumps(plain, separators=(",", ":"), sort_keys=True)


def unpack(packed: str, body: bytes | None) -> Command:
    """Raises ValueError for what `pack` did not make."""
    plain = json.loads(packed)
    try:
        if "call" in plain:
            call = plain["call"]
            return Command(what=Call(**{**call, "caller": Caller(**call["caller"])}))
        return Command(what=Deed(name=plain["deed"], arguments=plain["arguments"]), body=body)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a command: {packed[:80]}") from error


def perform(command: Command, cloud: "Cloud") -> Any:
    """Do it again, on its authority of then: whether the caller may was decided when it was asked."""
    what = command.what
    if isinstance(what, Call):
        operation = cloud.realm(what.caller.account, what.region).operations.get((what.version, what.action))
        if operation is None:
            raise ValueError(f"this emulator does not model {what.action} of {what.version}")
        return operation(what)
    module, _, function = what.name.partition(":")
    if not module.startswith("emulator."):
        raise ValueError(f"{what.name} is no deed of the emulator")
    arguments = dict(what.arguments) if command.body is None else {**what.arguments, "body": command.body}
    return getattr(importlib.import_module(module), function)(cloud, **arguments)


def outcome(act: Callable[[], Any]) -> tuple[Any, Exception | None, str]:
    """What it returned or raised, and a digest of that: short, and the same whenever the outcome is the same."""
    try:
        result = act()
        return result, None, _digest(result)
    except ApiError as error:
        return None, error, f"refused: {error.code}"
    except Exception as error:  # noqa: BLE001 (raised again; a fault may have changed the world, and must do so again)
        return None, error, f"failed: {type(error).__name__}"


def _digest(result: Any) -> str:
    told = json.dumps(result, separators=(",", ":"), sort_keys=True, default=str)
    return blake2b(told.encode(), digest_size=8).hexdigest()
