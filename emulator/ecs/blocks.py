"""Disk contents in blocks of 64 KiB, and their copy-on-write snapshots.

A snapshot owns only the blocks that changed since the one before it; the first owns every block that holds data.
Deleting one hands its blocks to the next that still needs them, so any order of deletion is safe, and every block that
some snapshot can reach is owned exactly once. Blocks never written hold nothing: they read as zeros and cost nothing.

A rollback makes a chain branch. A deleted snapshot that several branches still need stays as a *ghost*: nobody can see
it, its blocks are paid for by the oldest snapshot above it.

Source: how ECS snapshots work (incremental snapshots, deletion of snapshots), read 2021.
"""

from collections.abc import Iterable, Iterator, Mapping

BLOCK = 64 * 1024
GIB = 1024**3
MIB = 1024**2
ZEROS = bytes(BLOCK)

Block = bytes | None
"""None: a hole. The older snapshot below holds data there, this one holds none; it costs nothing."""


class Layer:
    """The blocks one snapshot owns. `parent` is the older one that it stands on."""

    __slots__ = ("children", "filled", "ghost", "own", "parent", "size", "volume")

    def __init__(self, parent: "Layer | None", own: Mapping[int, Block], *, size: int, filled: int = 0) -> None:
        self.parent = parent
        self.children: list[Layer] = []
        self.own: dict[int, Block] = dict(own)
        self.size = size
        self.filled = filled  # leading blocks that hold data without content worth storing (an operating system)
        self.ghost = False
        self.volume: Volume | None = None  # whose contents stand on this very layer
        if parent is not None:
            parent.children.append(self)

    # What it costs --------------------------------------------------------------------------------------------

    @property
    def bytes_owned(self) -> int:
        """What this snapshot adds to the bill, with the ghosts below that it is the heir of."""
        total, layer = self._stored(), self.parent
        while layer is not None and layer.ghost and layer._heir() is self:
            total += layer._stored()
            layer = layer.parent
        return total

    def _stored(self) -> int:
        blocks = len(self.own) - list(self.own.values()).count(None)
        if self.filled:
            hidden = self._covered() if self.ghost else {i for i, block in self.own.items() if block is not None}
            blocks += self.filled - sum(1 for index in hidden if index < self.filled)
        return blocks * BLOCK

    def _heir(self) -> "Layer":
        layer = self
        while layer.ghost:
            layer = layer.children[0]
        return layer

    def _covered(self) -> set[int]:
        """Indexes that nobody in this branch would look for further down."""
        covered = set(self.own)
        if self.ghost and self.children:
            covered |= set.intersection(*(child._covered() for child in self.children))
        return covered

    # What it holds --------------------------------------------------------------------------------------------

    def _down(self) -> "Iterator[Layer]":
        layer: Layer | None = self
        while layer is not None:
            yield layer
            layer = layer.parent

    def whole(self) -> dict[int, bytes]:
        """All blocks of the disk at that instant."""
        found: dict[int, Block] = {}
        for older in reversed(list(self._down())):
            found.update(older.own)
        return {index: block for index, block in found.items() if block is not None}

    def whole_filled(self) -> int:
        return max(layer.filled for layer in self._down())

    # Leaving --------------------------------------------------------------------------------------------------

    def delete(self) -> None:
        """Free what nobody else refers to; the rest goes to the next snapshots of the chain."""
        self.ghost = True
        self._settle()

    def _settle(self) -> None:
        """A ghost keeps only what at least two branches need, or one and the disk's present contents."""
        if not self.children:
            self._leave()
            return
        if len(self.children) == 1 and self.volume is None:
            self._merge(self.children[0])
            return
        covered = [child._covered() for child in self.children]
        for index in list(self.own):
            needy = [child for child, has in zip(self.children, covered, strict=True) if index not in has]
            if not needy:
                del self.own[index]
                self._unsave((index,))
            elif len(needy) == 1 and self.volume is None:
                needy[0].own[index] = self.own.pop(index)
                if needy[0].ghost:
                    needy[0]._settle()

    def _merge(self, child: "Layer") -> None:
        for index, block in self.own.items():
            child.own.setdefault(index, block)
        child.filled = max(child.filled, self.filled)
        child.parent = self.parent
        if self.parent is not None:
            self.parent.children[self.parent.children.index(self)] = child
        self._forget()
        if child.ghost:
            child._settle()

    def _leave(self) -> None:
        """No branch needs it any more; what stood on it stands on the one below."""
        below = self.parent
        if self.volume is not None:
            self._unsave(self.own)
            self.volume.stand_on(below)
        if below is not None:
            below.children.remove(self)
        self._forget()
        if below is not None and below.ghost:
            below._settle()

    def _unsave(self, indexes: Iterable[int]) -> None:
        if self.volume is not None:
            self.volume.unsave(indexes)

    def _forget(self) -> None:
        self.own, self.children, self.parent, self.filled = {}, [], None, 0


