"""The commands of a runbook, as an operator would paste them.

A runbook's procedures stand in blocks of this kind, one for each situation that it tells apart:

    ```console situation
    understudy name show PAIR            # what it is for
    ssh MASTER systemctl start understudy-agent
    ```

Words in capitals are to be filled in; PAIR, SITE, ZONE and the like are the same word in every runbook.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
BLOCK = re.compile(r"^ *```console ([a-z0-9-]+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Procedure:
    runbook: str
    situation: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.runbook}: {self.situation}"


def filled(line: str, words: Mapping[str, str]) -> list[str]:
    """A command as the shell would split it, with its words in capitals filled in."""
    return shlex.split(re.sub(r"\b[A-Z][A-Z_]*\b", lambda word: words.get(word[0], word[0]), line), comments=True)


def procedures(runbook: str) -> dict[str, Procedure]:
    text = (RUNBOOKS / f"{runbook}.md").read_text()
    found = {}
    for situation, body in BLOCK.findall(text):
        lines = tuple(line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith("#"))
        found[situation] = Procedure(runbook, situation, lines)
    return found


def every() -> list[Procedure]:
    return [one for path in sorted(RUNBOOKS.glob("*.md")) for one in procedures(path.stem).values()]
