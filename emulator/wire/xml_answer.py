"""Answers as XML, for callers of the older signature that ask for it or do not say: `<DescribeSnapshotsResponse>`,
lists as `<Snapshots><Snapshot>..</Snapshot></Snapshots>`, errors as `<Error>`.

Source: RPC API documentation, 2018. Assumption: a list that stands in no envelope of its own repeats its element.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry at all."""


def answer(action: str, body: Mapping[str, Any]) -> bytes:
    return _document(f"{action}Response", body)


def error(body: Mapping[str, Any]) -> bytes:
    return _document("Error", body)


def _document(root: str, body: Mapping[str, Any]) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>' + "".join(_element(root, body))).encode()


def _element(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _element(name, item)
        return
    if value is None:
        return
    yield f"<{name}>"
    if isinstance(value, Mapping):
        for inner, deeper in value.items():
            yield from _element(inner, deeper)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    else:
        yield escape(FORBIDDEN.sub("\ufffd", str(value)))
    yield f"</{name}>"
