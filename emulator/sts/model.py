"""Roles taken on for a while: who may, for how long, and with what left of the role's permissions.

Sources: AssumeRole and GetCallerIdentity of STS 2015-04-01 (SDK 1.1; its error codes from the page on common errors of
AssumeRole). An account's own key may not assume a role ("Roles may not be assumed by root accounts").
Assumptions: the order of the checks; a role taken on by a role's key (chaining) lives one hour at most whatever
`MaxSessionDuration` says; a role whose key assumes a role needs `sts:AssumeRole` and the trust of the other role as a
user does; the session's name as it stands in `Arn`.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from emulator.keys import Key
from emulator.ram.denial import NO_PERMISSION
from emulator.ram.policy import PolicyError, parse
from emulator.ram.principals import ROLE_ARN, Role, names_of
from emulator.wire.call import ApiError, Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

SHORTEST: Final = timedelta(seconds=900)
DEFAULT: Final = timedelta(seconds=3600)
CHAINED: Final = timedelta(hours=1)
LARGEST_POLICY: Final = 2048
_SESSION: Final = re.compile(r"[A-Za-z0-9.@\-_]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    role: Role
    key: Key


def assume(
    cloud: "Cloud",
    caller: Caller,
    role_arn: str,
    session: str,
    *,
    duration: timedelta = DEFAULT,
    policy: str | None = None,
    external_id: str = "",
) -> Assumed:
    """Raises ApiError: NoPermission, EntityNotExist.Role, InvalidParameter.*."""
    key = cloud.keys.find(caller.access_key)
    if key is None or (key.role is None and key.user is None):
        raise ApiError("NoPermission", "Roles may not be assumed by root accounts.", 403)
    named = ROLE_ARN.fullmatch(role_arn)
    if named is None:
        raise ApiError("InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    if not _SESSION.fullmatch(session):
        raise ApiError("InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    _check_policy(policy)
    role = cloud.ram.find_role(named["account"], named["role"])
    if role is None:
        raise ApiError("EntityNotExist.Role", f"The role not exists: {role_arn}.", 404)
    identity = f"acs:ram::{key.account}:role/{key.role}" if key.role else f"acs:ram::{key.account}:user/{key.user}"
    context = {"sts:ExternalId": external_id} if external_id else {}
    if not role.trusts("RAM", names_of(key.account, identity), context):
        raise ApiError("NoPermission", NO_PERMISSION, 403)
    longest = min(role.max_session, CHAINED) if key.role is not None else role.max_session
    if not SHORTEST <= duration <= longest:
        hours = longest / timedelta(hours=1)
        message = f"The Min/Max value of DurationSeconds is 15min/{hours:g}hr."
        raise ApiError("InvalidParameter.DurationSeconds", message)
    issued = cloud.keys.issue(role.name, lifetime=duration, account=role.account, session=session, policy=policy)
    return Assumed(role=role, key=issued)


def _check_policy(policy: str | None) -> None:
    if policy is None:
        return
    if not 1 <= len(policy) <= LARGEST_POLICY:
        raise ApiError("InvalidParameter.PolicySize", "The size of Policy must be between 1 and 2048.")
    try:
        parse(policy, "Policy")
    except PolicyError as error:
        message = f"The parameter Policy has not passed grammar check: {error}."
        raise ApiError("InvalidParameter.PolicyGrammar", message) from error
