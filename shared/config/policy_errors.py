"""Pydantic's findings in our words: what is wrong with the value, and the remedy."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel

from shared.config.policy_section import Section, keys_of
from shared.config.problems import Path, nearest, quoted


def in_our_words(model: type[BaseModel], loc: Path, error: Any) -> str:
    key = loc[-1] if loc else ""
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "extra_forbidden":
            section = _section_at(model, loc[:-1])
            known = keys_of(section) if section else {}
            remedy = section.for_unknown(str(key), error["input"]) if section else ""
            return f"unknown key. {remedy}" if remedy else _unknown(str(key), known)
        case "missing":
            section = _section_at(model, loc[:-1])
            example = keys_of(section).get(str(key), "") if section else ""
            return f"is missing. Add {key}: {example}" if example else f"is missing. Add {key}"
        case "model_type" | "dict_type":
            section = _section_at(model, loc)
            keys = ", ".join(keys_of(section)) if section else ""
            remedy = f"Write {{{keys}}} with values" if keys else "Write name: value pairs"
            if section and section.for_other(error["input"]):
                remedy = section.for_other(error["input"])
            return f"{kind_of(error['input'])} stands where keys with values are expected. {remedy}"
        case "list_type" | "tuple_type":
            return f"{kind_of(error['input'])} stands where a list is expected. Write [...] or lines with - in front"
    return f"{quoted(error.get('input'))}: {error['msg']}. See docs/policy.md"


def kind_of(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return quoted(value)


def _unknown(key: str, known: dict[str, str]) -> str:
    return f"unknown key.{nearest(key, known)} Known here: {', '.join(known)}"


def _section_at(model: type[BaseModel], loc: Path) -> type[Section] | None:
    """The section at `loc` below `model`."""
    kind: Any = model
    for part in loc:
        fields = {one.alias or name: one for name, one in kind.model_fields.items()} if _is_section(kind) else {}
        # What is no key is a place in a list, or the name in a mapping, whose section is at hand already.
        kind = _section_in(fields[part].annotation) if part in fields else kind
    return kind if _is_section(kind) else None


def _section_in(kind: Any) -> Any:
    """The section inside a list, mapping or optional."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return kind
    sections = [found for one in get_args(kind) if (found := _section_in(one)) is not None and _is_section(found)]
    return sections[0] if sections else None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
