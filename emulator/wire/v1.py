"""Signature V1 (HMAC-SHA1): what older SDKs and `signature_algorithm='v2'` send as a parameter."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1

from emulator.wire.acs3 import percent

PROTOCOL_PARAMETERS = frozenset(
    [
        "Action",
        "Version",
        "Format",
        "AccessKeyId",
        "Timestamp",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureType",
        "SignatureNonce",
        "SecurityToken",
        "Signature",
    ]
)
"""Parameters of the protocol, not of any operation."""


def string_to_sign(method: str, params: Mapping[str, str]) -> str:
    pairs = sorted((name, value) for name, value in params.items() if name != "Signature")
    query = "&".join(f"{percent(name)}={percent(value)}" for name, value in pairs)
    return f"{method}&{percent('/')}&{percent(query)}"


def sign(secret: str, method: str, params: Mapping[str, str]) -> str:
    digest = hmac.new(
        f"{secret}&".encode(), string_to_sign(method, params).encode(errors="surrogateescape"), sha1
    ).digest()
    return b64encode(digest).decode()