class Volume:
    """One disk's present contents. `size` in bytes; reads and writes beyond it raise ValueError."""

    __slots__ = ("_blocks", "_changed", "_filled", "_head", "size")

    def __init__(self, size: int, *, filled: int = 0) -> None:
        self.size = size
        self._filled = min(filled, size) // BLOCK
        self._blocks: dict[int, bytes] = {}
        self._changed: set[int] = set()
        self._head: Layer | None = None  # the newest snapshot these contents stand on

    @classmethod
    def of(cls, layer: Layer, size: int) -> "Volume":
        """A new disk made of a snapshot. Its own first snapshot is full again."""
        volume = cls(size)
        volume._blocks = layer.whole()
        volume._filled = layer.whole_filled()
        volume._changed = set(volume._blocks)
        return volume

    def read(self, offset: int, length: int) -> bytes:
        self._check(offset, length)
        parts = []
        end = offset + length
        while offset < end:
            index, start = divmod(offset, BLOCK)
            take = min(BLOCK - start, end - offset)
            parts.append(self._blocks.get(index, ZEROS)[start : start + take])
            offset += take
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        self._check(offset, len(data))
        view = memoryview(data)
        while view:
            index, start = divmod(offset, BLOCK)
            take = min(BLOCK - start, len(view))
            if take == BLOCK:
                self._blocks[index] = bytes(view[:take])
            else:
                old = self._blocks.get(index, ZEROS)
                self._blocks[index] = old[:start] + bytes(view[:take]) + old[start + take :]
            self._changed.add(index)
            offset += take
            view = view[take:]

    @property
    def changed_bytes(self) -> int:
        """What the next snapshot would have to hold."""
        if self._head is None:
            return self.used_bytes
        return len(self._changed) * BLOCK

    @property
    def used_bytes(self) -> int:
        hidden = sum(1 for i in self._blocks if i < self._filled) if self._filled else 0
        return (len(self._blocks) + self._filled - hidden) * BLOCK

    def snapshot(self) -> Layer:
        if self._head is None:
            layer = Layer(None, self._blocks, size=self.size, filled=self._filled)
        else:
            layer = Layer(self._head, {index: self._blocks[index] for index in self._changed}, size=self.size)
        below = self._head
        self.stand_on(layer)
        self._changed = set()
        if below is not None and below.ghost:
            below._settle()  # it was kept for these contents; now their new snapshot needs it, or nobody
        return layer

    def stand_on(self, layer: Layer | None) -> None:
        """From now on, what changed is counted from there. With nothing below, everything changed."""
        if self._head is not None:
            self._head.volume = None
        self._head = layer
        if layer is None:
            self._changed = set(self._blocks)
        else:
            layer.volume = self

    def unsave(self, indexes: Iterable[int]) -> None:
        """No snapshot holds these blocks any more: the next one has to."""
        self._changed.update(index for index in indexes if index in self._blocks)

    def leave(self) -> None:
        """The disk is gone: its snapshots need not keep anything in mind for it, and nobody reads it any more."""
        head = self._head
        self.stand_on(None)
        self._blocks, self._changed, self._filled = {}, set(), 0
        if head is not None and head.ghost:
            head._settle()

    def roll_back(self, layer: Layer) -> None:
        """Contents and size of the snapshot; everything since is lost."""
        left = self._head
        self._blocks = layer.whole()
        self._filled = layer.whole_filled()
        self.stand_on(layer)
        self._changed = set()
        self.size = layer.size
        if left is not None and left.ghost:
            left._settle()

    def grow(self, size: int) -> None:
        if size < self.size:
            raise ValueError("a disk never shrinks")
        self.size = size

    def blocks(self) -> Mapping[int, bytes]:
        return self._blocks

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"bytes {offset}..{offset + length} lie outside a disk of {self.size} bytes")


def copied(layer: Layer, base: Layer | None) -> Layer:
    """The same contents in another region: full without a base there, else only what differs from the base."""
    blocks = layer.whole()
    filled = layer.whole_filled()
    if base is None or base.whole_filled() != filled:
        return Layer(None, blocks, size=layer.size, filled=filled)
    before = base.whole()
    own: dict[int, Block] = {
        index: block for index, block in blocks.items() if before.get(index) is not block and before.get(index) != block
    }
    own.update((index, None) for index in before if index not in blocks)
    return Layer(base, own, size=layer.size)
