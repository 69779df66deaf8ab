"""`python -m bench [NAME...] [--json FILE]`: run the named benches, or all of them, and print one line per measure.

`python -m bench failover ...`, `backup ...`, `recovery ...` and `watch-cost ...` stand apart: see bench/failover.py,
backup.py, recovery and watch_cost.py.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

APART = ("failover", "backup", "recovery", "watch-cost")
BENCHES = ("store", "retention", "persistence")


def main() -> int:
    if sys.argv[1:2] and sys.argv[1] in APART:
        return int(importlib.import_module(f"bench.{sys.argv[1].replace('-', '_')}").main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHES)}")
    parser.add_argument("--json", type=Path, help="also write the measures to this file")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHES))
    if unknown:
        parser.error(f"unknown bench {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    measures = []
    for name in options.names or BENCHES:
        for measure in importlib.import_module(f"bench.{name}").run():
            print(measure.line(), flush=True)
            measures.append(measure)
    if options.json is not None:
        options.json.write_text(json.dumps([m.record() for m in measures], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
