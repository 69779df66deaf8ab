"""Conditions of a policy statement: operator, key, accepted values.

All operators and all keys of one Condition must be met; of several values one is enough (for a negated operator: none
may fit). Source: RAM documentation, policy elements, Condition. Assumptions: a key that the request does not have fits
nothing, so a negated operator is met; the multivalued `ForAnyValue:` and `ForAllValues:` forms are not modelled and
are refused when the policy is read.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

KEYS: Final = ("acs:CurrentTime", "acs:SourceIp", "acs:SecureTransport", "acs:MFAPresent", "sts:ExternalId")
TAG_KEYS: Final = ("ecs:tag/", "acs:ResourceTag/")  # the tag's own key follows


class UnknownCondition(ValueError):
    """The message names the operator or key, and those that are modelled."""


def _number(text: str) -> float:
    return float(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _within(actual: str, network: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(network, strict=False)


def _like(actual: str, pattern: str) -> bool:
    return fnmatchcase(actual, pattern.replace("[", "[[]"))  # brackets stand for themselves in a policy


_Test = Callable[[str, str], bool]
_TESTS: Final[Mapping[str, _Test]] = {
    "StringEquals": lambda actual, wanted: actual == wanted,
    "StringEqualsIgnoreCase": lambda actual, wanted: actual.lower() == wanted.lower(),
    "StringLike": _like,
    "NumericEquals": lambda actual, wanted: _number(actual) == _number(wanted),
    "NumericLessThan": lambda actual, wanted: _number(actual) < _number(wanted),
    "NumericLessThanEquals": lambda actual, wanted: _number(actual) <= _number(wanted),
    "NumericGreaterThan": lambda actual, wanted: _number(actual) > _number(wanted),
    "NumericGreaterThanEquals": lambda actual, wanted: _number(actual) >= _number(wanted),
    "DateEquals": lambda actual, wanted: _moment(actual) == _moment(wanted),
    "DateLessThan": lambda actual, wanted: _moment(actual) < _moment(wanted),
    "DateLessThanEquals": lambda actual, wanted: _moment(actual) <= _moment(wanted),
    "DateGreaterThan": lambda actual, wanted: _moment(actual) > _moment(wanted),
    "DateGreaterThanEquals": lambda actual, wanted: _moment(actual) >= _moment(wanted),
    "Bool": lambda actual, wanted: actual.lower() == wanted.lower(),
    "IpAddress": _within,
}
_NEGATED: Final[Mapping[str, str]] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
OPERATORS: Final = (*_TESTS, *_NEGATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    operator: str
    key: str
    values: tuple[str, ...]

    def met(self, context: Mapping[str, str]) -> bool:
        actual = context.get(self.key)
        negated = self.operator in _NEGATED
        if actual is None:
            return negated
        test = _TESTS[_NEGATED.get(self.operator, self.operator)]
        return any(_fits(test, actual, wanted) for wanted in self.values) != negated


def _fits(test: _Test, actual: str, wanted: str) -> bool:
    try:
        return test(actual, wanted)
    except ValueError:  # a text where a number, a date or an address belongs fits nothing
        return False


def parse_conditions(block: Any) -> tuple[Condition, ...]:
    """Raises UnknownCondition, also for a key that the emulator knows nothing of: a negated operator would be met by
    every request, and so allow what the cloud denies."""
    if not isinstance(block, Mapping):
        raise UnknownCondition("Condition must be an object: operator, key, values")
    found = []
    for operator, keys in block.items():
        if operator not in OPERATORS:
            raise UnknownCondition(f"the condition operator {operator!r} is not one of {', '.join(OPERATORS)}")
        if not isinstance(keys, Mapping) or not keys:
            raise UnknownCondition(f"Condition.{operator} must be an object: key, values")
        for key, values in keys.items():
            if key not in KEYS and not (isinstance(key, str) and key.startswith(TAG_KEYS)):
                known = ", ".join((*KEYS, *(f"{prefix}KEY" for prefix in TAG_KEYS)))
                raise UnknownCondition(f"the condition key {key!r} is not modelled; these are: {known}")
            listed = values if isinstance(values, list) else [values]
            if not listed or not all(isinstance(value, str | bool | int | float) for value in listed):
                raise UnknownCondition(f"Condition.{operator}.{key} must be a value or a list of values")
            found.append(Condition(operator=operator, key=key, values=tuple(_text(value) for value in listed)))
    return tuple(found)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
