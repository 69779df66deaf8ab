"""Whether the witnesses that a pair has can ever be as many as its policy asks for. Voices are those of `detection`."""

from collections.abc import Iterator

from shared.domain.pair import Pair
from shared.domain.policy import Policy


def always(pair: Pair) -> int:
    """How many speak in every usual loss: of the agent or process, of the host, of the zone."""
    return 3 if pair.agents else 2  # store, network, peer; or two of: both watches' network, store


def at_most(pair: Pair) -> int:
    """How many may speak at all: beside those the platform (a host that failed), and the balancer, if there is one."""
    return always(pair) + 1 + (1 if pair.balancer is not None else 0)


def quorum_doubts(policy: Policy) -> Iterator[str]:
    for pair in policy.pairs:
        most = at_most(pair)
        if pair.quorum > most:
            more = "" if pair.balancer is not None else ", or name a balancer"
            yield (
                f"pair {pair.name}: a quorum of {pair.quorum} is never reached: it has {most} independent witnesses of "
                f"a loss, so no loss would ever move it. What fits: quorum: {always(pair)}{more}"
            )


def quorum_notes(policy: Policy) -> Iterator[str]:
    for pair in policy.pairs:
        if always(pair) < pair.quorum <= at_most(pair):
            besides = "the platform or the balancer" if pair.balancer is not None else "the platform"
            yield (
                f"pair {pair.name}: with a quorum of {pair.quorum} a loss moves it only when {besides} sees it too; a "
                f"dead process does not show there, and a dark zone need not. {always(pair)} hold back no usual loss"
            )
