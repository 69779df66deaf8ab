"""Enter another account by assuming its role: temporary keys, fetched again shortly before they run out.

Through the generic client that every SDK brings along: STS has one call for us, and its own package would be shipped
for nothing else. Sources: STS API, AssumeRole, SDK 1.2.0; RAM, trust policies, read 2025.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params

from shared.adapters.credentials import Credentials
from shared.adapters.sdk import Clients, Endpoint, call
from shared.domain.errors import BadInput, CredentialsRejected, Forbidden, NotFound, Permanent, Retryable
from shared.domain.ids import AccountName
from shared.ports.clock import Clock

LIFETIME: Final = timedelta(hours=1)
"""What a role that was itself assumed, as a function's is, may ask for at most (assumption)."""
REFRESH_BEFORE: Final = timedelta(minutes=10)
"""Keys must outlive whatever begins with them: a function's time-out."""
_REQUEST: Final = Params(
    action="AssumeRole",
    version="2015-04-01",
    protocol="HTTPS",
    pathname="/",
    method="POST",
    auth_type="AK",
    style="RPC",
    req_body_type="formData",
    body_type="json",
)
_WITHOUT_DELETE: Final = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "ecs:*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["ecs:Delete*", "ecs:Reset*", "ecs:ReInit*", "ecs:Replace*"], "Resource": "*"},
    ],
}
_ONLY_DELETE: Final = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": ["ecs:Describe*", "ecs:Delete*"], "Resource": "*"}],
}
"""Of a session: what it leaves of the role's rights. One role serves both, and still none that creates can delete."""


@dataclass(frozen=True, slots=True)
class _Held:
    role: str
    credentials: Credentials
    expires: datetime


class AssumedRole:
    """A provider of the credentials of one role in another account, kept until shortly before they expire."""

    RAM_ACTIONS: ClassVar = ("sts:AssumeRole",)

    def __init__(
        self,
        account: AccountName,
        role: Callable[[], str],
        *,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
        clock: Clock,
        may_delete: bool = False,
    ) -> None:
        """`role`: its name as acs:ram::UID:role/NAME, asked for at each fetch. `endpoint`: of the region we run in."""
        self._account, self._role, self._clock, self._region = account, role, clock, endpoint.region
        self._session = "understudy-prune" if may_delete else "understudy"
        self._policy = json.dumps(_ONLY_DELETE if may_delete else _WITHOUT_DELETE, separators=(",", ":"))
        self._clients = Clients[Any](self._client, endpoint=endpoint, credentials=credentials)
        self._held: _Held | None = None

    def __call__(self) -> Credentials:
        """Raises Forbidden or BadInput that name the role and what to do; Retryable when STS does not answer;
        CredentialsRejected when it is our own keys that are refused."""
        role = self._role()
        held = self._held
        if held is None or held.role != role or self._clock.now() > held.expires - REFRESH_BEFORE:
            self._held = held = self._fetch(role)
        return held.credentials

    def _client(self, config: Config) -> Client:
        config.endpoint = config.endpoint or f"sts.{self._region}.aliyuncs.com"
        return Client(config)

    def _fetch(self, role: str) -> _Held:
        request = OpenApiRequest(
            query={
                "RoleArn": role,
                "RoleSessionName": self._session,
                "DurationSeconds": str(int(LIFETIME.total_seconds())),
                "Policy": self._policy,
            }
        )
        runtime = _runtime()
        try:
            # It changes nothing that lasts: an unanswered one may simply be sent again.
            answer = call(
                "sts AssumeRole", lambda: self._clients.current().call_api(_REQUEST, request, runtime), changes=False
            )
        except CredentialsRejected:
            raise
        except NotFound as error:
            raise BadInput(f"account {self._account}: role {role} does not exist there; {_MAKE_IT}") from error
        except Forbidden as error:
            raise Forbidden(f"account {self._account}: {self._why(role, error)} ({error})") from error
        except Permanent as error:
            raise BadInput(f"account {self._account}: role {role} cannot be assumed: {error}") from error
        return self._read(role, answer)

    def _why(self, role: str, error: Forbidden) -> str:
        """RAM answers both alike; where it says which policy refused, the remedy is one."""
        kind = _policy_type(error)
        trust = f"role {role} does not trust us: name our roles in its trust policy, see docs/accounts.md"
        own = (
            f"our role may not call sts:AssumeRole on {role}: deploy/ram permits names that begin with understudy; run "
            "deploy/bootstrap.py again"
        )
        if kind == "AssumeRolePolicy":
            return trust
        return own if kind else f"{trust}; or {own}"

    def _read(self, role: str, answer: Any) -> _Held:
        body = answer.get("body") if isinstance(answer, dict) else None
        try:
            given = body["Credentials"]  # type: ignore[index]
            credentials = Credentials(given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"])
            expires = datetime.strptime(given["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except (KeyError, TypeError, ValueError) as error:
            raise Retryable(f"sts AssumeRole of {role}: the answer could not be read") from error
        return _Held(role, credentials, expires)


_MAKE_IT: Final = "make it as docs/accounts.md says, or name another under `accounts` in the policy"


def _policy_type(error: Forbidden) -> str:
    """`AccessDeniedDetail.PolicyType` of the refusal, when it came with one."""
    data = getattr(error.__cause__, "data", None)
    detail = data.get("AccessDeniedDetail") if isinstance(data, dict) else None
    return str(detail.get("PolicyType") or "") if isinstance(detail, dict) else ""


def _runtime() -> Any:
    from darabonba.runtime import RuntimeOptions

    return RuntimeOptions(autoretry=False, max_attempts=1)
