"""Flat wire parameters (`Tag.1.Key=..`) read back into texts, numbers, lists and objects.

All functions take the flat mapping and raise ApiError in the gateway's documented words. Booleans are read without
regard to case: Python SDKs send `True`, others `true`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, overload

from emulator.wire import strict_json
from emulator.wire.call import ApiError

Params = Mapping[str, str]
POSITION: Final = re.compile(r"[1-9][0-9]{0,3}")
"""The numbers in names (`Tag.1.Key`) run from 1 (assumption: none is larger than 9,999)."""
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


def missing(name: str) -> ApiError:
    return ApiError("MissingParameter", f"The input parameter {name} that is mandatory for processing is not supplied.")


def invalid(name: str, why: str) -> ApiError:
    return ApiError("InvalidParameter", f"The specified parameter {name} is not valid: {why}.")


@overload
def text(params: Params, name: str) -> str | None: ...
@overload
def text(params: Params, name: str, default: str) -> str: ...
def text(params: Params, name: str, default: str | None = None) -> str | None:
    """The value, or `default` when it was not sent. An empty text that was sent is an empty text."""
    return params.get(name, default)


def required(params: Params, name: str) -> str:
    """The value; MissingParameter when it is absent or empty."""
    value = params.get(name)
    if not value:
        raise missing(name)
    return value


@overload
def integer(params: Params, name: str, *, low: int | None = ..., high: int | None = ...) -> int | None: ...
@overload
def integer(params: Params, name: str, default: int, *, low: int | None = ..., high: int | None = ...) -> int: ...
def integer(
    params: Params, name: str, default: int | None = None, *, low: int | None = None, high: int | None = None
) -> int | None:
    value = params.get(name)
    if value is None or value == "":
        return default
    if not _WHOLE.fullmatch(value):
        raise invalid(name, f"{value[:80]!r} is not an integer")
    number = int(value)
    if (low is not None and number < low) or (high is not None and number > high):
        raise invalid(name, f"{number} is outside {low}..{high}")
    return number


def digits(text: str) -> int | None:
    """The number that the text writes in digits alone; None when it is anything else."""
    return int(text) if _WHOLE.fullmatch(text) and text[0] not in "+-" else None


def decimal(params: Params, name: str, default: float) -> float:
    value = params.get(name)
    if not value:
        return default
    if not _DECIMAL.fullmatch(value):
        raise invalid(name, f"{value[:80]!r} is not a number")
    return float(value)


def required_integer(params: Params, name: str, *, low: int | None = None, high: int | None = None) -> int:
    required(params, name)
    return integer(params, name, 0, low=low, high=high)


@overload
def boolean(params: Params, name: str) -> bool | None: ...
@overload
def boolean(params: Params, name: str, default: bool) -> bool: ...
def boolean(params: Params, name: str, default: bool | None = None) -> bool | None:
    value = params.get(name)
    if value is None or value == "":
        return default
    match value.lower():
        case "true":
            return True
        case "false":
            return False
    raise invalid(name, f"{value[:80]!r} is neither true nor false")


def list_of(params: Params, name: str) -> list[str]:
    """`Name.1=a&Name.2=b` in the order of the numbers; [] when none was sent."""
    prefix = name + "."
    found = [
        (int(key[len(prefix) :]), value)
        for key, value in params.items()
        if key.startswith(prefix) and POSITION.fullmatch(key[len(prefix) :])
    ]
    return [value for _, value in sorted(found)]


def integers(params: Params, name: str) -> list[int | None]:
    """Like `list_of`, each one a whole number (the type leaves room for "none was given")."""
    found = {str(number): value for number, value in enumerate(list_of(params, name), 1)}
    return [required_integer(found, number) for number in found]


def objects(params: Params, name: str) -> list[dict[str, str]]:
    """`Name.1.Key=..&Name.1.Value=..` as one dict per number; deeper levels keep their dots (`Tag.1.Key`)."""
    prefix = name + "."
    found: dict[int, dict[str, str]] = {}
    for key, value in params.items():
        if key.startswith(prefix):
            number, dot, rest = key[len(prefix) :].partition(".")
            if dot and POSITION.fullmatch(number):
                found.setdefault(int(number), {})[rest] = value
    return [found[number] for number in sorted(found)]


def nested(params: Params, name: str) -> dict[str, str]:
    """`Name.Size=..&Name.Category=..` as one dict."""
    prefix = name + "."
    return {key[len(prefix) :]: value for key, value in params.items() if key.startswith(prefix)}


def json_list(params: Params, name: str, *, at_most: int | None = None) -> list[Any] | None:
    """A JSON array in one text. None when it was not sent; an empty array is a valid filter that matches nothing."""
    value = params.get(name)
    if value is None or value == "":
        return None
    try:
        read = strict_json.parse(value)
    except ValueError:
        raise ApiError(f"Invalid{name}.Malformed", f"{name} must be a JSON array, got {value[:80]!r}.", 403) from None
    if not isinstance(read, list):
        raise ApiError(f"Invalid{name}.Malformed", f"{name} must be a JSON array, got {value[:80]!r}.", 403)
    if at_most is not None and len(read) > at_most:
        raise invalid(name, f"it holds {len(read)} items, at most {at_most} are allowed")
    return read


def json_texts(params: Params, name: str, *, at_most: int | None = None) -> list[str] | None:
    """Like `json_list`, for ids: every item as text."""
    read = json_list(params, name, at_most=at_most)
    return None if read is None else [str(item) for item in read]
