"""Who can have permissions: RAM users, and roles that others take on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from emulator.ram.policy import Statement

SESSION_AT_MOST: Final = timedelta(hours=1)
"""`MaxSessionDuration` of a role that was made without one. Source: CreateRole."""
ROLE_ARN: Final = re.compile(r"acs:ram::(?P<account>[0-9]+):role/(?P<role>[A-Za-z0-9.\-]{1,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`statements` of all policies attached."""

    name: str
    account: str
    id: str
    statements: tuple[Statement, ...] = ()

    @property
    def arn(self) -> str:
        return f"acs:ram::{self.account}:user/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`trust` says who may take it on; None: whoever of its account is permitted to assume it, and every service (an
    emulator's convenience)."""

    name: str
    account: str
    id: str
    statements: tuple[Statement, ...] = ()
    trust: tuple[Statement, ...] | None = None
    max_session: timedelta = SESSION_AT_MOST

    @property
    def arn(self) -> str:
        return f"acs:ram::{self.account}:role/{self.name}"

    def trusts(self, kind: str, names: Iterator[str] | tuple[str, ...], context: Mapping[str, str]) -> bool:
        """Whether one of these names (of `kind` RAM, Service or Federated) may take the role on."""
        wanted = set(names)
        if self.trust is None:
            return kind != "RAM" or self.account in wanted
        allowed = False
        for statement in self.trust:
            named = any(k == kind and _same(who, wanted) for k, who in statement.principals)
            if named and statement.concerns("sts:AssumeRole", self.arn) and statement.holds(context):
                if not statement.allows:
                    return False
                allowed = True
        return allowed


def _same(who: str, wanted: set[str]) -> bool:
    return who == "*" or who in wanted


def names_of(account: str, arn: str | None) -> tuple[str, ...]:
    """The names by which a trust policy can mean a caller: its own, and its account's root, which stands for all
    identities of the account."""
    root = (f"acs:ram::{account}:root", account)
    return root if arn is None else (arn, *root)
