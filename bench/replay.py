"""Each decision of many drawn bad days, made again from what was recorded of it.

    python -m bench.replay [--seeds 2000] [--first 0]
    python -m bench.replay --seeds 400 --record tests/simulation/recorded_decisions.jsonl

Exits 1 when one comes out otherwise than it was recorded. `--record` keeps one of each kind, for the test that notices
a changed rule under an unchanged `CODE`.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from shared.domain.decision import Decision
from shared.domain.failover_decision import decide
from shared.domain.failover_situation import Situation
from shared.state import codec
from shared.usecases.failover.replay import SITUATION, Again, replay_all
from tests.simulation.seeds import lived


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.replay", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--record", type=Path, help="write one decision of each kind to this file")
    options = parser.parse_args()
    kinds: dict[str, Decision] = {}
    counted: Counter[Again] = Counter()
    events: Counter[str] = Counter()
    sizes: list[int] = []
    for seed in range(options.first, options.first + options.seeds):
        made, again = replay_all(lived(seed, keep_decisions=True).recorded)
        counted += again
        for one in made:
            events[one.decision.event] += 1
            if SITUATION in one.decision.inputs:
                sizes.append(len(one.decision.inputs[SITUATION].encode()))
                kinds.setdefault(_kind(one.decision), one.decision)
            if one.again in (Again.DIFFERS, Again.OLDER):
                print(f"seed {seed}, {one.decision.event} at {one.decision.at.isoformat()}: {one.again}: {one.says}")
    print(f"{options.seeds} seeds:", ", ".join(f"{number} {again}" for again, number in counted.items()))
    if sizes:
        sizes.sort()
        print(f"situations: {sizes[len(sizes) // 2]} bytes in the middle, {sizes[-1]} at most")
    print("\n".join(f"{number:7} {event}" for event, number in events.most_common()))
    if options.record is not None:
        options.record.write_text("".join(f"{codec.dump(kinds[kind])}\n" for kind in sorted(kinds)))
        print(f"{len(kinds)} kinds in {options.record}")
    return 1 if counted[Again.DIFFERS] or counted[Again.OLDER] else 0


def _kind(decision: Decision) -> str:
    situation = codec.load(Situation, decision.inputs[SITUATION])
    decided = decide(situation)
    fate = decided.word.fate if decided.word else ""
    return f"{situation.state}/{decided.rule}/{decided.on}/{fate}"


if __name__ == "__main__":
    sys.exit(main())
