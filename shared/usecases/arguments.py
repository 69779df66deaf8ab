"""What stands in an operator's command, read with messages that name the argument and what it must be."""

from collections.abc import Mapping

from shared.domain.errors import BadInput

Arguments = Mapping[str, object]


def needed(arguments: Arguments, name: str, what: str) -> str:
    """Raises BadInput for anything but a text that is not blank; `what` says what it must be."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"argument {name} is {value!r}; it must be {what}")
    return value.strip()


def optional(arguments: Arguments, name: str) -> str:
    """An empty text when it is left out. Raises BadInput for anything but a text."""
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"argument {name} is {value!r}; it must be a text")
    return value.strip()


def texts(arguments: Arguments, name: str, what: str = "a list of texts") -> tuple[str, ...]:
    """Each once, in their order; () when it is left out. Raises BadInput for anything but a list of such texts."""
    given = arguments.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, str) and one.strip() for one in given):
        raise BadInput(f"argument {name} is {given!r}; it must be {what}")
    return tuple(dict.fromkeys(one.strip() for one in given))


def asked_by(arguments: Arguments) -> str:
    by = arguments.get("by")
    return by if isinstance(by, str) and by else "an operator"
