"""Whether the side that a pair lost may take over again: pure.

After a take-over by loss the old side was cut off, and has perhaps data that nobody else has, or none of what was
written since. It is protected again once its agent is heard, passive and well, and its data is as close as the policy
asks. Until then nothing moves to it by itself, and an order that does says so by `--force unprotected`.
"""

from shared.domain.detection import Sight
from shared.domain.failover_safety import HEARD_WITHIN
from shared.domain.failover_situation import Agreed, SiteFacts
from shared.domain.ids import SiteName
from shared.domain.pair import UnknownLag


def lacking(site: SiteName, facts: SiteFacts, agreed: Agreed) -> str:
    """Why `site` may not hold the lease again yet; empty when it may. Not looked at is not protected."""
    if facts.sight is not Sight.ANSWERED:
        how = "was not looked at" if facts.sight is None else f"is {facts.sight}"
        return f"the agent of {site} {how}"
    if facts.active and agreed.agents:
        return f"the agent of {site} says that it is active"
    if facts.ready is False:
        return f"the master of {site} is not well"
    lag = facts.lag
    known = lag.behind is not None and (lag.age is None or lag.age <= HEARD_WITHIN)
    if known and lag.behind is not None and lag.behind > agreed.max_lag:
        return f"{site}: {lag}, more than {agreed.max_lag.total_seconds():g} s"
    return "" if known or agreed.unknown_lag is UnknownLag.ACCEPT else f"{site}: its lag is not known"
