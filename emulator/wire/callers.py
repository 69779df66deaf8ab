"""Who is calling: signature, key, security token, nonce and time of a request.

Expiry of temporary credentials follows the emulated clock; protocol dates follow the real one, since a client signs
with its own time. HTTP statuses of the signature errors are not documented (assumption: 400).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from emulator.clock import real_now
from emulator.keys import Key
from emulator.wire import acs3, v1
from emulator.wire.call import ApiError, Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

SKEW = timedelta(minutes=15)
"""Clocks further apart than this are refused (third-party reports; assumption)."""

LONGEST_NONCE = 256
"""Assumption: clients send 32 or 36 characters, and each one is remembered for half an hour."""


def _no_bearer_tokens() -> ApiError:
    return ApiError("UnsupportedParameter", "The emulator does not model bearer tokens: sign with an AccessKey pair.")


class Callers:
    def __init__(self, cloud: "Cloud", *, real_clock: Callable[[], datetime] = real_now) -> None:
        self._cloud = cloud
        self._real_now = real_clock
        self._nonces: dict[str, datetime] = {}

    def from_acs3(
        self,
        *,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        zone: str | None = None,
        source: str = "",
    ) -> Caller:
        """Raises ApiError unless the request is signed by a known key, unexpired and new. `path` as on the wire."""
        if "x-acs-bearer-token" in headers:
            raise _no_bearer_tokens()
        authorization = acs3.parse_authorization(headers.get("authorization", ""))
        if authorization is None:
            raise ApiError("IncompleteSignature", "The Authorization header is missing or is not ACS3-HMAC-SHA256.")
        key = self._key(authorization.access_key, headers.get("x-acs-security-token"))
        for needed in ("host", "x-acs-date", "x-acs-signature-nonce"):
            if needed not in authorization.signed_headers and needed in headers:
                raise ApiError("IncompleteSignature", f"The header {needed} is sent but not signed.")
        canonical = acs3.canonical_request(method, path, query, headers, authorization.signed_headers, body)
        if not acs3.same(acs3.sign(key.secret, canonical), authorization.signature):
            raise ApiError("SignatureDoesNotMatch", f"The server's canonical request is: {canonical}")
        self._fresh(headers.get("x-acs-date", ""), headers.get("x-acs-signature-nonce", ""))
        return Caller(account=key.account, access_key=key.id, role=key.role, zone=zone, source=source)

    def from_v1(self, *, method: str, params: Mapping[str, str], zone: str | None = None, source: str = "") -> Caller:
        if params.get("SignatureType") == "BEARERTOKEN":
            raise _no_bearer_tokens()
        for name, only in (("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")):
            if params.get(name, only) != only:
                raise ApiError("InvalidParameter", f"{name} must be {only}: the emulator knows no other.")
        for needed in ("AccessKeyId", "Signature", "Timestamp", "SignatureNonce"):
            if not params.get(needed):
                raise ApiError("IncompleteSignature", f"The parameter {needed} is missing.")
        key = self._key(params["AccessKeyId"], params.get("SecurityToken"))
        # A client that forgot to escape the plus sign of its Base64 text means a plus sign, not a space.
        sent = params["Signature"].replace(" ", "+")
        if not acs3.same(v1.sign(key.secret, method, params), sent):
            raise ApiError(
                "SignatureDoesNotMatch", f"The server's string to sign is: {v1.string_to_sign(method, params)}"
            )
        self._fresh(params["Timestamp"], params["SignatureNonce"])
        return Caller(account=key.account, access_key=key.id, role=key.role, zone=zone, source=source)

    def _key(self, id: str, token: str | None) -> Key:
        key = self._cloud.keys.find(id)
        if key is None:
            raise ApiError("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if not key.enabled:
            raise ApiError("Forbidden.AccessKeyDisabled", "The specified access key is disabled.", 403)
        if key.token is not None:
            if not token:
                raise ApiError("MissingSecurityToken", "SecurityToken is mandatory for this action.")
            if not acs3.same(key.token, token):
                raise ApiError("InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch.")
        if key.expires is not None and key.expires <= self._cloud.clock.now():
            raise ApiError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return key

    def _fresh(self, date: str, nonce: str) -> None:
        now = self._real_now()
        try:
            sent = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise ApiError("InvalidTimeStamp.Format", f"The timestamp {date!r} is not yyyy-MM-ddTHH:mm:ssZ.") from None
        if abs(now - sent) > SKEW:
            raise ApiError("InvalidTimeStamp.Expired", f"The timestamp {date} is more than 15 minutes from {now}.")
        if not nonce:
            raise ApiError("IncompleteSignature", "The signature nonce is missing.")
        if len(nonce) > LONGEST_NONCE:
            raise ApiError("InvalidParameter", f"The signature nonce is longer than {LONGEST_NONCE} characters.")
        if nonce in self._nonces:
            raise ApiError("SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = now
        # Nonces stay in order of arrival, so the oldest ones stand first.
        while self._nonces:
            oldest = next(iter(self._nonces))
            if now - self._nonces[oldest] <= 2 * SKEW:
                break
            del self._nonces[oldest]
