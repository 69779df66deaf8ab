"""Pydantic's findings in our words: what is wrong with the value, and the remedy."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel

from shared.config.problems import Path, nearest, quoted


def in_our_words(model: type[BaseModel], loc: Path, error: Any) -> str:
    key = loc[-1] if loc else ""
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "extra_forbidden":
            known = _fields(model, loc[:-1])
            return f"unknown key.{nearest(str(key), known)} Known here: {', '.join(known)}"
        case "missing":
            example = _fields(model, loc[:-1]).get(str(key), "")
            return f"is missing. Add {key}: {example}" if example else f"is missing. Add {key}"
        case "model_type" | "dict_type":
            keys = ", ".join(_fields(model, loc))
            remedy = f"Write {{{keys}}} with values" if keys else "Write name: value pairs"
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


def _fields(model: type[BaseModel], loc: Path) -> dict[str, str]:
    """The keys of the section at `loc` below `model`, each with its example."""
    kind: Any = model
    for part in loc:
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        kind = _section_in(fields[part].annotation if fields and part in fields else kind)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {name: field.description or "" for name, field in kind.model_fields.items()}


def _section_in(kind: Any) -> Any:
    """The section inside a list, mapping or optional."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return kind
    sections = [found for one in get_args(kind) if (found := _section_in(one)) is not None and _is_section(found)]
    return sections[0] if sections else None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
