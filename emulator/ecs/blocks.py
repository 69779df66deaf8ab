"""Disk contents in blocks of 64 KiB, and their copy-on-write snapshots.

A snapshot owns only the blocks that changed since the one before it; the first owns every block that holds data.
Deleting one hands its blocks to the next that still needs them, so any order of deletion is safe.
Blocks never written hold nothing: they read as zeros and cost nothing.
"""

from collections.abc import Mapping

BLOCK = 64 * 1024
GIB = 1024**3
MIB = 1024**2
ZEROS = bytes(BLOCK)


class Layer:
    """The blocks one snapshot owns. `parent` is the older one that it stands on."""

    __slots__ = ("children", "filled", "own", "parent", "size")

    def __init__(self, parent: "Layer | None", own: dict[int, bytes], *, size: int, filled: int = 0) -> None:
        self.parent = parent
        self.children: list[Layer] = []
        self.own = own
        self.size = size
        self.filled = filled  # leading blocks that hold data without content worth storing (an operating system)
        if parent is not None:
            parent.children.append(self)

    @property
    def bytes_owned(self) -> int:
        """What this snapshot adds to the bill."""
        return (len(self.own) + self._filled_unwritten()) * BLOCK

    def _filled_unwritten(self) -> int:
        if not self.filled:
            return 0
        return self.filled - sum(1 for index in self.own if index < self.filled)

    def whole(self) -> dict[int, bytes]:
        """All blocks of the disk at that instant."""
        chain: list[Layer] = []
        layer: Layer | None = self
        while layer is not None:
            chain.append(layer)
            layer = layer.parent
        blocks: dict[int, bytes] = {}
        for older in reversed(chain):
            blocks.update(older.own)
        return blocks

    def whole_filled(self) -> int:
        layer: Layer | None = self
        filled = 0
        while layer is not None:
            filled = max(filled, layer.filled)
            layer = layer.parent
        return filled

    def delete(self) -> None:
        """Free what nobody else refers to; the rest goes to the next snapshots of the chain."""
        for child in self.children:
            for index, block in self.own.items():
                child.own.setdefault(index, block)
            child.filled = max(child.filled, self.filled)
            child.parent = self.parent
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent.children.extend(self.children)
        self.children = []
        self.own = {}
        self.parent = None


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
        return (len(self._blocks) + self._filled - sum(1 for i in self._blocks if i < self._filled)) * BLOCK

    def snapshot(self) -> Layer:
        if self._head is None:
            layer = Layer(None, dict(self._blocks), size=self.size, filled=self._filled)
        else:
            layer = Layer(self._head, {index: self._blocks[index] for index in self._changed}, size=self.size)
        self._head = layer
        self._changed = set()
        return layer

    def forget(self, layer: Layer) -> None:
        """`layer` is about to be deleted: if these contents stand on it, its changes count as not yet saved."""
        if self._head is layer:
            self._changed.update(layer.own)
            self._head = layer.parent
            if self._head is None:
                self._changed = set(self._blocks)

    def roll_back(self, layer: Layer) -> None:
        """Contents and size of the snapshot; everything since is lost."""
        self._blocks = layer.whole()
        self._filled = layer.whole_filled()
        self._changed = set()
        self._head = layer
        self.size = layer.size

    def grow(self, size: int) -> None:
        if size < self.size:
            raise ValueError("a disk never shrinks")
        self.size = size

    def blocks(self) -> Mapping[int, bytes]:
        return self._blocks

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"bytes {offset}..{offset + length} lie outside a disk of {self.size} bytes")
