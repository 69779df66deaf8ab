"""The demo's data: what a crash in the middle of an append leaves on the disk, and what it must never leave."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.demo.disk_log import DiskLog


class PowerCut(Exception):
    pass


@dataclass
class Disk:
    """Keeps the first `power` bytes that are still to be written, then the power goes."""

    size: int = 1 << 16
    power: int | None = None
    content: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.content = self.content or bytearray(self.size)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.content[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        kept = data if self.power is None else data[: self.power]
        self.content[offset : offset + len(kept)] = kept
        if self.power is not None:
            self.power -= len(kept)
            if len(kept) < len(data):
                raise PowerCut

    def reopened(self) -> DiskLog:
        return DiskLog(Disk(size=self.size, content=bytearray(self.content)))


def test_a_torn_append_loses_that_append_only() -> None:
    disk = Disk()
    log = DiskLog(disk)
    log.append([("before", b"whole")])
    disk.power = 20
    with pytest.raises(PowerCut):
        log.append([("torn", b"x" * 100)])

    after = disk.reopened()

    assert after.names() == ["before"]
    assert after.get("before") == b"whole"


def test_a_log_goes_on_where_a_torn_append_began() -> None:
    disk = Disk()
    DiskLog(disk).append([("before", b"whole")])
    disk.power = 20
    with pytest.raises(PowerCut):
        DiskLog(disk).append([("torn", b"x" * 100)])
    disk.power = None

    DiskLog(disk).append([("after", b"also whole")])

    assert disk.reopened().names() == ["after", "before"]


def test_a_header_torn_behind_its_magic_is_not_an_empty_record() -> None:
    disk = Disk(power=4)
    with pytest.raises(PowerCut):
        DiskLog(disk).append([("torn", b"x")])

    assert disk.reopened().names() == []


def test_a_flipped_bit_ends_the_log_instead_of_being_served() -> None:
    disk = Disk()
    log = DiskLog(disk)
    log.append([("first", b"sound")])
    sound = log.bytes_used
    log.append([("second", b"rotten")])
    disk.content[log.bytes_used - 1] ^= 1

    after = disk.reopened()

    assert after.names() == ["first"]
    assert after.bytes_used == sound


def test_lengths_that_lead_beyond_the_disk_end_the_log() -> None:
    disk = Disk(size=256)
    disk.content[:16] = b"rec2" + (0xFFFFFFFF).to_bytes(4, "little") * 3

    assert disk.reopened().names() == []


def test_a_full_disk_refuses_and_keeps_what_it_has() -> None:
    disk = Disk(size=200)
    log = DiskLog(disk)
    log.append([("fits", b"x" * 100)])

    with pytest.raises(OSError, match="the data disk is full: 200 bytes"):
        log.append([("too much", b"x" * 100)])

    assert log.get("too much") is None
    assert disk.reopened().names() == ["fits"]


def test_a_blank_disk_is_an_empty_log() -> None:
    assert DiskLog(Disk()).names() == []


def test_records_larger_than_one_read_come_back_whole() -> None:
    disk = Disk(size=5 << 20)
    value = bytes(range(256)) * (3 << 12)  # three times what is read at once
    DiskLog(disk).append([("large", value), ("small", b"s")])

    after = disk.reopened()

    assert after.get("large") == value
    assert after.get("small") == b"s"


records = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=64)), max_size=6)


@given(appends=st.lists(records, max_size=5))
def test_what_was_appended_is_read_back_with_the_last_value_of_each_key(appends: list[list[tuple[str, bytes]]]) -> None:
    disk = Disk()
    log = DiskLog(disk)
    expected: dict[str, bytes] = {}
    for batch in appends:
        log.append(batch)
        expected.update(batch)

    for view in (log, disk.reopened()):
        assert {key: view.get(key) for key in view.names()} == expected
    assert disk.reopened().bytes_used == log.bytes_used


@settings(max_examples=50)
@given(appends=st.lists(records.filter(bool), min_size=1, max_size=4), cut=st.integers(0, 2000))
def test_power_cut_anywhere_leaves_a_prefix_of_the_records(appends: list[list[tuple[str, bytes]]], cut: int) -> None:
    disk = Disk(power=cut)
    log = DiskLog(disk)
    written: list[tuple[str, bytes]] = []
    for batch in appends:
        try:
            log.append(batch)
        except PowerCut:
            break
        finally:
            written += batch

    found = disk.reopened()

    prefixes = [dict(written[:count]) for count in range(len(written) + 1)]
    assert {key: found.get(key) for key in found.names()} in prefixes
