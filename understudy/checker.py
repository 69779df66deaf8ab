"""Proves that never two sites were active. `understudy prove LOG... [--decisions FILE] [--trail FILE]`, or
`python -m understudy.checker`.

It shares no code with agent, watch or lease: it reads lines and compares numbers. From the masters' own accept logs:

1. every accepted command names a site, an instance and an epoch, and no epoch was ever used by two sites, nor by two
   instances of one site;
2. on the logs' common clock the epochs' intervals (first to last accepted command) follow each other in epoch order
   without touching: no command was accepted under an epoch after one had been accepted under a later epoch.

With the recorded decisions and the cloud's trail of the names (`checker_exports` says how they are written):

3. each epoch under which something was accepted had been granted, by a recorded decision, to that site and no other;
4. each change of a name in the trail has a decision with that value, and none is of an epoch lower than one before it;
5. nothing was accepted under an epoch after a name had been moved under a later one;
6. a change of a name that follows from no decision is told as a foreign change. It is no proof that two were active.

`at` must come from one clock. Masters on one machine share it (boottime; `boot` says which). For logs of different
machines, and for lines without `boot`, pass `--shift instance=seconds` for each, as measured by somebody else, or
`--clock wall`: then what is closer than `--skew` is not decided. Orders between sources (logs, decisions, trail) are
claimed only beyond `--skew`, and none with moments that are impossible by more than a day: those clocks disagree.
`recorded` lines without an outcome (their process ended there) are no acceptance: nobody was told; they are counted.

Ends with 0: proved. 1: broken. 2: a file cannot be read. 3: not proved: something is missing, or too close to tell.
4: proved, and somebody else changed a name.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from understudy import checker_cross as cross
from understudy.checker_exports import Change, Decided, Export, Unreadable, decisions_in, moment, trail_in

__all__ = ["Line", "Proof", "Unreadable", "check", "main", "prove", "read"]

PROVED: Final = 0
BROKEN: Final = 1
UNREADABLE: Final = 2
UNPROVED: Final = 3
FOREIGN: Final = 4
SKEW: Final = 2.0
"""Seconds by which the wall clocks of masters, functions and cloud are taken to differ at most."""
OUTCOMES = ("accepted", "refused", "withdrawn", "recorded")


@dataclass(frozen=True)
class Line:
    where: str
    outcome: str
    id: str
    site: str
    instance: str
    epoch: int
    at: float
    wall: float | None = None  # seconds since 1970, where the log carries it
    boot: str = ""  # of the machine, where the log carries it: `at` of two boots are no common clock


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
    unproved: list[str] = field(default_factory=list)  # why nothing can be said
    foreign: list[str] = field(default_factory=list)  # changes of a name that are nobody's decision
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Nothing that was looked at is broken."""
        return not self.violations

    @property
    def code(self) -> int:
        if self.violations:
            return BROKEN
        if self.unproved:
            return UNPROVED
        return FOREIGN if self.foreign else PROVED

    def add(self, more: cross.Findings) -> None:
        self.violations += more.violations
        self.unproved += more.unproved
        self.foreign += more.foreign
        self.notes += more.notes

    @property
    def accepted(self) -> int:
        return self.counts.get("accepted", 0)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the last command of an epoch and the first of the next."""
        return [after.first.at - before.last.at for before, after in zip(self.reigns, self.reigns[1:], strict=False)]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts.get(name, 0)} {name}" for name in OUTCOMES)
        what = f"{self.accepted} accepted commands of {len(self.reigns)} epochs ({counts})"
        head = {
            BROKEN: f"BROKEN: what keeps two from being active was broken ({counts})",
            UNPROVED: f"NOT PROVED: nothing is broken in {what}, and something is missing",
        }.get(self.code, f"proved: never two active, from {what}")
        marked = (("!", self.violations), ("?", self.unproved), ("foreign:", self.foreign), ("-", self.notes))
        return "\n".join(
            [
                head,
                *(f"  {reign}" for reign in self.reigns),
                *(f"  {mark} {text}" for mark, texts in marked for text in texts),
            ]
        )


def read(path: Path, shifts: Mapping[str, float] | None = None, *, clock: str = "at") -> list[Line]:
    """`clock`: `at`, or `wall` to take that instead. Raises Unreadable.

    A last line without a newline was cut off by the end of its process and is left out."""
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
            wall = moment(body["wall"]) if "wall" in body else None
            if clock == "wall" and wall is None:
                raise Unreadable(f"{where}: it carries no wall clock; take --clock at")
            line = Line(
                where,
                body["outcome"],
                str(body["id"]),
                str(body["site"]),
                instance,
                _whole(body["epoch"]),
                _finite((wall if clock == "wall" and wall is not None else float(body["at"])) + shift),
                wall + shift if clock == "wall" and wall is not None else wall,
                str(body.get("boot") or ""),
            )
        except Unreadable:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise Unreadable(f"{where}: not a line of an accept log ({error!r})") from error
        if line.outcome not in OUTCOMES:
            raise Unreadable(f"{where}: unknown outcome {line.outcome!r}; there are {', '.join(OUTCOMES)}")
        lines.append(line)
    return lines


def _finite(number: float) -> float:
    """What is no number compares with nothing, and would look as if nothing contradicted it. Raises ValueError."""
    if not math.isfinite(number):
        raise ValueError(f"{number} is no moment")
    return number


def _whole(epoch: object) -> int:
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise ValueError(f"epoch {epoch!r} is no whole number")
    return epoch


def prove(lines: Iterable[Line], *, skew: float = 0.0, apart: bool = False) -> Proof:
    """From accept logs alone. `skew`: what `at` of two lines may be wrong by. `apart`: they are of several boots, and
    their `at` is compared with nothing."""
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
        if not apart and latest is not None and latest.last.at >= reign.first.at - skew:
            broken = not skew or latest.last.at > reign.first.at + skew
            (proof.violations if broken else proof.unproved).append(
                f"{latest.site} accepted {latest.last.id} under epoch {latest.epoch} at {latest.last.at:.6f} s "
                f"({latest.last.where}), though {reign.site} had accepted {reign.first.id} under epoch {reign.epoch} "
                f"at {reign.first.at:.6f} s ({reign.first.where})"
                + ("" if broken else f": closer than the {skew:g} s by which the clocks may differ")
            )
        if latest is None or reign.last.at > latest.last.at:
            latest = reign
    return proof


def check(
    paths: Sequence[Path],
    *,
    shifts: Mapping[str, float] | None = None,
    clock: str = "at",
    skew: float = SKEW,
    wall_shift: float = 0.0,
    agents_shift: float | None = None,
    decisions: Path | None = None,
    trail: Path | None = None,
) -> Proof:
    """Read all and prove. Raises Unreadable.

    `wall_shift`: seconds by which the wall clocks of all masters' machines are behind those of functions and cloud, as
    beside a local cloud that has a calendar of its own. `agents_shift`: the same of their agents' decisions, where that
    is another (UNDERSTUDY_CLOCK gives an agent the cloud's calendar); None: as the masters'."""
    if not math.isfinite(wall_shift + (agents_shift or 0.0)) or not 0 <= skew < math.inf:
        raise Unreadable(f"skew {skew:g} and wall shift {wall_shift:g} are to be seconds, and the skew not below 0")
    lines = [line for path in paths for line in read(path, shifts, clock=clock)]
    strange = sorted(set(shifts or {}) - {line.instance for line in lines})
    if strange:
        raise Unreadable(f"no log has a line of {', '.join(strange)}, whose clock is to be shifted")
    lines = [line if line.wall is None else replace(line, wall=line.wall + wall_shift) for line in lines]
    accepted = [line for line in lines if line.outcome == "accepted" and line.epoch > 0 and line.site]
    boots = {line.boot for line in accepted if line.boot and line.instance not in (shifts or {})}
    own = {(line.instance, line.boot) for line in accepted if line.boot and line.instance in (shifts or {})}
    again = len(own) - len({instance for instance, _ in own})  # a shift is true of one boot alone
    unmarked = sorted({line.instance for line in accepted if not line.boot and line.instance not in (shifts or {})})
    alone = len({line.instance for line in accepted}) < 2
    unknown = clock == "at" and bool(unmarked) and not alone
    apart = clock == "at" and (len(boots) > 1 or again > 0 or unknown)
    proof = prove(lines, skew=skew if clock == "wall" else 0.0, apart=apart)
    if proof.accepted == 0:
        proof.unproved.append("no command was accepted at all: there is nothing to prove from")
    if unknown:
        proof.unproved.append(
            f"the lines of {', '.join(unmarked)} name no boot: whether all clocks are one machine's is not known; "
            "take --clock wall, or --shift INSTANCE=SECONDS for each, 0 where they are"
        )
    if apart and len(boots) + again > 1:
        proof.unproved.append(
            f"the logs were written under {len(boots | {boot for _, boot in own})} boots of machines, whose clocks "
            "have nothing in common: take --clock wall, or --shift INSTANCE=SECONDS for each that did not start again"
        )
    behind = wall_shift if agents_shift is None else agents_shift
    known = None if decisions is None else _on_one_clock(decisions_in(decisions), behind)
    if known is not None:
        others, disagree = cross.of_another_calendar(accepted, known)
        proof.unproved += disagree
        accepted = [replace(one, wall=None) if at in others else one for at, one in enumerate(accepted)]
        proof.add(cross.granted(accepted, known, skew=skew))
        proof.add(cross.absent({line.site for line in lines}, known))
    if trail is not None:
        _moved(proof, accepted, known, trail_in(trail), skew=skew)
    return proof


def _on_one_clock(export: Export[Decided], shift: float) -> Export[Decided]:
    def shifted(one: Decided) -> Decided:
        began = None if one.began is None else one.began + shift
        return replace(one, at=one.at + shift, began=began) if one.by_agent else one

    return replace(export, lines=tuple(sorted(map(shifted, export.lines), key=lambda one: one.at)))


def _moved(
    proof: Proof, accepted: Sequence[Line], known: Export[Decided] | None, trail: Export[Change], *, skew: float
) -> None:
    if known is None:
        raise Unreadable("a trail is compared with decisions: give --decisions too")
    if known.of != trail.of:
        raise Unreadable(f"the decisions are of {known.of}, and the trail of {trail.of}")
    proof.add(cross.named(known, trail, skew=skew))
    proof.add(cross.silenced(accepted, known, trail, skew=skew))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="understudy prove", description="Prove that never two sites were active.")
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="accept logs of all masters, lost ones too")
    parser.add_argument("--decisions", type=Path, metavar="FILE", help="of `understudy explain PAIR --json`")
    parser.add_argument("--trail", type=Path, metavar="FILE", help="of `understudy name trail PAIR`")
    parser.add_argument("--shift", action="append", default=[], metavar="INSTANCE=SECONDS")
    parser.add_argument("--clock", choices=("at", "wall"), default="at", help="by which the logs are compared")
    parser.add_argument("--skew", type=float, default=SKEW, metavar="SECONDS", help="by which wall clocks may differ")
    parser.add_argument(
        "--wall-shift", type=float, default=0.0, metavar="SECONDS", help="that all masters' wall clocks are behind"
    )
    parser.add_argument(
        "--agents-shift", type=float, metavar="SECONDS", help="that their agents' are behind, if not by as much"
    )
    given = parser.parse_args(arguments)
    try:
        shifts = {name: float(seconds) for name, _, seconds in (text.partition("=") for text in given.shift)}
        proof = check(
            given.logs,
            shifts=shifts,
            clock=given.clock,
            skew=given.skew,
            wall_shift=given.wall_shift,
            agents_shift=given.agents_shift,
            decisions=given.decisions,
            trail=given.trail,
        )
    except (Unreadable, ValueError) as error:
        sys.stderr.write(f"cannot check: {error}\n")
        return UNREADABLE
    sys.stdout.write(f"{proof}\n")
    return proof.code


if __name__ == "__main__":
    raise SystemExit(main())
