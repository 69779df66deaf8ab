"""The protobuf messages of Tablestore, and how a request is opened: strictly, so that nothing is taken and ignored.

The generated messages come from the official SDK. Fields that the service documents and they lack are read among the
unknown ones: `CreateTableRequest.enable_local_txn` (8) and `BatchWriteRowRequest.is_atomic` (3).
"""

import logging
from collections.abc import Collection
from typing import Any, Final

# The SDK warns at import on every CPython but 3.12 that its compiled coder is missing; the messages need none of it.
for _name in ("tablestore.encoder", "tablestore.decoder"):
    logging.getLogger(_name).setLevel(logging.ERROR)

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: E402
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]  # noqa: E402
from tablestore.protobuf import search_pb2  # noqa: E402
from tablestore.protobuf import table_store_filter_pb2 as filter_pb2  # noqa: E402
from tablestore.protobuf import table_store_pb2 as pb2  # noqa: E402

from emulator.tablestore.errors import OtsError, parameter_invalid  # noqa: E402

__all__ = ["DecodeError", "filter_pb2", "opened", "pb2", "refuse", "search_pb2", "sent", "unknown"]

log: Final = logging.getLogger(__name__)


def opened(kind: Any, body: bytes, *, known: Collection[int] = ()) -> Any:
    """The request of message type `kind`; refused when damaged, incomplete or with fields that nobody here reads."""
    request = kind.FromString(body)
    if not request.IsInitialized():
        raise parameter_invalid(f"Missing required field: {', '.join(request.FindInitializationErrors())}.")
    _check(request, known)
    return request


def _check(message: Any, known: Collection[int] = ()) -> None:
    """Every text is one, and every field is known, in the message and in all below it."""
    for number in unknown(message):
        refuse(number not in known, f"field {number} of {message.DESCRIPTOR.name}")
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            # The messages give a text that is no UTF-8 as bytes, and say nothing.
            if any(isinstance(text, bytes) for text in (value if field.label == field.LABEL_REPEATED else (value,))):
                raise parameter_invalid(f"{message.DESCRIPTOR.name}.{field.name} is not UTF-8.")  # text: assumption
        elif field.type == field.TYPE_MESSAGE:
            for part in value if field.label == field.LABEL_REPEATED else (value,):
                _check(part)


def unknown(message: Any) -> dict[int, Any]:
    """Fields that the message type lacks, by number; an enum's value that is not known is among them."""
    return {field.field_number: field.data for field in UnknownFieldSet(message)}


def refuse(asked: bool, what: str) -> None:
    """Loudly: in the log too, since a caller may swallow it."""
    if asked:
        log.warning("tablestore feature is not modelled", extra={"feature": what})
        raise unsupported(what)


def unsupported(what: str) -> OtsError:
    return parameter_invalid(f"Unsupported operation: {what}.")


def sent(message: Any) -> bytes:
    return bytes(message.SerializeToString())
