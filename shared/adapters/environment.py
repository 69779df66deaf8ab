"""The process environment, read at the moment of use: credentials in it may change between invocations."""

import os

from shared.domain.errors import BadInput


def variable(name: str, default: str | None = None) -> str | None:
    """The variable's text, or `default` when it is missing or empty (a deployment cannot leave one out, only empty)."""
    return os.environ.get(name, "").strip() or default


def require(name: str, remedy: str) -> str:
    """The variable's text. Raises BadInput that names it and says how to mend it."""
    value = variable(name)
    if value is None:
        raise BadInput(f"environment variable {name} is missing or empty: {remedy}")
    return value


def whole() -> dict[str, str]:
    """A copy of all of it, for a child process."""
    return dict(os.environ)
