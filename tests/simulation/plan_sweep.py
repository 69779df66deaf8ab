"""Every interruption of a recovery plan that is approved, stops and is resumed: all calls, all troubles.

python -m tests.simulation.plan_sweep
"""

import logging
import sys

from tests.usecases.test_backup_interruptions import answer_lost, died_after, died_before, never_sent
from tests.usecases.test_plan_interruptions import sweep_with_an_operator


def main() -> None:
    logging.getLogger("understudy").setLevel(logging.CRITICAL)
    for trouble in (died_before, died_after, answer_lost, never_sent):
        struck = sweep_with_an_operator(trouble)
        sys.stdout.write(f"{trouble.__name__}: {struck} calls, each struck once, and every run ended as undisturbed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
