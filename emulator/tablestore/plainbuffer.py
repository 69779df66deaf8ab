"""PlainBuffer, the row encoding inside Tablestore's protobuf messages: a reader of requests and a writer of answers.

Layout: u32le 0x75, then per row 0x01 and key cells, optionally 0x02 and attribute cells, optionally 0x08 (delete
marker), 0x09 and the row's checksum. A cell: 0x03, 0x04 u32le length and name, optionally 0x05 u32le size, type byte
and data, optionally 0x06 and an operation, optionally 0x07 and i64le milliseconds, 0x0A and its checksum.
Source: the official Python SDK's encoder and decoder, read and compared byte by byte in the tests.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from emulator.tablestore.crc8 import TABLE, crc8
from emulator.tablestore.errors import OtsError, parameter_invalid
from emulator.tablestore.rows import Change, Op, Row, Version
from emulator.tablestore.values import AUTO, INF_MAX, INF_MIN, Bound, Key, Value

HEADER: Final = b"\x75\0\0\0"
_PK, _DATA, _CELL, _NAME, _VALUE, _OP, _TIMESTAMP, _DELETE, _ROW_CRC, _CELL_CRC = range(1, 11)
_INTEGER, _DOUBLE, _BOOLEAN, _STRING, _BLOB, _LEAST, _GREATEST, _AUTO = 0, 1, 2, 3, 7, 9, 10, 11

_U32: Final = struct.Struct("<I")
_I64: Final = struct.Struct("<q")
_F64: Final = struct.Struct("<d")
_OPS: Final = {1: Op.DELETE_ALL, 3: Op.DELETE, 4: Op.INCREMENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRequest:
    key: tuple[tuple[str, Bound], ...]
    changes: tuple[Change, ...]
    delete: bool


def read_row(data: bytes) -> RowRequest:
    """One row of a request. Any damage (structure, checksums, text that is not UTF-8) is refused."""
    reader = _Reader(data)
    try:
        row = reader.row()
    except (IndexError, struct.error) as error:
        raise damaged("it ends too early") from error
    except UnicodeDecodeError as error:
        raise damaged("a text is not UTF-8") from error
    if reader.at != len(data):
        raise damaged("bytes follow the row")
    return row


def read_value(data: bytes) -> Value:
    """The bare value of a condition: type byte and data, nothing around it."""
    try:
        value = _value(data, 0, len(data))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise damaged("the value of a condition cannot be read") from error
    if isinstance(value, int | float | str | bytes):
        return value
    raise damaged("the value of a condition is no value")


def damaged(why: str) -> OtsError:
    # Code and status as the service answers malformed input; the text is ours (assumption).
    return parameter_invalid(f"Invalid PlainBuffer: {why}.")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def row(self) -> RowRequest:
        data = self.data
        if data[:4] != HEADER:
            raise damaged("the header is missing")
        self.at = 4
        self.expect(_PK)
        checksum = 0
        key: list[tuple[str, Bound]] = []
        while data[self.at] == _CELL:
            name, value, op, timestamp, crc = self.cell()
            if value is None or op is not None or timestamp is not None or isinstance(value, float | bool):
                raise damaged(f"primary key column '{name}' is malformed")
            key.append((name, value))
            checksum = TABLE[checksum ^ crc]
        changes: list[Change] = []
        if data[self.at] == _DATA:
            self.at += 1
            while data[self.at] == _CELL:
                name, value, op, timestamp, crc = self.cell()
                if value is INF_MIN or value is INF_MAX or value is AUTO:
                    raise damaged(f"column '{name}' holds a bound")
                changes.append(Change(name, op or Op.PUT, value, timestamp))  # type: ignore[arg-type]
                checksum = TABLE[checksum ^ crc]
        delete = data[self.at] == _DELETE
        if delete:
            self.at += 1
        checksum = TABLE[checksum ^ delete]
        self.expect(_ROW_CRC)
        if data[self.at] != checksum:
            raise damaged("the checksum of the row does not match")
        self.at += 1
        return RowRequest(key=tuple(key), changes=tuple(changes), delete=delete)

    def cell(self) -> tuple[str, Bound | Value | None, Op | None, int | None, int]:
        data = self.data
        self.at += 1
        self.expect(_NAME)
        name = self.block()
        covered = [name]
        value: Bound | Value | None = None
        op: Op | None = None
        timestamp: int | None = None
        if data[self.at] == _VALUE:
            self.at += 1
            raw = self.block()
            covered.append(raw)
            value = _value(raw, 0, len(raw))
        op_byte = b""
        if data[self.at] == _OP:
            op_byte = data[self.at + 1 : self.at + 2]
            if op_byte[0] not in _OPS:
                raise damaged(f"operation {op_byte[0]} is not known")
            op = _OPS[op_byte[0]]
            self.at += 2
        if data[self.at] == _TIMESTAMP:
            timestamp = int(_I64.unpack_from(data, self.at + 1)[0])
            covered.append(data[self.at + 1 : self.at + 9])
            self.at += 9
        covered.append(op_byte)  # the operation stands before the timestamp, but is summed after it
        self.expect(_CELL_CRC)
        crc = data[self.at]
        self.at += 1
        if crc != crc8(b"".join(covered)):
            raise damaged(f"the checksum of column '{name.decode()}' does not match")
        return name.decode(), value, op, timestamp, crc

    def expect(self, tag: int) -> None:
        if self.data[self.at] != tag:
            raise damaged(f"tag {tag} expected at byte {self.at}, found {self.data[self.at]}")
        self.at += 1

    def block(self) -> bytes:
        size = _U32.unpack_from(self.data, self.at)[0]
        start = self.at + 4
        self.at = start + size
        block = self.data[start : self.at]
        if len(block) != size:
            raise damaged("it ends too early")
        return block


def _value(data: bytes, start: int, end: int) -> Bound | Value:
    kind = data[start]
    body = data[start + 1 : end]
    match kind:
        case 0:
            return int(_I64.unpack(body)[0])
        case 1:
            return float(_F64.unpack(body)[0])
        case 2:
            if len(body) != 1:
                raise damaged("a BOOLEAN is one byte")
            return body[0] != 0
        case 3 | 7:
            size = _U32.unpack_from(body)[0]
            if len(body) != size + 4:
                raise damaged("the size of a value does not match")
            return body[4:].decode() if kind == _STRING else body[4:]
        case 9:
            return INF_MIN
        case 10:
            return INF_MAX
        case 11:
            return AUTO
        case _:
            raise damaged(f"value type {kind} is not known")


# -- answers


def write_rows(
    schema: tuple[tuple[str, str], ...], rows: Iterable[tuple[Row, list[tuple[str, list[Version]]]]]
) -> bytes:
    """One header and every row; no rows are empty bytes, as the service sends them."""
    parts: list[bytes] = []
    for row, columns in rows:
        if row.wire is None:
            row.wire, row.crc = _key_cells(schema, row.key)
        parts.append(row.wire)
        checksum = row.crc
        if columns:
            parts.append(b"\x02")
            for name, versions in columns:
                for version in versions:
                    wire = version.wire
                    if wire is None:
                        wire = _encode(name, version)
                    parts.append(wire)
                    checksum = TABLE[checksum ^ version.crc]
        parts.append(bytes((_ROW_CRC, TABLE[checksum])))
    return HEADER + b"".join(parts) if parts else b""


def write_key(schema: tuple[tuple[str, str], ...], key: Key) -> bytes:
    cells, checksum = _key_cells(schema, key)
    return HEADER + cells + bytes((_ROW_CRC, TABLE[checksum]))


def _key_cells(schema: tuple[tuple[str, str], ...], key: Key) -> tuple[bytes, int]:
    parts = [b"\x01"]
    checksum = 0
    for (name, _), value in zip(schema, key, strict=True):
        cell, crc = _cell(name, value, None)
        parts.append(cell)
        checksum = TABLE[checksum ^ crc]
    return b"".join(parts), checksum


def _encode(name: str, version: Version) -> bytes:
    wire, version.crc = _cell(name, version.value, version.timestamp)
    version.wire = wire
    return wire


def _cell(name: str, value: Value, timestamp: int | None) -> tuple[bytes, int]:
    raw_name = name.encode()
    raw = _raw(value)
    stamp = b"" if timestamp is None else _I64.pack(timestamp)
    crc = crc8(raw_name + raw + stamp)
    cell = b"".join(
        (
            b"\x03\x04",
            _U32.pack(len(raw_name)),
            raw_name,
            b"\x05",
            _U32.pack(len(raw)),
            raw,
            b"\x07" + stamp if stamp else b"",
            b"\x0a",
            bytes((crc,)),
        )
    )
    return cell, crc


def _raw(value: Value) -> bytes:
    match value:
        case bool():
            return b"\x02\x01" if value else b"\x02\x00"
        case int():
            return b"\x00" + _I64.pack(value)
        case float():
            return b"\x01" + _F64.pack(value)
        case str():
            text = value.encode()
            return b"\x03" + _U32.pack(len(text)) + text
        case bytes():
            return b"\x07" + _U32.pack(len(value)) + value
