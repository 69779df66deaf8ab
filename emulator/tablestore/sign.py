"""Signatures of Tablestore's own scheme, V2 (HMAC-SHA1) and V4 (derived key, HMAC-SHA256), checked as the service does.

Protocol dates are judged against the real clock, credentials' expiry against the emulated one. Source: the official
Python SDK's `auth` module.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulator.clock import real_now
from emulator.keys import Key
from emulator.tablestore.errors import OtsError, auth_failed, parameter_invalid

if TYPE_CHECKING:
    from emulator.cloud import Cloud

API_VERSION: Final = "2015-12-31"
MAX_SKEW: Final = timedelta(minutes=15)  # assumption: what clients allow the service; the reverse is not documented
_REQUIRED: Final = (
    "x-ots-date",
    "x-ots-apiversion",
    "x-ots-accesskeyid",
    "x-ots-instancename",
    "x-ots-contentmd5",
)
_UNSIGNED: Final = frozenset({"x-ots-signature", "x-ots-signaturev4"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who called, and the key with which the answer is signed."""

    key: Key
    signing_key: bytes = field(repr=False)

    def authorization(self, path: str, headers: Mapping[str, str]) -> str:
        """Always HMAC-SHA1 over the answer's `x-ots-*` headers, also for callers that sign with V4."""
        text = f"{_header_lines(headers)}\n{path}"
        return f"OTS {self.key.id}:{_sign(self.signing_key, text, 'sha1')}"


def content_md5(body: bytes) -> str:
    return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def verify(path: str, headers: Mapping[str, str], body: bytes, cloud: "Cloud") -> Signer:
    """The caller, or the documented refusal. `headers` in lower case; `path` is `/<Operation>`."""
    _check_text(headers)
    for name in _REQUIRED:
        if not headers.get(name):
            raise parameter_invalid(f"Missing header: {name}.")
    if headers["x-ots-apiversion"] != API_VERSION:
        raise parameter_invalid(f"Unsupported API version: {headers['x-ots-apiversion']}.")
    _check_date(headers["x-ots-date"])
    key = cloud.keys.find(headers["x-ots-accesskeyid"])
    if key is None:
        raise auth_failed("The AccessKeyID does not exist.")
    if not key.enabled:
        raise auth_failed("The AccessKeyID is disabled.")  # text: assumption
    signer = _check_signature(path, headers, key)
    _check_token(key, headers.get("x-ots-ststoken"), cloud)
    if headers["x-ots-instancename"] not in cloud.ots_instances:
        raise auth_failed("The instance is not found.")
    if headers["x-ots-contentmd5"] != content_md5(body):
        raise parameter_invalid("The ContentMD5 of the request does not match its body.")  # text: assumption
    return signer


def _check_text(headers: Mapping[str, str]) -> None:
    """Header bytes that are no UTF-8 cannot have been signed by any client, nor can an answer to them be."""
    for name, value in headers.items():
        if name.startswith("x-ots-") and any("\ud800" <= letter <= "\udfff" for letter in name + value):
            raise parameter_invalid(f"Invalid header: {name.encode(errors='replace').decode()}.")  # text: assumption


def _check_date(text: str) -> None:
    try:
        sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise parameter_invalid(f"Invalid date format: {text}.") from error
    if abs(sent - real_now()) > MAX_SKEW:
        raise auth_failed(f"Mismatch between system time and x-ots-date: {text}.")


def _check_signature(path: str, headers: Mapping[str, str], key: Key) -> Signer:
    text = f"{path}\nPOST\n\n{_header_lines(headers)}\n"
    if "x-ots-signaturev4" in headers:
        date, region = headers.get("x-ots-signdate"), headers.get("x-ots-signregion")
        if not date or not region:
            raise parameter_invalid("Missing header: x-ots-signdate or x-ots-signregion.")
        signing_key = _derived(key.secret, date, region)
        given, wanted = headers["x-ots-signaturev4"], _sign(signing_key, text + "ots", "sha256")
    elif "x-ots-signature" in headers:
        signing_key = key.secret.encode()
        given, wanted = headers["x-ots-signature"], _sign(signing_key, text, "sha1")
    else:
        raise parameter_invalid("Missing header: x-ots-signature.")
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise auth_failed("Signature mismatch.")
    return Signer(key=key, signing_key=signing_key)


def _check_token(key: Key, token: str | None, cloud: "Cloud") -> None:
    # Code and status are documented, both texts are ours (assumption).
    if key.token != token:
        raise auth_failed("The security token is invalid.")
    if key.expires is not None and key.expires <= cloud.clock.now():
        raise OtsError(403, "OTSAuthFailed", "The security token has expired.")


@lru_cache(maxsize=64)
def _derived(secret: str, date: str, region: str) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for part in (date, region, "ots", "aliyun_v4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return b64encode(key)


def _header_lines(headers: Mapping[str, str]) -> str:
    return "\n".join(
        sorted(
            f"{name}:{value.strip()}"
            for name, value in headers.items()
            if name.startswith("x-ots-") and name not in _UNSIGNED
        )
    )


def _sign(key: bytes, text: str, method: str) -> str:
    return b64encode(hmac.digest(key, text.encode(), method)).decode()
