"""Who can reach whom, and how it fails when not. Links have a direction: who begins the conversation."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

STORE, NAMES, ECS = "store", "names", "ecs"


class How(StrEnum):
    SILENT = "silent"  # nothing arrives
    DEAF = "deaf"  # it arrives and is done, and its answer does not come back
    REFUSED = "refused"  # at once: a port where nobody listens, a partition that is away, a throttled account
    FORBIDDEN = "forbidden"  # an answer that no repetition changes
    REJECTED = "rejected"  # the keys are not known


@dataclass(eq=False, slots=True)
class Cut:
    links: frozenset[tuple[str, str]]
    how: How


class Links:
    def __init__(self) -> None:
        self._cuts: list[Cut] = []

    def cut(self, links: Iterable[tuple[str, str]], how: How) -> Cut:
        cut = Cut(frozenset(links), how)
        self._cuts.append(cut)
        return cut

    def heal(self, cut: Cut) -> None:
        if cut in self._cuts:
            self._cuts.remove(cut)

    def heal_all(self) -> None:
        self._cuts.clear()

    def way(self, source: str, target: str) -> How | None:
        """How the link fails now; None: it does not."""
        if not self._cuts:
            return None
        return next((cut.how for cut in self._cuts if (source, target) in cut.links), None)


def watch_at(site: str) -> str:
    """The place of a site's watches."""
    return f"watch-{site}"
