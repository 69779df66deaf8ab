"""Reads a change of a record out of the sentence in which the cloud's trail tells it.

Neither service documents the words of its trail. Assumption: an update names the old record and the new one in this
order, and the record's value is the last address or domain name of each, the record's own name aside. Where that
cannot be read, the value is empty, and whoever compares says that it cannot.
"""

import re
from typing import Final

_ADDRESS_OR_NAME: Final = re.compile(
    r"(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]{2,}|(?:[\w-]+\.)+[A-Za-z][\w-]*"
)
_ARROW: Final = re.compile(r"\s*(?:->|=>|→)\s*|\s+to\s+")  # "to" is also a part of names


def values(text: str, *, name: str) -> tuple[str, str]:
    """(before, after); each empty when the sentence does not tell it."""
    old, arrow, new = _parted(text)
    if not arrow:
        return "", _value(old, name)
    return _value(old, name), _value(new, name)


def _parted(text: str) -> tuple[str, str, str]:
    found = _ARROW.search(text)
    return (text, "", "") if found is None else (text[: found.start()], found[0], text[found.end() :])


def _value(text: str, name: str) -> str:
    found = [one for one in _ADDRESS_OR_NAME.findall(text) if one.lower() != name.lower()]
    return found[-1] if found else ""
