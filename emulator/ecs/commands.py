"""Cloud Assistant's commands: what is to be run, and what may stand in it.

Sources: ECS API RunCommand, InvokeCommand, CreateCommand (read 2025, SDK 7.11.8).
Not modelled: public commands, versions of a command, parameter stores, containers, launchers.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from emulator.wire import strict_json
from emulator.wire.call import ApiError

SHELL: Final = "RunShellScript"
TYPES: Final = (SHELL, "RunPowerShellScript", "RunBatScript")
CONTENT_BYTES: Final = 24 * 1024
"""Of the content in Base64, together with its parameters."""
NAME_LENGTH, DESCRIPTION_LENGTH, DIRECTORY_LENGTH, USER_LENGTH = 128, 512, 200, 255
PARAMETERS_AT_MOST, PARAMETER_NAME_LENGTH = 20, 64
DEFAULT_TIMEOUT: Final = 60
LEAST_TIMEOUT: Final = 10
"""Seconds; less is silently taken for this (the console says so; of the API it is an assumption)."""
HOLE: Final = re.compile(r"\{\{\s*([\w:\-]+)\s*\}\}")
BUILT_IN: Final = "ACS::"


@dataclass(slots=True, kw_only=True, eq=False)
class Command:
    id: str
    name: str
    type: str
    content: str
    created: datetime
    timeout: int = DEFAULT_TIMEOUT  # seconds
    working_dir: str = ""
    description: str = ""
    parametric: bool = False  # `EnableParameter`
    invoked: int = 0
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def parameter_names(self) -> list[str]:
        """In order of appearance, without the built-in ones."""
        if not self.parametric:
            return []
        found = (name for name in HOLE.findall(self.content) if not name.upper().startswith(BUILT_IN))
        return list(dict.fromkeys(found))

    def filled(self, given: Mapping[str, str], built_in: Mapping[str, str]) -> str:
        """The text that a machine runs; names are not case-sensitive."""
        if not self.parametric:
            return self.content
        values = {name.lower(): value for name, value in {**given, **built_in}.items()}
        return HOLE.sub(lambda hole: values.get(hole[1].lower(), hole[0]), self.content)


def decoded(content: str, *, encoded: bool) -> str:
    if not content:
        raise ApiError("MissingParameter", "CommandContent is mandatory.")
    if not encoded:
        _check_size(len(b64encode(content.encode())))
        return content
    _check_size(len(content))
    try:
        return b64decode(content, validate=True).decode()
    except ValueError:
        raise ApiError("CmdContent.DecodeError", "The CommandContent can not be base64 decoded.") from None


def _check_size(length: int) -> None:
    if length > CONTENT_BYTES:
        raise ApiError("CmdContent.ExceedLimit", f"In Base64 it has {length} of {CONTENT_BYTES} bytes.", 403)


def encoded(text: str, *, plain: bool) -> str:
    """As answers show content and output: Base64 unless `ContentEncoding=PlainText`."""
    return text if plain else b64encode(text.encode()).decode()


def check(command: Command) -> None:
    if command.type not in TYPES:
        raise ApiError("InvalidCmdType.NotFound", f"Type is one of {', '.join(TYPES)}.", 403)
    if len(command.name) > NAME_LENGTH:
        raise ApiError("CmdName.ExceedLimit", f"A name has at most {NAME_LENGTH} characters.", 403)
    if len(command.description) > DESCRIPTION_LENGTH:
        raise ApiError("CmdDesc.ExceedLimit", f"A text has at most {DESCRIPTION_LENGTH} characters.", 403)
    check_directory(command.working_dir)
    if len(command.parameter_names) > PARAMETERS_AT_MOST:
        raise ApiError("ParameterCount.ExceedLimit", f"At most {PARAMETERS_AT_MOST} parameters.", 403)


def check_directory(path: str) -> None:
    if len(path) > DIRECTORY_LENGTH:
        raise ApiError("InvalidParameter.WorkingDir", f"WorkingDir has at most {DIRECTORY_LENGTH} characters.")


def check_user(name: str) -> None:
    if len(name) > USER_LENGTH:
        raise ApiError("Username.ExceedLimit", f"A user's name has at most {USER_LENGTH} characters.", 403)


def seconds(timeout: int | None, default: int) -> int:
    if timeout is None:
        return default
    if timeout < 1:
        raise ApiError("InvalidParameter", f"Timeout is a number of seconds, not {timeout}.")
    return max(LEAST_TIMEOUT, timeout)


def parameters(command: Command, text: str | None) -> dict[str, str]:
    """`Parameters`, a JSON object, held against what the command's text asks for."""
    try:
        read = strict_json.parse(text) if text else {}
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ApiError("InvalidParameter.Parameters", "Parameters must be a JSON object.")
    if read and not command.parametric:
        raise ApiError("Parameter.Disabled", f"{command.id} takes no parameters: EnableParameter is false.")
    if any(len(name) > PARAMETER_NAME_LENGTH for name in read):
        raise ApiError("ParameterKey.ExceedLimit", f"A name has at most {PARAMETER_NAME_LENGTH} characters.", 403)
    if any(not isinstance(value, str | int | float | bool) for value in read.values()):
        raise ApiError("ParameterType.NotSupported", "Values are texts, numbers, true or false.", 403)
    given = {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in read.items()}
    wanted = {name.lower() for name in command.parameter_names}
    if command.parametric and {name.lower() for name in given} != wanted:
        raise ApiError("Parameter.NotMatched", f"The command asks for {sorted(wanted)}, not {sorted(given)}.", 403)
    return given
