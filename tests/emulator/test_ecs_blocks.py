"""Volumes and their chains of snapshots: what is read back, and what each snapshot has to pay for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.ecs.blocks import BLOCK, GIB, MIB, Layer, Volume


def test_what_was_never_written_reads_as_zeros_and_costs_nothing() -> None:
    volume = Volume(GIB)

    assert volume.read(GIB - 3, 3) == b"\0\0\0"
    assert volume.snapshot().bytes_owned == 0


def test_a_write_across_blocks_is_read_back() -> None:
    volume = Volume(MIB)

    volume.write(BLOCK - 2, b"abcdef")

    assert volume.read(BLOCK - 3, 8) == b"\0abcdef\0"
    assert volume.changed_bytes == 2 * BLOCK


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (MIB, 1), (MIB - 1, 2)])
def test_nothing_lies_beyond_the_end(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="outside a disk"):
        Volume(MIB).read(offset, length)


def test_the_first_snapshot_is_full_and_later_ones_hold_changes() -> None:
    volume = Volume(GIB, filled=10 * MIB)
    volume.write(20 * MIB, b"x" * 4 * MIB)

    first = volume.snapshot()
    volume.write(21 * MIB, b"y" * MIB)
    second = volume.snapshot()
    third = volume.snapshot()

    assert [layer.bytes_owned for layer in (first, second, third)] == [14 * MIB, MIB, 0]


def test_a_snapshot_keeps_its_instant() -> None:
    volume = Volume(MIB)
    volume.write(0, b"before")
    layer = volume.snapshot()
    volume.write(0, b"after!")

    assert Volume.of(layer, MIB).read(0, 6) == b"before"


def test_deleting_a_snapshot_hands_its_blocks_to_the_next() -> None:
    volume = Volume(MIB)
    volume.write(0, b"a")
    first = volume.snapshot()
    volume.write(BLOCK, b"b")
    second = volume.snapshot()

    first.delete()

    assert second.bytes_owned == 2 * BLOCK
    assert Volume.of(second, MIB).read(0, 1) == b"a"
    assert Volume.of(second, MIB).read(BLOCK, 1) == b"b"


def test_after_the_newest_is_deleted_its_changes_are_due_again() -> None:
    volume = Volume(MIB)
    volume.write(0, b"a")
    volume.snapshot()
    volume.write(BLOCK, b"b")
    newest = volume.snapshot()

    newest.delete()

    assert volume.changed_bytes == BLOCK
    assert Volume.of(volume.snapshot(), MIB).read(BLOCK, 1) == b"b"


def test_a_disk_made_of_a_snapshot_begins_its_own_chain() -> None:
    volume = Volume(MIB)
    volume.write(0, b"a" * 3 * BLOCK)
    copy = Volume.of(volume.snapshot(), MIB)

    assert copy.snapshot().bytes_owned == 3 * BLOCK


def test_a_rollback_brings_back_contents_and_size() -> None:
    volume = Volume(MIB)
    volume.write(0, b"old")
    layer = volume.snapshot()
    volume.grow(2 * MIB)
    volume.write(0, b"new")

    volume.roll_back(layer)

    assert (volume.size, volume.read(0, 3)) == (MIB, b"old")


Step = tuple[str, int]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["write", "snapshot", "delete", "roll back"]), st.integers(0, 7)), max_size=40)
)
def test_any_order_of_deletions_and_rollbacks_keeps_every_other_snapshot_whole(steps: list[Step]) -> None:
    volume = Volume(8 * BLOCK)
    kept: list[tuple[Layer, bytes]] = []
    for turn, (what, number) in enumerate(steps):
        if what == "write":
            volume.write(number * BLOCK, bytes([turn + 1]))
        elif what == "snapshot":
            kept.append((volume.snapshot(), volume.read(0, volume.size)))
        elif kept:
            layer, contents = kept[number % len(kept)]
            if what == "delete":
                before = volume.read(0, volume.size)
                layer.delete()
                kept.remove((layer, contents))
                assert volume.read(0, volume.size) == before
            else:
                volume.roll_back(layer)
                assert volume.read(0, volume.size) == contents
        for layer, contents in kept:
            assert Volume.of(layer, volume.size).read(0, volume.size) == contents
    latest = volume.read(0, volume.size)
    assert Volume.of(volume.snapshot(), volume.size).read(0, volume.size) == latest
