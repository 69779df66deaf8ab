"""Snapshots that an unfinished recovery reads or may go back to: named anywhere in what it was asked for or has done.

Level, not edge: asked of the journal before each batch of a prune, so no recovery has to pin what it needs and none
that died leaves a pin behind. One that begins after that look finds its snapshot gone, and then changes nothing.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from shared.domain.ids import OperationId, SnapshotId
from shared.domain.operation import Operation, OperationKind
from shared.state.journal import Journal

RECOVERIES: Final = (OperationKind.RESTORE, OperationKind.LAUNCH, OperationKind.REBUILD)
A_SNAPSHOT: Final = re.compile(r"\bs-[A-Za-z0-9-]+")


def needed_snapshots(journal: Journal) -> dict[SnapshotId, str]:
    """Snapshot -> the recovery that is under way with it, or waits for an operator."""
    damaged: list[OperationId] = []  # told of by function recover
    found = chain(journal.open_of(*RECOVERIES, sweep=False, damaged=damaged), journal.waiting(*RECOVERIES))
    return {SnapshotId(one): operation.id for operation in found for one in _named(operation)}


def _named(operation: Operation) -> Iterator[str]:
    for text in chain(operation.inputs.values(), *(step.data.values() for step in operation.steps)):
        yield from A_SNAPSHOT.findall(text)
