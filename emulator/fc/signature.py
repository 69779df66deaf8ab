"""The older `FC ak:signature` header that aliyun-fc2 signs with (API 2016-08-15)."""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from emulator.clock import real_now
from emulator.fc.queue import Refused
from emulator.wire.acs3 import same
from emulator.wire.call import Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

SKEW = timedelta(minutes=15)  # assumption: as for the other services


def string_to_sign(method: str, path: str, headers: Mapping[str, str]) -> str:
    """`path` is unescaped and without query; `headers` has lower-case names or is case-insensitive."""
    extra = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-fc-"))
    canonical = "".join(f"{name}:{value}\n" for name, value in extra)
    fixed = (method, headers.get("content-md5", ""), headers.get("content-type", ""), headers.get("date", ""))
    return "\n".join((*fixed, canonical + path))


def sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), sha256).digest()).decode()


def caller(cloud: "Cloud", *, method: str, path: str, headers: Mapping[str, str], source: str = "") -> Caller:
    """Raises Refused. The codes of refused signatures are not documented for this version (assumption: as below)."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    access_key, _, signature = credential.partition(":")
    if scheme != "FC" or not signature:
        raise Refused(401, "Unauthorized", "the Authorization header is not `FC <access key>:<signature>`")
    key = cloud.keys.find(access_key)
    if key is None:
        raise Refused(403, "InvalidAccessKeyID", f"invalid access key ID '{access_key[:80]}'")
    if not key.enabled:
        raise Refused(403, "AccessDenied", f"access key {access_key!r} is disabled")
    if key.token is not None and not same(key.token, headers.get("x-fc-security-token", "")):
        raise Refused(403, "InvalidSecurityToken", "the security token does not belong to this access key")
    if key.expires is not None and key.expires <= cloud.clock.now():
        raise Refused(403, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
    if not same(sign(key.secret, string_to_sign(method, path, headers)), signature):
        raise Refused(403, "SignatureNotMatch", "the request signature does not match")
    try:
        sent = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        raise Refused(400, "InvalidArgument", "the date header is missing or malformed") from None
    if abs(real_now() - sent.replace(tzinfo=sent.tzinfo or UTC)) > SKEW:
        raise Refused(403, "RequestTimeTooSkewed", f"the date {headers['date']} is more than 15 minutes off")
    return Caller(account=key.account, access_key=key.id, role=key.role, source=source)
