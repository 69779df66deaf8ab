"""JSON as the cloud's services read it: no NaN, no depth without end, no text that UTF-8 cannot write."""

import json
from typing import Any, Never


def parse(text: str | bytes) -> Any:
    """Raises ValueError, whatever is wrong with it."""
    try:
        read = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if ("\\u" if isinstance(text, str) else b"\\u") in text:  # type: ignore[operator]
        json.dumps(read, ensure_ascii=False).encode()  # half of a surrogate pair raises UnicodeEncodeError
    return read


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")
