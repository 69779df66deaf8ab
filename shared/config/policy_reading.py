"""Sections out of a tree, and the problems that this finds."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.config.policy_errors import in_our_words
from shared.config.policy_section import Section
from shared.config.problems import Path, Problem

Model = TypeVar("Model", bound=Section)


def read(model: type[Model], part: object, path: Path) -> tuple[Model | None, list[Problem]]:
    try:
        return model.model_validate(part), []
    except ValidationError as error:
        return None, [_problem(model, path, one) for one in error.errors(include_url=False)]


def sound(model: type[Model], part: object) -> Model | None:
    """The section, or None where it is missing or has problems, which whoever reads the whole reports."""
    return None if part is None else read(model, part, ())[0]


def value_of(kind: Any, part: object) -> Any:
    """The same of a single value."""
    try:
        return TypeAdapter(kind).validate_python(part)
    except ValidationError:
        return None


def at(tree: object, *path: str | int) -> object:
    """What stands there; None: nothing does."""
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def listed(tree: object, *path: str | int) -> list[object]:
    """The list that stands there; empty when it is none."""
    found = at(tree, *path)
    return found if isinstance(found, list) else []


def named(items: list[object]) -> list[tuple[int, str]]:
    """The names of those that have one, with their places."""
    found = [(place, at(one, "name")) for place, one in enumerate(items)]
    return [(place, name) for place, name in found if isinstance(name, str)]


def _problem(model: type[Section], path: Path, error: Any) -> Problem:
    where = tuple(key for key in error["loc"] if key != "[key]")
    return Problem(path=(*path, *where), says=in_our_words(model, where, error))
