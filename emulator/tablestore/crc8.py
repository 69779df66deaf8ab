"""CRC-8 (polynomial x^8+x^2+x+1, start 0) as PlainBuffer uses it, fast enough for megabytes in pure Python.

A CRC is linear: a message of bytes b0 b1 ... bn leaves the sum (XOR) of every byte moved on by its distance to the end.
Two neighbours fold into one byte by moving the first on by one byte; halves of the folded message fold again with a
table that moves on by two, four, eight... Each fold is one `bytes.translate` and one XOR of long integers, so a
megabyte costs milliseconds where a loop over its bytes costs a hundred.
"""

from typing import Final


def _shift_once(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1) ^ (0x107 if byte & 0x80 else 0)
    return byte


TABLE: Final = bytes(_shift_once(b) for b in range(256))
_SHORT: Final = 96


def _tables() -> tuple[bytes, ...]:
    """Table k moves a byte on by 2**k bytes."""
    tables = [TABLE]
    for _ in range(31):
        tables.append(tables[-1].translate(tables[-1]))
    return tuple(tables)


_MOVE: Final = _tables()


def crc8(message: bytes, crc: int = 0) -> int:
    """The checksum of `message`, going on from `crc`."""
    if len(message) <= _SHORT:
        table = TABLE
        for byte in message:
            crc = table[crc ^ byte]
        return crc
    if crc:
        message = bytes((message[0] ^ crc,)) + message[1:]
    for move in _MOVE:
        size = len(message)
        if size == 1:
            break
        if size & 1:
            message, size = b"\0" + message, size + 1  # leading zeros leave no trace
        ahead = int.from_bytes(message[0::2].translate(move), "little")
        message = (ahead ^ int.from_bytes(message[1::2], "little")).to_bytes(size // 2, "little")
    return TABLE[message[0]]
