"""How long the agent waits for what. All of it follows from the lease's terms or must fit into them."""

from datetime import timedelta
from typing import Final

from shared.domain.lease import Terms

LONGEST_CALL: Final = timedelta(seconds=1)
SHORTEST_CALL: Final = timedelta(milliseconds=250)
TRY_AGAIN: Final = timedelta(milliseconds=200)
ORDER_PATIENCE: Final = timedelta(seconds=2)  # how long an order waits for the renewing thread


def call_timeout(terms: Terms) -> timedelta:
    """Of one store call. A failed renewal is two of them (it is read back), and two renewals must be able to fail
    before the deadline."""
    return max(SHORTEST_CALL, min(LONGEST_CALL, (terms.lease - terms.margin) / 5))
