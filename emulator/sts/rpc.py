"""STS 2015-04-01 on the wire."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from emulator.sts import model
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION: Final = "2015-04-01"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    api = _Sts(realm)
    return {
        (VERSION, "AssumeRole"): api.assume_role,
        (VERSION, "GetCallerIdentity"): api.get_caller_identity,
    }


class _Sts:
    def __init__(self, realm: "Realm") -> None:
        self._cloud = realm.cloud

    @reads("RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "ExternalId")
    @raises(
        "NoPermission",
        "EntityNotExist.Role",
        "InvalidParameter.RoleArn",
        "InvalidParameter.RoleSessionName",
        "InvalidParameter.DurationSeconds",
        "InvalidParameter.PolicyGrammar",
        "InvalidParameter.PolicySize",
    )
    def assume_role(self, call: Call) -> dict[str, Any]:
        """AssumeRole: temporary keys of a role.

        Not modelled: source identities, the limit on tokens issued in a while.
        """
        seconds = call.params.get("DurationSeconds") or str(int(model.DEFAULT.total_seconds()))
        length = params.digits(seconds)
        if length is None or length > 10**9:
            raise ApiError("InvalidParameter.DurationSeconds", "The parameter DurationSeconds is not a number.")
        assumed = model.assume(
            self._cloud,
            call.caller,
            params.required(call.params, "RoleArn"),
            params.required(call.params, "RoleSessionName"),
            duration=timedelta(seconds=length),
            policy=call.params.get("Policy"),
            external_id=call.params.get("ExternalId", ""),
        )
        key, role = assumed.key, assumed.role
        assert key.expires is not None
        return {
            "AssumedRoleUser": {
                "Arn": f"acs:ram::{role.account}:role/{role.name}/{key.session}",
                "AssumedRoleId": f"{role.id}:{key.session}",
            },
            "Credentials": {
                "AccessKeyId": key.id,
                "AccessKeySecret": key.secret,
                "SecurityToken": key.token,
                "Expiration": key.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        }

    @reads()
    @raises()
    def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """GetCallerIdentity: whose key the call is signed with. Needs no permission."""
        key = self._cloud.keys.find(call.caller.access_key)
        account = call.caller.account
        told: dict[str, Any] = {"AccountId": account}
        if key is not None and key.role is not None:
            role = self._cloud.ram.find_role(account, key.role)
            number = role.id if role else key.role
            told |= {
                "IdentityType": "AssumedRoleUser",
                "PrincipalId": f"{number}:{key.session}",
                "RoleId": number,
                "Arn": f"acs:ram::{account}:assumed-role/{key.role}/{key.session}",
            }
        elif key is not None and key.user is not None:
            user = self._cloud.ram.find_user(account, key.user)
            number = user.id if user else key.user
            told |= {
                "IdentityType": "RAMUser",
                "PrincipalId": number,
                "UserId": number,
                "Arn": f"acs:ram::{account}:user/{key.user}",
            }
        else:
            told |= {
                "IdentityType": "Account",
                "PrincipalId": account,
                "UserId": account,
                "Arn": f"acs:ram::{account}:root",
            }
        return told
