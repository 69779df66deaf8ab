"""A small policy that tests bend, and what its author is then told."""

import pytest

from shared.config import policy_file
from shared.config.policy_section import Section
from shared.config.policy_sections import DocumentSection
from shared.domain.errors import BadInput
from shared.domain.policy import Policy, Protection

WHERE = "understudy.yaml: "
SELECT = "{tags: {role: app}}"
SCHEDULES = "[{name: hourly, hours: all}]"
KEEP = "{hourly: 24, daily: 7}"


def policy(*, more: str = "", top: str = "", others: str = "", **keys: str) -> str:
    """`keys` of the one protection, `more` lines of it, `others` protections, and `top` lines of the file."""
    values = {"name": "apps", "select": SELECT, "schedules": SCHEDULES, "keep": KEEP, "rpo_target": "75m"} | keys
    lines = ["version: 1", "region: cn-hangzhou", "time_zone: Asia/Shanghai", *top.splitlines(), "protections:"]
    lines += [f"  {'-' if at == 0 else ' '} {key}: {value}" for at, (key, value) in enumerate(values.items())]
    lines += [f"    {line}" for line in more.splitlines()]
    lines += [f"  {line}" for line in others.splitlines()]
    return "\n".join(lines) + "\n"


def parsed(text: str) -> Policy:
    return policy_file.parse(text, "understudy.yaml")


def protection(**keys: str) -> Protection:
    (one,) = parsed(policy(**keys)).protections
    return one


def refusals(text: str) -> list[str]:
    """Without the file's name and the numbers of lines."""
    with pytest.raises(BadInput) as caught:
        parsed(text)
    return [line.removeprefix(WHERE).rsplit(" (line ", 1)[0] for line in str(caught.value).splitlines()]


def sections() -> list[type[Section]]:
    """Every one that can stand in the file."""
    found: list[type[Section]] = [Section]
    for one in found:
        found += [below for below in one.__subclasses__() if below not in found]
    return [
        one
        for one in found
        if one.__module__.startswith(f"{DocumentSection.__module__.rsplit('.', 1)[0]}.policy_") and one.model_fields
    ]


FREEZES = (
    {"before": "sync", "after": "true", "within": "10s"},
    {"before": "fsfreeze -f /data", "after": "fsfreeze -u /data", "within": "4m", "required": True},
)
