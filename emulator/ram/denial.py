"""How a refusal for want of permission looks, service by service.

Sources: RAM documentation (DecodeDiagnosticMessage names the fields and their values), published answers of users
(Alidns answers 400 where others answer 403; Function Compute's sentence). Assumption: what is in
EncodedDiagnosticMessage; the cloud's is encrypted, ours is plain Base64 JSON.
"""

import base64
import json
from typing import Any, Final

from emulator.ram.policy import Decision
from emulator.wire.call import ApiError, Caller

_STATUS: Final = {"alidns": 400}
_MESSAGE: Final = "User not authorized to operate on the specified resource, or this API doesn't support RAM."
NO_PERMISSION: Final = "You are not authorized to do this action. You should be authorized by RAM."


def denied(
    service: str, action: str, resource: str, caller: Caller, named: tuple[str, str], decision: Decision
) -> ApiError:
    told = detail(service, action, resource, caller, named, decision)
    if service == "sts":
        return ApiError("NoPermission", NO_PERMISSION, 403, more={"AccessDeniedDetail": told})
    return ApiError("Forbidden.RAM", _MESSAGE, _STATUS.get(service, 403), more={"AccessDeniedDetail": told})


def detail(
    service: str, action: str, resource: str, caller: Caller, named: tuple[str, str], decision: Decision
) -> dict[str, Any]:
    diagnosis = {"because": decision.because, "resource": resource, "access_key": caller.access_key}
    return {
        "AuthAction": f"{service}:{action}",
        "AuthPrincipalDisplayName": named[0],
        "AuthPrincipalOwnerId": caller.account,
        "AuthPrincipalType": named[1],
        "NoPermissionType": "ExplicitDeny" if decision.explicit else "ImplicitDeny",
        "PolicyType": decision.policy_type,
        "EncodedDiagnosticMessage": base64.b64encode(json.dumps(diagnosis).encode()).decode(),
    }


def pass_role_denied(role: str) -> ApiError:
    """Assumption: status and text."""
    return ApiError("InvalidUser.PassRoleForbidden", f"The RAM user does not have the privilege to pass {role}.", 403)
