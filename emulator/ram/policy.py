"""Policies as values, and the one decision made of them.

A policy grants nothing by itself: what no statement allows is denied, and one statement that denies outweighs all that
allow. Source: RAM documentation, policy structure and syntax, policy evaluation.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from emulator.ram.conditions import Condition, UnknownCondition, parse_conditions
from emulator.wire import strict_json

VERSION: Final = "1"
_STATEMENT_KEYS: Final = frozenset(
    ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"]
)


class PolicyError(ValueError):
    """The document is not a policy; the message names the place and what belongs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`actions` and `resources` are patterns with `*` and `?`; `except_*` turns a list into "everything but these"."""

    allows: bool
    actions: tuple[str, ...]
    except_actions: bool = False
    resources: tuple[str, ...] = ("*",)
    except_resources: bool = False
    conditions: tuple[Condition, ...] = ()
    principals: tuple[tuple[str, str], ...] = ()  # (kind, who) in a role's trust policy
    origin: str = ""  # policy and number of the statement, for whoever asks why

    def concerns(self, action: str, resource: str) -> bool:
        # Action names are compared without case ("in most cases", says the documentation), resources with it.
        named = any(fits(action.lower(), pattern.lower()) for pattern in self.actions)
        touched = any(fits(resource, pattern) for pattern in self.resources)
        return named != self.except_actions and touched != self.except_resources

    def holds(self, context: Mapping[str, str]) -> bool:
        return all(condition.met(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`explicit`: a statement denied it; otherwise none allowed it. `conditional`: the circumstances took part, so the
    same question may be answered otherwise the next time."""

    allowed: bool
    because: str
    explicit: bool = False
    conditional: bool = False
    policy_type: str = "AccountLevelIdentityBasedPolicy"


def evaluate(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> Decision:
    """Whether these statements, and no others, let `action` touch `resource`."""
    allowed_by, conditional = None, False
    for statement in statements:
        if not statement.concerns(action, resource):
            continue
        conditional = conditional or bool(statement.conditions)
        if not statement.holds({} if context is None else context):
            continue
        if not statement.allows:
            because = f"{statement.origin or 'a statement'} denies {action} on {resource}"
            return Decision(allowed=False, because=because, explicit=True, conditional=conditional)
        allowed_by = allowed_by or statement
    if allowed_by is None:
        because = f"no statement allows {action} on {resource}"
        return Decision(allowed=False, because=because, conditional=conditional)
    return Decision(allowed=True, because=allowed_by.origin or "a statement allows it", conditional=conditional)


def fits(text: str, pattern: str) -> bool:
    """`*` stands for any run of characters, also none and also across `/`; `?` for one."""
    return pattern == "*" or text == pattern or _expression(pattern).fullmatch(text) is not None


@lru_cache(maxsize=8192)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in pattern), re.DOTALL)


def parse(document: str | Mapping[str, Any], name: str = "policy", *, trust: bool = False) -> tuple[Statement, ...]:
    """The statements of a policy document; of a role's trust policy, those say whom they mean instead of what.

    Raises PolicyError."""
    if isinstance(document, str):
        try:
            document = strict_json.parse(document)
        except ValueError as error:
            raise PolicyError(f"{name}: not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise PolicyError(f"{name}: expected an object with Version and Statement")
    if str(document.get("Version")) != VERSION:
        raise PolicyError(f'{name}: Version must be "1", not {document.get("Version")!r}')
    if strangers := set(document) - {"Version", "Statement"}:
        raise PolicyError(f"{name}: unknown keys {sorted(strangers)}")
    listed = document.get("Statement")
    listed = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(listed, list) or not listed:
        raise PolicyError(f"{name}: Statement must be a list of statements, and not an empty one")
    return tuple(_statement(part, f"{name}: Statement[{number}]", trust) for number, part in enumerate(listed))


def _statement(part: Any, where: str, trust: bool) -> Statement:
    if not isinstance(part, Mapping):
        raise PolicyError(f"{where}: expected an object")
    if strangers := set(part) - _STATEMENT_KEYS:
        raise PolicyError(f"{where}: unknown keys {sorted(strangers)}")
    if part.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"{where}: Effect must be Allow or Deny, not {part.get('Effect')!r}")
    actions, except_actions = _one_of(part, "Action", "NotAction", where)
    if trust != ("Principal" in part):
        raise PolicyError(f"{where}: " + ("Principal is missing" if trust else "Principal belongs in a trust policy"))
    principals = tuple(_principals(part.get("Principal"), where))
    resources: tuple[str, ...] = ("*",)
    except_resources = False
    if not principals or "Resource" in part or "NotResource" in part:  # a trust policy has none
        resources, except_resources = _one_of(part, "Resource", "NotResource", where)
    for action in actions:
        if action != "*" and ":" not in action:
            raise PolicyError(f"{where}: the action {action!r} is not of the form service:Action")
    try:
        conditions = parse_conditions(part.get("Condition", {}))
    except UnknownCondition as error:
        raise PolicyError(f"{where}: {error}") from error
    return Statement(
        allows=part["Effect"] == "Allow",
        actions=actions,
        except_actions=except_actions,
        resources=resources,
        except_resources=except_resources,
        conditions=conditions,
        principals=principals,
        origin=where,
    )


def _one_of(part: Mapping[str, Any], name: str, negated: str, where: str) -> tuple[tuple[str, ...], bool]:
    if (name in part) == (negated in part):
        raise PolicyError(f"{where}: give either {name} or {negated}")
    chosen = name if name in part else negated
    return _texts(part[chosen], f"{where}: {chosen}"), chosen == negated


def _texts(value: Any, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(text, str) and text for text in values):
        raise PolicyError(f"{where}: expected a text or a list of texts")
    return tuple(values)


def _principals(value: Any, where: str) -> Iterable[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not value or set(value) - {"RAM", "Service", "Federated"}:
        raise PolicyError(f"{where}: Principal must have the keys RAM, Service or Federated")
    for kind, who in value.items():
        for text in _texts(who, f"{where}: Principal.{kind}"):
            yield kind, text
