"""The demo's report: one JSON file for machines, one self-contained page for people."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from understudy.demo.promises import Promise

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --soft: #5c6b7a; --line: #d9e0e7; --paper: #fff;
  --good: #14804a; --bad: #c0262d; --accent: #0b6bcb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #93a1b0; --line: #2d3742;
  --paper: #12171d; --good: #3fb37f; --bad: #ff6b70; --accent: #58a6ff; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 1.9rem; margin: 0 0 .25rem }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem }
p.lead { color: var(--soft); margin: 0 0 1.5rem }
table { border-collapse: collapse; width: 100%; font-size: .95rem; margin: .75rem 0 1rem }
th { text-align: left; color: var(--soft); font-weight: 600 }
th, td { padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.verdict { font-size: 1.15rem; font-weight: 600 }
.good { color: var(--good) } .bad { color: var(--bad) } .soft { color: var(--soft) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.25rem 0 }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem }
.card b { display: block; font-size: 1.5rem }
td:has(> .bar) { width: 55% }
.wide { overflow-x: auto }
.lines { white-space: pre-line }
td:first-child { white-space: nowrap }
.bar { height: .8rem; background: var(--accent); border-radius: .2rem; min-width: 2px; margin-top: .35rem }
"""


def write(folder: Path, report: Mapping[str, Any], promises: Iterable[Promise]) -> tuple[Path, Path]:
    """Write `demo.json` and `demo.html` below `folder`; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(promises)
    content = {
        **report,
        "promises": [{"text": p.text, "kept": p.kept, "evidence": p.evidence} for p in kept],
        "all_kept": bool(kept) and all(p.kept for p in kept),
    }
    as_json, as_html = folder / "demo.json", folder / "demo.html"
    as_json.write_text(json.dumps(content, indent=2, default=str) + "\n")
    as_html.write_text(page(content))
    return as_json, as_html


def page(report: Mapping[str, Any]) -> str:
    """The report as one page; pure, everything escaped."""
    good = bool(report["all_kept"])
    verdict = "Every promise was kept." if good else "At least one promise was broken."
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>Understudy: the demo's report</title><style>{_STYLE}</style>",
        "<h1>Understudy</h1><p class='lead'>A week of backups, an instance rebuilt, a disk rolled back, an IDC "
        "lost: on the official SDKs against a local cloud.</p>",
        f"<p class='verdict {'good' if good else 'bad'}'>{verdict}</p>",
        _cards(report),
        _act1(report.get("act1")),
        _act2(report.get("act2")),
        _ways_back(report.get("ways_back")),
        _act3(report.get("act3")),
        "<h2>Promises and their evidence</h2>",
        _table(
            ("", "promise", "evidence"),
            [
                (_mark(p["kept"]), escape(p["text"]), f"<span class='soft lines'>{escape(p['evidence'])}</span>")
                for p in report["promises"]
            ],
        ),
        "<p class='soft'>Acts 1 and 2 are measured on the emulated clock, act 3 in real seconds.</p></html>",
    ]
    return "\n".join(part for part in parts if part)


def _mark(kept: bool) -> str:
    return "<span class='good'>kept</span>" if kept else "<span class='bad'>broken</span>"


def _cards(report: Mapping[str, Any]) -> str:
    cards = []
    if act := report.get("act1"):
        cards.append(("slots accounted for", f"{sum(act['slots'].values())} of {act['due']}"))
        if worst := _worst_of_the_strictest(act):
            cards.append(worst)
    if act := report.get("act2"):
        cards.append(("RTO of a rebuild", _clock(act["rto_seconds"])))
    if told := report.get("ways_back"):
        cards.append(("RTO of a rollback", _clock(sum(told["rollback"]["phases_seconds"].values()))))
    if (act := report.get("act3")) and act.get("first_good_seconds") is not None:
        cards.append(("IDC lost, to first good answer", f"{act['first_good_seconds']:.1f} s"))
    return (
        "<div class='cards'>"
        + "".join(f"<div class='card'><b>{escape(v)}</b>{escape(k)}</div>" for k, v in cards)
        + "</div>"
    )


def _worst_of_the_strictest(act: Mapping[str, Any]) -> tuple[str, str] | None:
    """The worst RPO among the disks with the strictest target: the others are allowed a whole day."""
    targets = act["rpo_target_seconds"]
    if not targets:
        return None
    strictest = min(targets.values())
    worst = max(act["worst_rpo_seconds"][disk] for disk, target in targets.items() if target == strictest)
    return f"worst RPO of a disk with a target of {_clock(strictest)}, lost triggers included", _clock(worst)


def _act1(act: Mapping[str, Any] | None) -> str:
    if not act:
        return ""
    rows = [(escape(state), str(number)) for state, number in act["slots"].items()]
    rpo = [
        (escape(disk), _clock(seconds), _clock(act["rpo_target_seconds"][disk]))
        for disk, seconds in act["worst_rpo_seconds"].items()
    ]
    return (
        f"<h2>Act 1: {act['hours']} hours of schedules</h2>"
        f"<p>{act['snapshots']} snapshots in the cloud; {act['pruned_points']} restore points let go by "
        f"{act['certificates']} certified prunes.</p>"
        + _table(("slots", "number"), rows, figures=1)
        + _table(("disk", "worst RPO, lost triggers included", "target"), rpo, figures=1)
    )


def _act2(act: Mapping[str, Any] | None) -> str:
    if not act:
        return ""
    rows = [*act["phases_seconds"].items(), ("total", sum(act["phases_seconds"].values()))]
    return (
        f"<h2>Act 2: {escape(act['lost'])} rebuilt</h2><p>Replaced by {escape(act['replacement'])}; data as of "
        f"{_clock(act['rpo_seconds'])} before the failure.</p>" + _bars(rows)
    )


def _ways_back(told: Mapping[str, Any] | None) -> str:
    if not told:
        return ""
    parts = [
        (f"{told['rollback']['instance']} rolled back", told["rollback"]["phases_seconds"]),
        ("and that undone", told["rollback"]["undo_phases_seconds"]),
        (f"{len(told['launch']['instances'])} instances made of {told['launch']['image']}",
         told["launch"]["phases_seconds"]),
    ]  # fmt: skip
    return "".join(
        f"<h2>Meanwhile: {escape(title)}</h2>" + _bars([*phases.items(), ("total", sum(phases.values()))])
        for title, phases in parts
    )


def _act3(act: Mapping[str, Any] | None) -> str:
    if not act:
        return ""
    gaps = [
        (
            escape(g["kind"]),
            *(_seconds(g[when]) for when in ("cached", "last_served", "first_served_again")),
            str(g["lost"]),
        )
        for g in act["gaps"]
    ]
    told = [(f"{seconds:.1f} s", escape(sentence)) for seconds, sentence in act["decisions"]]
    return (
        f"<h2>Act 3: {escape(act['words'])}</h2><p>Epoch {act['epoch_before']} to {act['epoch_after']}; "
        f"{act['accepted']} accepted commands checked for overlap.</p>"
        + _bars(list(act["phases"].items()))
        + _table(("after the loss", "what was decided, and why"), told)
        + "<p class='soft'>As clients felt it, in seconds from the loss:</p>"
        + _table(("client", "address cached for", "last served", "served again", "requests lost"), gaps, figures=1)
    )


def _bars(rows: list[tuple[str, float]]) -> str:
    longest = max((seconds for _, seconds in rows), default=0) or 1
    body = [
        (escape(name), f"<div class='bar' style='width:{100 * seconds / longest:.1f}%'></div>", f"{seconds:,.2f} s")
        for name, seconds in rows
    ]
    return _table(("phase", "", "duration"), body, figures=2)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, figures: int = 99) -> str:
    """Cells are HTML already; from column `figures` on they are right-aligned."""

    def cell(tag: str, number: int, text: str) -> str:
        return f"<{tag} class='n'>{text}</{tag}>" if number >= figures else f"<{tag}>{text}</{tag}>"

    lines = ["<tr>" + "".join(cell("th", n, escape(text)) for n, text in enumerate(head)) + "</tr>"]
    lines += ["<tr>" + "".join(cell("td", n, text) for n, text in enumerate(row)) + "</tr>" for row in rows]
    return "<div class='wide'><table>" + "".join(lines) + "</table></div>"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{round(value, 1) + 0.0:.1f}"  # never "-0.0"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
