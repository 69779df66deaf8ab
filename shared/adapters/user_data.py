"""User data of instances as text that goes through JSON, digests and our own state unharmed.

What is no UTF-8 (a compressed script) is written as a data URL (RFC 2397): no guest takes one for a script of its own.
"""

from base64 import b64decode, b64encode
from typing import Final

PACKED: Final = "data:;base64,"


def to_text(given: bytes) -> str:
    try:
        return given.decode()
    except UnicodeDecodeError:
        return PACKED + b64encode(given).decode()


def to_bytes(text: str) -> bytes:
    return b64decode(text.removeprefix(PACKED)) if text.startswith(PACKED) else text.encode()
