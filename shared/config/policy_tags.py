"""How tags are asked for: `tags: {role: app}`, and what is told to those who try the notation of another tool."""

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from shared.config.policy_values import text
from shared.config.problems import quoted
from shared.domain.policy import ANY_VALUE

LONGEST = 128
"""Characters of a tag's key or value. Source: ECS API, CreateSnapshot, Tag.N, read 2026."""

_FORMS = (
    "Write tags: {role: app}; {role: [app, db]} for one of several values; {role: '*'} for any. Beside tags stand "
    "any: [...], all: [...] and not: {...}"
)
_PAIR = re.compile(r"\s*([^=:!<>~\s]+)\s*(?:==?|:)\s*(\S+)\s*")
_UNLIKE = re.compile(r"\s*(?:not\s+|!\s*)?([^=:!<>~\s]+)\s*(?:!=|==?|:)\s*(\S+)\s*", re.IGNORECASE)
_IN = re.compile(r"\s*(\S+)\s+in\s*[\[(]([^\])]*)[\])]\s*", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+|\s*&&?\s*|\s*[,;]\s*", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+|\s*\|\|?\s*", re.IGNORECASE)
_NOT = re.compile(r"!=|^\s*!|^\s*not\s", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def remedy(written: object) -> str:
    """The condition that somebody who wrote this meant, as far as it can be told."""
    if isinstance(written, str):
        return _of_text(written)
    if isinstance(written, list):
        return _of_list(written)
    return _FORMS


def tags(value: object) -> dict[object, object]:
    if isinstance(value, str) and value.strip():
        raise ValueError(f"{quoted(value)} is text, not keys with values. {remedy(value)}")
    if isinstance(value, list) and value:
        raise ValueError(f"a list is not keys with values. {remedy(value)}")
    if not isinstance(value, dict):
        raise ValueError(f"{'an empty list' if value == [] else quoted(value)} is not keys with values. {_FORMS}")
    if not value:
        raise ValueError(f"the mapping is empty, so it asks for nothing. {_FORMS}")
    return value


def tag_key(value: object) -> str:
    word = text(value)
    if word.startswith("!"):
        raise ValueError(f"{quoted(word)} looks like a negation. Write not: {{tags: {{{shown(word[1:])}: ...}}}}")
    return _short(word)


def tag_values(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return _several(value)
    if isinstance(value, dict):
        raise ValueError("a mapping is not a tag's value. any, all and not stand beside tags, not inside: " + _FORMS)
    if value is None:
        raise ValueError("nothing is not a tag's value. Write '*' for any value, or '' for an empty one")
    word = value if value == "" else text(value)
    assert isinstance(word, str)
    if word != ANY_VALUE:
        _refuse_notation(word)
    return (_short(word),)


def _several(values: list[object]) -> tuple[str, ...]:
    if not values:
        raise ValueError("the list is empty, so no value would fit. Write one or more, or '*' for any value")
    words = tuple(_short(one if isinstance(one, str) else text(one)) for one in values)
    twice = next((one for at, one in enumerate(words) if one in words[:at]), None)
    if twice is not None:
        raise ValueError(f"{quoted(twice)} is listed twice. Remove one")
    if ANY_VALUE in words and len(words) > 1:
        raise ValueError("'*' is any value, so the others would do nothing. Write '*' alone, or leave it out")
    return words


def _refuse_notation(word: str) -> None:
    """What can hardly be meant as it stands. In a list it is taken as it stands."""
    literally = f"If a value really reads so, write [{shown(word)}]"
    if word.startswith("!"):
        meant = f"not: {{tags: {{...: {shown(word[1:])}}}}}"
        raise ValueError(f"{quoted(word)} looks like a negation. Write {meant} beside tags. {literally}")
    if ANY_VALUE in word:
        raise ValueError(f"{quoted(word)} looks like a pattern; there is only '*' alone, for any value. {literally}")
    if "|" in word:
        several = ", ".join(shown(one) for one in _OR.split(word.strip()) if one)
        raise ValueError(f"{quoted(word)} looks like several values. Write [{several}]. {literally}")


def _short(word: str) -> str:
    if len(word) > LONGEST:
        raise ValueError(f"{quoted(word)} has {len(word)} characters, a tag of the cloud at most {LONGEST}. Shorten it")
    return word


def shown(word: object) -> str:
    """A word as YAML takes it."""
    plain = isinstance(word, str) and _PLAIN.fullmatch(word) and word.lower() not in ("true", "false", "null")
    return word if plain and isinstance(word, str) else f"'{word}'"


def _of_text(written: str) -> str:
    if (found := _IN.fullmatch(written)) and (values := re.findall(r"[^\s,'\"]+", found[2])):
        return f"Write tags: {{{shown(found[1])}: [{', '.join(shown(one) for one in values)}]}}"
    branches = _OR.split(written.strip())
    if len(branches) > 1 and all(_PAIR.fullmatch(one) for one in branches):
        return f"Write any: [{', '.join(_one(branch) for branch in branches)}]"
    parts = _AND.split(written.strip())
    wanted = [one for one in parts if not _NOT.search(one)]
    unwanted = [found for one in parts if _NOT.search(one) and (found := _UNLIKE.fullmatch(one))]
    pairs = [found for one in wanted if (found := _PAIR.fullmatch(one))]
    if len(pairs) + len(unwanted) != len(parts):
        return _FORMS
    said = [f"tags: {{{_pairs(pairs)}}}"] if pairs else []
    if len(unwanted) == 1:
        said.append(f"not: {{tags: {{{_pairs(unwanted)}}}}}")
    elif unwanted:
        said.append(f"not: {{any: [{', '.join(f'{{tags: {{{_pairs([one])}}}}}' for one in unwanted)}]}}")
    return f"Write {', '.join(said)}"


def _of_list(written: list[object]) -> str:
    pairs: list[tuple[str, str]] = []
    for one in written:
        if isinstance(one, str) and (found := _PAIR.fullmatch(one)):
            pairs.append((found[1], shown(found[2])))
        elif isinstance(one, str) and _PLAIN.fullmatch(one):
            pairs.append((one, "'*'"))
        elif isinstance(one, dict) and {str(key).lower() for key in one} == {"key", "value"}:
            by_name = {str(key).lower(): value for key, value in one.items()}
            pairs.append((str(by_name["key"]), shown(by_name["value"])))
        elif isinstance(one, dict) and len(one) == 1:
            ((key, value),) = one.items()
            pairs.append((str(key), shown(value)))
        else:
            return _FORMS
    wanted = ", ".join(f"{shown(key)}: {value}" for key, value in pairs)
    return f"Write tags: {{{wanted}}}" + (", which asks for the tag with any value" if "'*'" in wanted else "")


def _one(branch: str) -> str:
    found = _PAIR.fullmatch(branch)
    return f"{{tags: {{{_pairs([found] if found else [])}}}}}"


def _pairs(found: list[re.Match[str]]) -> str:
    return ", ".join(f"{shown(one[1])}: {shown(one[2])}" for one in found)


TagKey = Annotated[str, BeforeValidator(tag_key)]
TagValues = Annotated[
    tuple[str, ...],
    BeforeValidator(tag_values),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": LONGEST},
                {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"type": "string", "maxLength": LONGEST},
                },
            ]
        }
    ),
]
Tags = Annotated[dict[TagKey, TagValues], BeforeValidator(tags)]
