"""Table operations on the wire, and those of secondary indexes."""

from typing import Any, Final

from emulator.tablestore.api.messages import opened, pb2, refuse, search_pb2, sent, unknown
from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.model import Tablestore
from emulator.tablestore.plainbuffer import read_row, write_key
from emulator.tablestore.schema import Description, IndexMeta, Options
from emulator.tablestore.table import Table
from emulator.tablestore.values import INF_MAX, INF_MIN, KEY_TYPES, KeyValue

_KEY_TYPES: Final = {pb2.INTEGER: "INTEGER", pb2.STRING: "STRING", pb2.BINARY: "BINARY", pb2.PK_BOOLEAN: "BOOLEAN"}
_KEY_TYPE_NUMBERS: Final = {name: number for number, name in _KEY_TYPES.items()}
_ENABLE_LOCAL_TXN: Final = 8  # field of CreateTableRequest
_ACTIVE: Final = (
    b"\x20\x01"  # field 4 of DescribeTableResponse; required by other languages' SDKs, absent from this one's
)


def create_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.CreateTableRequest, body, known=(_ENABLE_LOCAL_TXN,))
    refuse(request.stream_spec.enable_stream, "stream")
    refuse(request.sse_spec.enable, "server side encryption")
    meta = request.table_meta
    store.create_table(
        instance,
        meta.table_name,
        [(column.name, _KEY_TYPES[column.type]) for column in meta.primary_key],
        options=_options(request.table_options, Options()),
        reserved=_units(request.reserved_throughput),
        defined_columns=tuple((column.name, column.type) for column in meta.defined_column),
        auto_column=_auto_column(meta),
        local_txn=bool(unknown(request).get(_ENABLE_LOCAL_TXN)),
        indexes=tuple(_index(one) for one in request.index_metas),
        partitions=_split_points(request),
    )
    return sent(pb2.CreateTableResponse())


def _auto_column(meta: Any) -> str | None:
    columns = [column.name for column in meta.primary_key if column.HasField("option")]
    if len(columns) > 1:
        raise parameter_invalid("Only one primary key column can be auto-increment.")
    return columns[0] if columns else None


def _split_points(request: Any) -> tuple[KeyValue, ...]:
    """Where the table is to be split from the start: ranges of its partition key, next to each other."""
    if not request.partitions:
        return ()
    meta = request.table_meta
    kind = KEY_TYPES.get(_KEY_TYPES[meta.primary_key[0].type]) if meta.primary_key else None
    points: list[KeyValue] = []
    for part in request.partitions:
        for data in (part.begin, part.end):
            key = read_row(data).key
            if len(key) != 1:
                raise parameter_invalid("A split point is a value of the partition key.")
            value = key[0][1]
            if value is INF_MIN or value is INF_MAX:
                continue
            if kind is None or type(value) is not kind:
                raise parameter_invalid("The type of a split point is not that of the partition key.")
            points.append(value)  # type: ignore[arg-type]
    return tuple(sorted(set(points)))


def update_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.UpdateTableRequest, body)
    refuse(request.stream_spec.enable_stream, "stream")
    options = None
    if request.HasField("table_options"):
        options = _options(request.table_options, store.table(instance, request.table_name).options)
    reserved = _units(request.reserved_throughput) if request.HasField("reserved_throughput") else None
    table = store.update_table(instance, request.table_name, options=options, reserved=reserved)
    answer = pb2.UpdateTableResponse()
    _describe(answer, table)
    return sent(answer)


def describe_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.DescribeTableRequest, body)
    table = store.describe_table(instance, request.table_name)
    description = table.described()
    answer = pb2.DescribeTableResponse()
    answer.table_meta.table_name = table.name
    for name, kind in description.schema:
        column = answer.table_meta.primary_key.add(name=name, type=_KEY_TYPE_NUMBERS[kind])
        if name == description.auto_column:
            column.option = pb2.AUTO_INCREMENT
    for name, number in description.defined_columns:
        answer.table_meta.defined_column.add(name=name, type=number)
    for index in description.indexes:
        answer.index_metas.add(
            name=index.name,
            primary_key=_index_key(index, description),
            defined_column=index.defined,
            index_update_mode=pb2.IUM_SYNC_INDEX if index.local else pb2.IUM_ASYNC_INDEX,
            index_type=pb2.IT_LOCAL_INDEX if index.local else pb2.IT_GLOBAL_INDEX,
        )
    for point in description.partitions:
        answer.shard_splits.append(write_key(description.schema[:1], (point,)))
    _describe(answer, table)
    return sent(answer) + _ACTIVE


def _index_key(index: IndexMeta, description: Description) -> list[str]:
    return [*index.primary_key, *(c for c, _ in description.schema if c not in index.primary_key)]


def delete_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    store.delete_table(instance, opened(pb2.DeleteTableRequest, body).table_name)
    return sent(pb2.DeleteTableResponse())


def list_table(store: Tablestore, instance: str, body: bytes) -> bytes:
    opened(pb2.ListTableRequest, body)
    return sent(pb2.ListTableResponse(table_names=store.list_tables(instance)))


def list_search_index(store: Tablestore, instance: str, body: bytes) -> bytes:
    """There are none; tools ask before they delete a table."""
    request = opened(search_pb2.ListSearchIndexRequest, body)
    if request.table_name:
        store.table(instance, request.table_name)
    return sent(search_pb2.ListSearchIndexResponse())


def create_index(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.CreateIndexRequest, body)
    meta = _index(request.index_meta)
    store.create_index(instance, request.main_table_name, meta, with_old_rows=request.include_base_data)
    return sent(pb2.CreateIndexResponse())


def drop_index(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.DropIndexRequest, body)
    store.drop_index(instance, request.main_table_name, request.index_name)
    return sent(pb2.DropIndexResponse())


def _index(wire: Any) -> IndexMeta:
    local = wire.index_type == pb2.IT_LOCAL_INDEX
    if local != (wire.index_update_mode == pb2.IUM_SYNC_INDEX):
        raise parameter_invalid("A local index is updated synchronously, a global one asynchronously.")
    return IndexMeta(
        name=wire.name, primary_key=tuple(wire.primary_key), defined=tuple(wire.defined_column), local=local
    )


def _options(wire: Any, old: Options) -> Options:
    return Options(
        ttl_seconds=wire.time_to_live if wire.HasField("time_to_live") else old.ttl_seconds,
        max_versions=wire.max_versions if wire.HasField("max_versions") else old.max_versions,
        max_deviation_seconds=(
            wire.deviation_cell_version_in_sec
            if wire.HasField("deviation_cell_version_in_sec")
            else old.max_deviation_seconds
        ),
        allow_update=wire.allow_update if wire.HasField("allow_update") else old.allow_update,
    )


def _units(wire: Any) -> tuple[int, int]:
    return wire.capacity_unit.read, wire.capacity_unit.write


def _describe(answer: Any, table: Table) -> None:
    description = table.description
    details = answer.reserved_throughput_details
    details.capacity_unit.read, details.capacity_unit.write = description.reserved
    details.last_increase_time = (description.updated_ms or description.created_ms) // 1000
    options = answer.table_options
    options.time_to_live = description.options.ttl_seconds
    options.max_versions = description.options.max_versions
    options.deviation_cell_version_in_sec = description.options.max_deviation_seconds
    options.allow_update = description.options.allow_update
