"""Signature ACS3-HMAC-SHA256: what the current SDKs sign RPC and ROA calls with.

The server signs what the request's own SignedHeaders list says, not a fixed set.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote_plus

ALGORITHM = "ACS3-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Authorization:
    access_key: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(value: str) -> Authorization | None:
    """None when it is not a complete ACS3 header."""
    scheme, _, rest = value.partition(" ")
    if scheme != ALGORITHM:
        return None
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if not all(parts.get(name) for name in ("Credential", "SignedHeaders", "Signature")):
        return None
    return Authorization(parts["Credential"], tuple(parts["SignedHeaders"].split(";")), parts["Signature"])


def same(mine: str, sent: str) -> bool:
    """Whether two signatures or tokens are equal, in a time that does not tell where they differ. What was sent may be
    any bytes."""
    return hmac.compare_digest(mine.encode(errors="surrogateescape"), sent.encode(errors="surrogateescape"))


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Split on `&` before decoding; `+` is a space on the wire; blank values are kept."""
    pairs = (part.partition("=") for part in raw.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def percent(text: str) -> str:
    """RFC 3986: letters, digits and `-_.~` are kept, everything else is escaped."""
    return quote(text, safe="~", errors="surrogateescape")


def canonical_request(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    signed_headers: Iterable[str],
    body: bytes,
) -> str:
    """`path` is percent-encoded already; `headers` is read case-insensitively by lower-case name."""
    names = sorted(signed_headers)
    return "\n".join(
        (
            method,
            path or "/",
            "&".join(f"{percent(name)}={percent(value)}" for name, value in sorted(query)),
            "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names),
            ";".join(names),
            sha256(body).hexdigest(),
        )
    )


def sign(secret: str, canonical: str) -> str:
    to_sign = f"{ALGORITHM}\n{sha256(canonical.encode(errors='surrogateescape')).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), sha256).hexdigest()
