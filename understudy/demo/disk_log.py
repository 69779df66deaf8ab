"""An append-only record log on a block device: what the demo's application keeps on its data disk.

A record is `magic, key length, value length, CRC-32 of lengths, key and value`, then key and value. The log ends at the
first place that is not a whole, sound record, so a crash-consistent snapshot taken in the middle of an append loses
that append only. (The lengths are in the CRC because a header torn behind its magic is followed by the disk's zeros,
and the CRC-32 of nothing is zero.)
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

_HEADER = struct.Struct("<4sIII")
_LENGTHS = struct.Struct("<II")
_MAGIC = b"rec2"
_READ = 1 << 20


class BlockDevice(Protocol):
    size: int

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...


class DiskLog:
    """Opening reads the whole log, as a service does when it starts on a disk that came back."""

    def __init__(self, device: BlockDevice) -> None:
        self._device = device
        self._values: dict[str, bytes] = {}
        self._end = 0
        for key, value, end in self._scan():
            self._values[key] = value
            self._end = end

    @property
    def bytes_used(self) -> int:
        return self._end

    def names(self) -> list[str]:
        return sorted(self._values)

    def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    def append(self, records: list[tuple[str, bytes]]) -> None:
        """Write the records with one device write; they are readable once it returned."""
        data = b"".join(self._encode(key, value) for key, value in records)
        if self._end + len(data) + _HEADER.size > self._device.size:
            raise OSError(f"the data disk is full: {self._device.size} bytes")
        self._device.write(self._end, data)
        self._end += len(data)
        self._values.update(records)

    @staticmethod
    def _encode(key: str, value: bytes) -> bytes:
        name = key.encode()
        return _HEADER.pack(_MAGIC, len(name), len(value), _crc(len(name), len(value), name + value)) + name + value

    def _scan(self) -> Iterator[tuple[str, bytes, int]]:
        buffer, start = b"", 0  # `buffer` holds the device from `start` on
        position = 0
        while True:
            need = position - start + _HEADER.size
            if len(buffer) < need:
                buffer, start = self._more(buffer, start, position, _HEADER.size)
            at = position - start
            if len(buffer) < at + _HEADER.size:
                return
            magic, key_length, value_length, crc = _HEADER.unpack_from(buffer, at)
            length = _HEADER.size + key_length + value_length
            if magic != _MAGIC or position + length > self._device.size:
                return
            if len(buffer) < at + length:
                buffer, start = self._more(buffer, start, position, length)
                at = position - start
            body = buffer[at + _HEADER.size : at + length]
            if len(body) != key_length + value_length or _crc(key_length, value_length, body) != crc:
                return
            position += length
            yield body[:key_length].decode(), body[key_length:], position

    def _more(self, buffer: bytes, start: int, position: int, length: int) -> tuple[bytes, int]:
        kept = buffer[position - start :]
        wanted = max(_READ, length) - len(kept)
        end = position + len(kept)
        wanted = min(wanted, self._device.size - end)
        return kept + (self._device.read(end, wanted) if wanted > 0 else b""), position


def _crc(key_length: int, value_length: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_LENGTHS.pack(key_length, value_length)))
