"""Proves from the masters' own accept logs that never two were active. `python -m understudy.checker LOG...`

It shares no code with agent, watch or lease: it reads lines and compares numbers. What it proves:

1. every accepted command names a site, an instance and an epoch, and no epoch was ever used by two sites, nor by two
   instances of one site;
2. on the logs' common clock the epochs' intervals (first to last accepted command) follow each other in epoch order
   without touching: no command was accepted under an epoch after one had been accepted under a later epoch.

`at` must come from one clock. Masters on one machine share it (boottime). For logs of different machines pass
`--shift instance=seconds` for each, as measured by somebody else; nothing here guesses.
`recorded` lines without an outcome (their process ended there) are no acceptance: nobody was told; they are counted.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OUTCOMES = ("accepted", "refused", "withdrawn", "recorded")


class Unreadable(Exception):
    """A log that cannot be read proves nothing; the message names file, line and what is wrong."""


@dataclass(frozen=True)
class Line:
    where: str
    outcome: str
    id: str
    site: str
    instance: str
    epoch: int
    at: float


@dataclass
class Reign:
    """One epoch, as its accepted commands show it."""

    epoch: int
    site: str
    instance: str
    first: Line
    last: Line
    accepted: int = 1

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: {self.site} ({self.instance}) accepted {self.accepted} commands "
            f"from {self.first.at:.3f} to {self.last.at:.3f} s"
        )


@dataclass
class Proof:
    reigns: list[Reign] = field(default_factory=list)  # in epoch order
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.violations

    @property
    def accepted(self) -> int:
        return self.counts.get("accepted", 0)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the last command of an epoch and the first of the next."""
        return [after.first.at - before.last.at for before, after in zip(self.reigns, self.reigns[1:], strict=False)]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts.get(name, 0)} {name}" for name in OUTCOMES)
        head = (
            f"proved: never two active, from {self.accepted} accepted commands of {len(self.reigns)} epochs ({counts})"
            if self.holds
            else f"BROKEN: two were active ({counts})"
        )
        return "\n".join([head, *(f"  {reign}" for reign in self.reigns), *(f"  ! {text}" for text in self.violations)])


def read(path: Path, shifts: Mapping[str, float] | None = None) -> list[Line]:
    """Raises Unreadable. A last line without a newline was cut off by the end of its process and is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from error
    lines = []
    for number, raw in enumerate(text.split("\n")[:-1], start=1):
        where = f"{path.name}:{number}"
        try:
            body = json.loads(raw)
            instance = str(body.get("instance") or "")
            shift = (shifts or {}).get(instance, 0.0)
            line = Line(
                where,
                body["outcome"],
                str(body["id"]),
                str(body["site"]),
                instance,
                int(body["epoch"]),
                float(body["at"]) + shift,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"{where}: not a line of an accept log ({error!r})") from error
        if line.outcome not in OUTCOMES:
            raise Unreadable(f"{where}: unknown outcome {line.outcome!r}; there are {', '.join(OUTCOMES)}")
        lines.append(line)
    return lines


def prove(lines: Iterable[Line]) -> Proof:
    proof = Proof()
    reigns: dict[int, Reign] = {}
    told: set[str] = set()
    accepted = []
    for line in lines:
        proof.counts[line.outcome] = proof.counts.get(line.outcome, 0) + 1
        if line.outcome == "accepted":
            accepted.append(line)
    for line in sorted(accepted, key=lambda line: line.at):
        if line.epoch < 1 or not line.site or not line.instance:
            proof.violations.append(
                f"{line.where}: command {line.id} was accepted without a site or an epoch, or by an unnamed instance"
            )
            continue
        reign = reigns.get(line.epoch)
        if reign is None:
            reigns[line.epoch] = Reign(line.epoch, line.site, line.instance, line, line)
            continue
        if (reign.site, reign.instance) != (line.site, line.instance):
            two = f"sites: {reign.site} and {line.site}"
            if reign.site == line.site:
                two = f"instances of {line.site}: {reign.instance} and {line.instance}"
            text = f"epoch {line.epoch} was used by two {two}"
            if text not in told:
                told.add(text)
                proof.violations.append(f"{text} ({reign.first.where}, {line.where})")
            continue
        reign.last, reign.accepted = line, reign.accepted + 1
    proof.reigns = [reigns[epoch] for epoch in sorted(reigns)]
    latest: Reign | None = None  # of all earlier epochs, the one that ends last
    for reign in proof.reigns:
        if latest is not None and latest.last.at >= reign.first.at:
            proof.violations.append(
                f"{latest.site} accepted {latest.last.id} under epoch {latest.epoch} at {latest.last.at:.6f} s "
                f"({latest.last.where}), though {reign.site} had accepted {reign.first.id} under epoch {reign.epoch} "
                f"at {reign.first.at:.6f} s ({reign.first.where})"
            )
        if latest is None or reign.last.at > latest.last.at:
            latest = reign
    return proof


def check(paths: Sequence[Path], *, shifts: Mapping[str, float] | None = None) -> Proof:
    """Read all logs and prove. No accepted command at all is not a proof: that is a violation too."""
    proof = prove(line for path in paths for line in read(path, shifts))
    if proof.accepted == 0:
        proof.violations.append("no command was accepted at all: there is nothing to prove from")
    return proof


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="understudy.checker", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    parser.add_argument("--shift", action="append", default=[], metavar="INSTANCE=SECONDS")
    given = parser.parse_args(arguments)
    try:
        shifts = {name: float(seconds) for name, _, seconds in (text.partition("=") for text in given.shift)}
        proof = check(given.logs, shifts=shifts)
    except (Unreadable, ValueError) as error:
        sys.stderr.write(f"cannot check: {error}\n")
        return 2
    sys.stdout.write(f"{proof}\n")
    return 0 if proof.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
