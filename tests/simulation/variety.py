"""What the policy of a pair asks beyond the plain one, and what befalls that: data behind, hooks, surge, more names.

Drawn for a share of the seeds, from a stream of its own: the other seeds, and the faults of all, stay as they are.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.domain.calendar_rules import Blackout
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Kind
from shared.domain.ids import SiteName
from shared.domain.pair import DataRule, Hook, Mode, Pair, Short, Silence, UnknownLag
from shared.ports.hooks import HookAnswer, Said
from shared.state.failovers import SwitchOrder
from tests.simulation.failover_world import MORE_NAMES
from tests.simulation.links import How, watch_at
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.surge_ports import BEFORE, ESS, LOW, SLB, Standing, surging
from tests.simulation.world import EPOCH

if TYPE_CHECKING:
    from tests.simulation.failover_world import FailoverWorld
    from tests.simulation.trouble import Draw

SHARE: Final = 0.4  # of the seeds
ALONE: Final = 10.0  # seconds between two looks of the operator who is called
SITES: Final[tuple[SiteName, ...]] = (H, I)


@dataclass
class Variety:
    """Of one seed. `kinds` empty: the plain pair."""

    chance: random.Random
    kinds: list[str] = field(default_factory=list)
    changes: list[Callable[[Pair], Pair]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)  # of the `FailoverWorld`

    def agreed(self, pair: Pair) -> Pair:
        for change in self.changes:
            pair = change(pair)
        return pair

    def befall(self, pair: "FailoverWorld", draw: "Draw") -> None:
        """Troubles of what was drawn, until the faults stop."""
        for kind in self.kinds:
            draw.kinds.append(f"policy: {kind}")
            draw.lines.append(f"{0.0:6.1f} to {draw.trouble:6.1f} s  policy: {kind}")
            {"data": self._lags, "hooks": self._answers, "surge": self._balancers}.get(kind, _none)(pair, draw.trouble)
        pair.at(draw.trouble, lambda: self._ends(pair))

    def _window(self, most: float) -> tuple[float, float]:
        start = self.chance.uniform(3, most - 3)
        return start, min(most, start + self.chance.uniform(2, 30))

    def _lags(self, pair: "FailoverWorld", most: float) -> None:
        for site in SITES:
            if self.chance.random() < 0.8:
                pair.lags[site] = timedelta(seconds=self.chance.choice((0, 1, 9)))
        start, end = self._window(most)
        site, far = self.chance.choice(SITES), self.chance.choice((12, 90))
        pair.at(start, lambda: pair.lags.update({site: timedelta(seconds=far)}))
        if self.chance.random() < 0.5:  # else it cannot measure any more
            pair.at(end, lambda: pair.lags.update({site: timedelta(seconds=1)}))
        else:
            pair.at(end, lambda: pair.lags.pop(site, None))

    def _answers(self, pair: "FailoverWorld", most: float) -> None:
        for _ in range(2):
            start, end = self._window(most)
            said = HookAnswer(said=self.chance.choice((Said.VETO, Said.SILENT)), why="the books are open")
            pair.at(start, lambda said=said: setattr(pair, "hooks_say", said))  # type: ignore[misc]  # bound now
            pair.at(end, lambda: setattr(pair, "hooks_say", HookAnswer(said=Said.PROCEED)))

    def _balancers(self, pair: "FailoverWorld", most: float) -> None:
        for api in (SLB, ESS):
            start, end = self._window(most)
            how = self.chance.choice((How.SILENT, How.DEAF, How.REFUSED, How.FORBIDDEN))
            pair.at(start, lambda api=api, how=how, end=end: self._cut(pair, api, how, end))  # type: ignore[misc]
        if self.chance.random() < 0.3:
            pair.standing.most = LOW

    @staticmethod
    def _cut(pair: "FailoverWorld", api: str, how: How, end: float) -> None:
        cut = pair.links.cut([(watch_at(site), api) for site in SITES], how)
        pair.at(end, lambda: pair.links.heal(cut))

    def _ends(self, pair: "FailoverWorld") -> None:
        pair.hooks_say = HookAnswer(said=Said.PROCEED)
        pair.standing.most = 10
        for site in pair.lags:
            pair.lags[site] = timedelta(0)
        if "data" in self.kinds:
            pair.lags.update(dict.fromkeys(SITES, timedelta(0)))
        if "manual" in self.kinds or "maintenance" in self.kinds:
            pair.at(pair.world.now + ALONE, lambda: self._operator(pair))

    def _operator(self, pair: "FailoverWorld") -> None:
        """Whoever is called orders the failover that the pair may not make by itself."""
        pair.at(pair.world.now + ALONE, lambda: self._operator(pair))
        if pair.failover().state is not State.NEEDS_OPERATOR:
            return
        lease = pair.rows.table("leases").get((PAIR,), {})
        to = I if lease.get("owner") == H else H
        pair.orders().give(
            SwitchOrder(
                pair=PAIR,
                to_site=to,
                at=pair.now(),
                because="called",
                kind=Kind.FAILOVER,
                id=f"called/{pair.world.now:.0f}",
            )
        )


def variety(seed: int | None) -> Variety:
    """None: the plain pair."""
    chance = random.Random(f"variety of {seed}")
    drawn = Variety(chance)
    if seed is None or chance.random() >= SHARE:
        return drawn
    for kind, often in (("data", 0.5), ("hooks", 0.5), ("surge", 0.5), ("names", 0.4), ("forbidden", 0.25)):
        if chance.random() < often:
            _add(drawn, kind)
    return drawn


def _add(drawn: Variety, kind: str) -> None:
    chance = drawn.chance
    change: Callable[[Pair], Pair]
    match kind:
        case "data":
            rule = DataRule(max_lag=timedelta(seconds=10), unknown=chance.choice(tuple(UnknownLag)))
            change = lambda pair: replace(pair, data=rule)  # noqa: E731  # one of several
        case "hooks":
            hooks = tuple(
                Hook(name=name, url=f"http://10.0.0.9/{name}", silence=chance.choice(tuple(Silence)))
                for name in ("ledger", "store")[: chance.randint(1, 2)]
            )
            change = lambda pair: replace(pair, hooks=hooks)  # noqa: E731
        case "surge":
            short = chance.choice(tuple(Short))
            drawn.fields["standing"] = Standing(weights=dict(BEFORE[0]), sizes=dict(BEFORE[1]))
            change = lambda pair: surging(pair, short)  # noqa: E731
        case "names":
            drawn.fields["more_names"] = MORE_NAMES
            change = lambda pair: pair  # noqa: E731
        case _:
            kind = chance.choice(("maintenance", "manual"))
            window = Blackout(
                name="patch", zone="UTC", since=EPOCH - timedelta(days=1), until=EPOCH + timedelta(days=1)
            )
            one: dict[str, Any] = {"mode": Mode.MANUAL} if kind == "manual" else {"maintenance": (window,)}
            change = lambda pair: replace(pair, **one)  # noqa: E731
    drawn.kinds.append(kind)
    drawn.changes.append(change)


def _none(_pair: "FailoverWorld", _most: float) -> None:
    """Nothing befalls it beyond the faults of all."""
