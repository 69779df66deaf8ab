"""Tablestore's resources, and whether a caller may do an operation on the tables that its body names.

`acs:ots:REGION:ACCOUNT:instance/NAME/table/T`, one for each table of the call; calls about the instance as a whole end
after its name. Source: Tablestore documentation, custom RAM policy (instance names in lower case). Assumptions: a batch
is judged as one action on each of its tables and refused as a whole; calls that move tables' names and calls on
transactions are about `table/*` unless they name a table.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from emulator.keys import Key

if TYPE_CHECKING:
    from emulator.cloud import Cloud

OF_INSTANCE: Final = frozenset(["ListTable"])
"""Operations about no table."""


def allowed(cloud: "Cloud", key: Key, instance: str, operation: str, body: bytes) -> bool:
    """Whether `key` may do `operation`, whose request is `body`. Undecodable bodies are for the operation to refuse."""
    if key.account != cloud.account:
        return False  # the instance is another account's, and only a policy of its own could let strangers in

    def touched() -> tuple[str, ...]:
        prefix = f"acs:ots:{cloud.region}:{cloud.account}:instance/{instance.lower()}"
        if operation in OF_INSTANCE:
            return (prefix,)
        try:
            names = tuple(dict.fromkeys(tables(operation, body)))
        except DecodeError:
            return ()
        return tuple(f"{prefix}/table/{name}" for name in names or ("*",))

    return cloud.ram.decide(key, f"ots:{operation}", touched)[0].allowed


def tables(operation: str, body: bytes) -> Iterator[str]:
    """The tables that a request names. Raises DecodeError."""
    message = _message(operation)
    if message is None:
        return
    request = message.FromString(body)
    for path in _paths(operation):
        yield from _follow(request, path)


def _message(operation: str) -> Any:
    # Here, not above: the service's own modules quieten the SDK before they import it.
    from tablestore.protobuf import search_pb2
    from tablestore.protobuf import table_store_pb2 as pb2

    return getattr(pb2, f"{operation}Request", None) or getattr(search_pb2, f"{operation}Request", None)


@lru_cache(maxsize=64)
def _paths(operation: str) -> tuple[tuple[str, ...], ...]:
    """Where a request of this operation keeps table names: in itself or one level below. An index is its table's."""
    descriptor = _message(operation).DESCRIPTOR
    found: list[tuple[str, ...]] = []
    for field in descriptor.fields:
        if field.name in ("table_name", "main_table_name"):
            found.append((field.name,))
        elif field.message_type is not None and "table_name" in field.message_type.fields_by_name:
            found.append((field.name, "table_name"))
    return tuple(found)


def _follow(message: Any, path: tuple[str, ...]) -> Iterator[str]:
    value = getattr(message, path[0])
    if len(path) == 1:
        if value:
            yield str(value)
        return
    for part in value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else (value,):
        yield from _follow(part, path[1:])
