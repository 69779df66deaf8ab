"""How a load balancer refuses a change while another one is under way: by what is to be changed.

Source: SLB API 2014-05-15, common error codes (documentation 2021). Assumption: which of them goes with which change.
"""

from typing import Final

Busy = tuple[str, int]  # code, HTTP status

SERVING: Final[Busy] = ("SystemBusy", 449)  # the balancer as a whole
LISTENING: Final[Busy] = ("ServiceIsConfiguring", 400)
POOLING: Final[Busy] = ("BackendServer.configuring", 409)
GROUPING: Final[Busy] = ("VServerGroupProcessing", 400)
STOPPING: Final[Busy] = ("ServiceIsStopping", 409)  # whatever is asked while something stops
