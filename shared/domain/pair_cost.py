"""What watching a pair of region masters costs a month while all is well: two functions that always run, and what they
and the agents read and write in the state store.

The counts are those of the code, held to it by a test that counts what the real watches and agents ask for. A function
is billed by the vCPU and memory it is given, not by what it uses of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.cost import FUNCTION_CPU, FUNCTION_GB, MONTH, Prices
from shared.domain.ids import SiteName
from shared.domain.policy import Pair

SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1) / SECOND
TICK: Final = timedelta(minutes=1)
LOOKS_FOR: Final = timedelta(seconds=62)  # of each tick: two seconds beside the next one
CALM_EVERY: Final = 5  # rounds between readings of what may stop a failover
READS_OF_CALM: Final = 4  # the failover's row, an order, pauses, acknowledgements
READS_OF_TICK: Final = 6  # the policy, the failover's row, the roll call, the addresses
BEAT_EVERY: Final = timedelta(seconds=5)  # of each agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of one pair that is well: so many a second. Units of the store: each call reads or writes less than 4 KB."""

    rounds: float  # of the watches of all its sites
    read_units: float
    write_units: float
    name_calls: float  # listings of its records at the DNS service
    balancer_calls: float  # for the health of its balancer's servers
    ecs_calls: float  # for the addresses of its masters


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCost:
    """A month. The watches of a site look after every pair of that site, so that only the first one is charged."""

    pair: str
    watches: tuple[SiteName, ...]  # the sites whose watches are charged to this pair
    functions: float
    store: float
    usage: Usage

    @property
    def total(self) -> float:
        return self.functions + self.store


def pair_costs(pairs: Sequence[Pair], prices: Prices) -> tuple[PairCost, ...]:
    charged: set[SiteName] = set()
    found = []
    for pair in pairs:
        mine = tuple(member.site for member in pair.members if member.site not in charged)
        charged.update(mine)
        used = usage(pair)
        found.append(
            PairCost(
                pair=pair.name,
                watches=mine,
                functions=len(mine) * watch_cost(prices),
                store=store_cost(used, prices),
                usage=used,
            )
        )
    return tuple(found)


def watch_cost(prices: Prices) -> float:
    """Of the watch of one site, a month. Source of the arithmetic: Function Compute, billing by CU, as in `cost`."""
    ticks = MONTH / TICK
    seconds = ticks * (LOOKS_FOR / SECOND)
    units = (
        ticks / 10_000 * prices.of("function_units_per_10000_invocations")
        + seconds * FUNCTION_CPU * prices.of("function_units_per_cpu_second")
        + seconds * FUNCTION_GB * prices.of("function_units_per_gb_second")
    )
    return units * prices.of("function_unit")


def store_cost(used: Usage, prices: Prices) -> float:
    seconds = MONTH / SECOND
    reads, writes = prices.of("store_10000_read_units"), prices.of("store_10000_write_units")
    return seconds * (used.read_units * reads + used.write_units * writes) / 10_000


def usage(pair: Pair) -> Usage:
    """A write under a condition costs a read unit beside its write unit. Source: Tablestore, billing, read 2026-03."""
    sites = len(pair.members)
    ticks = sites * (SECOND / TICK)
    rounds = ticks * (LOOKS_FOR / pair.watch_every)
    renewals = SECOND / pair.renew_every if pair.agents else 0.0
    beats = sites * (SECOND / BEAT_EVERY) if pair.agents else 0.0
    watch_reads = rounds + READS_OF_CALM * rounds / CALM_EVERY + READS_OF_TICK * ticks
    agent_reads = renewals * (sites - 1) + beats  # the standbys look at the lease; all look who is there
    conditional = renewals + ticks
    return Usage(
        rounds=rounds,
        read_units=watch_reads + agent_reads + conditional,
        write_units=conditional + beats,
        balancer_calls=rounds / CALM_EVERY if pair.balancer else 0.0,
        ecs_calls=ticks,
        name_calls=ticks * (LOOKS_FOR / max(pair.name_every, pair.watch_every)) * len(pair.names),
    )
