"""What a journal holds as JSON, in words: `["i-1","shop001"]` is for programs."""

import json
from typing import Any, Final

SHOWN: Final = 400
"""Characters of one value: a refusal with its reason fits, a list of a whole fleet does not."""


def plainly(value: str) -> str:
    """A value of a journal or a result as text: lists by commas, rows by semicolons, what is empty left out."""
    text = value
    if value[:1] in ("[", "{"):
        try:
            text = _words(json.loads(value))
        except ValueError:
            text = value
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _words(value: Any, *, inner: bool = False) -> str:
    if isinstance(value, dict):
        known = {key: one for key, one in value.items() if one not in (None, "", [], {})}
        return ", ".join(f"{_named(key)} {_words(one, inner=True)}" for key, one in known.items()) or "nothing"
    if isinstance(value, list):
        if not inner and any(isinstance(one, list | dict) for one in value):
            return "; ".join(_words(one, inner=True) for one in value)
        by = " " if inner and not any(isinstance(one, list | dict) for one in value) else ", "
        return by.join(_words(one, inner=True) for one in value) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _named(key: str) -> str:
    return key.replace("_", " ")
