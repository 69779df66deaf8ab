"""What a cell or a key column can hold, how values compare, and the limits on them.

Inside the emulator STRING is `str` and BINARY is `bytes`. Code point order of `str` is the byte order of its UTF-8
form, so plain tuples of key values sort as the service sorts keys. Limits: developer guide (2025).
"""

import math
import re
from collections.abc import Sequence
from typing import Final

from emulator.tablestore.errors import OtsError, parameter_invalid

Value = int | float | bool | str | bytes

MAX_KEY_BYTES: Final = 1024
MAX_VALUE_BYTES: Final = 2 * 1024 * 1024
MAX_COLUMNS_PER_WRITE: Final = 1024
MAX_COLUMNS_TO_GET: Final = 128
INT64: Final = range(-(1 << 63), 1 << 63)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class _Least:
    """Below every key value. A bound of ranges only, never stored."""

    def __lt__(self, other: object) -> bool:
        return other is not self

    def __gt__(self, _: object) -> bool:
        return False

    def __repr__(self) -> str:
        return "INF_MIN"


class _Greatest:
    def __lt__(self, _: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return other is not self

    def __repr__(self) -> str:
        return "INF_MAX"


class _Auto:
    """Stands for the value that the service is to give to an auto-increment key column; in requests only."""

    def __repr__(self) -> str:
        return "AUTO"


INF_MIN: Final = _Least()
INF_MAX: Final = _Greatest()
AUTO: Final = _Auto()

KeyValue = int | str | bytes
Bound = KeyValue | _Least | _Greatest | _Auto
"""What a key column of a request can hold."""
Key = tuple[KeyValue, ...]
KeyPairs = Sequence[tuple[str, Bound]]
"""A key as a request names it: (column, value) in schema order."""

KEY_TYPES: Final[dict[str, type]] = {"INTEGER": int, "STRING": str, "BINARY": bytes}


def size_of(value: Value) -> int:
    """Bytes that count towards limits and capacity units."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    return 1 if isinstance(value, bool) else 8


def check_name(what: str, name: str) -> None:
    if len(name) > 255 or not _NAME.match(name):
        raise parameter_invalid(f"Invalid {what} name: '{name}'.")


def check_value(name: str, value: Value) -> int:
    """The value's size in bytes; raises on one that a column cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise parameter_invalid(f"The DOUBLE value of column '{name}' must be finite.")
    if type(value) is int and value not in INT64:
        raise parameter_invalid(f"The INTEGER value of column '{name}' exceeds 64 bits.")
    size = size_of(value)
    if size > MAX_VALUE_BYTES:
        raise OtsError(
            400,
            "OTSParameterInvalid",
            f"The length of attribute column: '{name}' exceeded the MaxLength:{MAX_VALUE_BYTES}"
            f" with CurrentLength:{size}.",
        )
    return size
