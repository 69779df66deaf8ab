"""Column conditions and filters as they come on the wire: messages within messages, as bytes."""

from typing import Any, Final

from emulator.tablestore.api.messages import filter_pb2, opened, refuse
from emulator.tablestore.conditions import COMPARE, Comparison, Composite, Filter
from emulator.tablestore.errors import parameter_invalid
from emulator.tablestore.plainbuffer import read_value

MAX_DEPTH: Final = 10
"""Composites within composites. Assumption: as many as there may be comparisons."""

_COMPARATORS: Final = {
    filter_pb2.CT_EQUAL: "==",
    filter_pb2.CT_NOT_EQUAL: "!=",
    filter_pb2.CT_GREATER_THAN: ">",
    filter_pb2.CT_GREATER_EQUAL: ">=",
    filter_pb2.CT_LESS_THAN: "<",
    filter_pb2.CT_LESS_EQUAL: "<=",
    filter_pb2.CT_EXIST: "exists",
    filter_pb2.CT_NOT_EXIST: "missing",
}
_COMBINATORS: Final = {filter_pb2.LO_NOT: "NOT", filter_pb2.LO_AND: "AND", filter_pb2.LO_OR: "OR"}


def read_filter(data: bytes) -> Filter | None:
    """None for no filter at all."""
    return _filter(opened(filter_pb2.Filter, data), depth=0) if data else None


def _filter(wire: Any, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise parameter_invalid(f"Column conditions are nested deeper than {MAX_DEPTH}.")
    if wire.type == filter_pb2.FT_SINGLE_COLUMN_VALUE:
        return _comparison(opened(filter_pb2.SingleColumnValueFilter, wire.filter))
    refuse(wire.type != filter_pb2.FT_COMPOSITE_COLUMN_VALUE, "column pagination filter")
    composite = opened(filter_pb2.CompositeColumnValueFilter, wire.filter)
    return Composite(
        combinator=_COMBINATORS[composite.combinator],
        parts=tuple(_filter(part, depth + 1) for part in composite.sub_filters),
    )


def _comparison(wire: Any) -> Comparison:
    refuse(wire.HasField("value_trans_rule"), "regular expression in a column condition")
    comparator = _COMPARATORS[wire.comparator]
    return Comparison(
        column=wire.column_name,
        comparator=comparator,
        value=read_value(wire.column_value) if comparator in COMPARE else "",
        pass_if_missing=not wire.filter_if_missing,
        latest_only=wire.latest_version_only,
    )
