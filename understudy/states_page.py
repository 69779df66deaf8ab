"""Write docs/failover-states.md from the table. `python -m understudy.states_page [PATH]`"""

import sys
from pathlib import Path

from shared.domain.failover_fsm import page


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/failover-states.md")
    path.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{path}: written\n")


if __name__ == "__main__":
    main()
