"""The status page: a pure function of the view. One self-contained document, no scripts, no external assets.

Every text is escaped: names and reasons come from tags, events and operators.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final

from shared.domain.objectives import Freshness
from shared.observability.view import DiskView, PairView, StatusView, Tone

DISKS_SHOWN: Final = 100
"""Rows of the page; the JSON answer has every disk of the view."""
_TONES: Final = {
    Freshness.FRESH: "good",
    Freshness.STALE: "warn",
    Freshness.CRITICAL: "bad",
    Freshness.NONE: "bad",
    Freshness.UNJUDGED: "soft",
}

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#dde2e8;--card:#fff;--back:#f4f6f8;
--good:#1a7f4b;--warn:#b26a00;--bad:#c0362c;--tint:#eef3f8}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2c3542;--card:#171d26;--back:#0f141b;
--good:#4ac287;--warn:#e0a03c;--bad:#ef6a60;--tint:#1d2530}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
header{display:flex;flex-wrap:wrap;gap:4px 20px;align-items:baseline;margin-bottom:20px}
h1{font-size:24px;margin:0;letter-spacing:-.01em}h2{font-size:16px;margin:0 0 12px}
.soft{color:var(--soft)}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:16px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:14px 16px}.tile b{display:block;font-size:26px;line-height:1.2;font-variant-numeric:tabular-nums}
section{padding:16px 18px;margin-bottom:16px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--soft);font-size:13px;text-align:left;padding:4px 12px 6px 0;
border-bottom:1px solid var(--line)}
td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.n{text-align:right}td>.soft{display:inline-block;min-width:340px}.t{white-space:nowrap}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.note{border-left:4px solid var(--warn);background:var(--tint);padding:8px 12px;border-radius:4px;margin-bottom:12px}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
"""


def render(view: StatusView) -> str:
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1"><meta http-equiv=refresh content=30>',
        f"<title>Understudy</title><style>{_STYLE}</style></head><body><main>",
        _header(view),
        *(f"<div class=note>{escape(note)}</div>" for note in _notes(view)),
        _tiles(view),
        *(_pair(pair) for pair in view.pairs),
        _protections(view),
        _roles(view),
        _disks(view),
        _slots(view),
        _skips(view),
        _copies(view),
        _operations(view),
        _addresses(view),
        _prune(view),
        "</main></body></html>",
    ]
    return "".join(parts)


def _header(view: StatusView) -> str:
    policy = "no policy applied" if view.policy is None else f"policy {view.policy}"
    return f"<header><h1>Understudy</h1><span class=soft>{policy} &middot; {_moment(view.at)}</span></header>"


def _notes(view: StatusView) -> tuple[str, ...]:
    paused = tuple(map(str, view.pauses))
    return paused + view.notes + left_out(view)


def _tiles(view: StatusView) -> str:
    breached = sum(1 for disk in view.disks if disk.breached)
    ages = [disk.rpo_now for disk in view.disks if disk.rpo_now is not None]
    skipped = sum(slots.skipped for slots in view.slots)
    waiting = sum(copies.waiting for copies in view.copies)
    overdue = sum(copies.overdue for copies in view.copies)
    tiles = [
        *_pair_tile(view.pairs),
        ("disks protected" if not view.following else "disks on this page", f"{len(view.disks):,}", ""),
        ("beyond their RPO target", str(breached), "bad" if breached else "good"),
        ("oldest newest point", _duration(max(ages)) if ages else "none", ""),
        ("slots skipped in 7 days", str(skipped), "warn" if skipped else "good"),
        ("operations under way", str(len(view.operations)), ""),
    ]
    if waiting:
        tiles.append(("copies awaited, overdue", f"{waiting} / {overdue}", "bad" if overdue else "good"))
    if view.unprotected is not None:
        tiles.append(("instances nobody protects", str(view.unprotected), "warn" if view.unprotected else "good"))
    cells = (
        f"<div class=tile><b class='{tone}'>{value}</b><span class=soft>{label}</span></div>"
        for label, value, tone in tiles
    )
    return f"<div class=tiles>{''.join(cells)}</div>"


def _pair_tile(pairs: Sequence[PairView]) -> tuple[tuple[str, str, str], ...]:
    """First on the page: at night a pair that needs somebody must not stand behind the disks."""
    tones = [pair.tone for pair in pairs]
    unwell = sum(tone is not Tone.GOOD for tone in tones)
    worst = Tone.BAD if Tone.BAD in tones else Tone.WARN if unwell else Tone.GOOD
    label = "of 1 pair needs a look" if len(pairs) == 1 else f"of {len(pairs)} pairs need a look"
    return ((label, str(unwell), worst),) if pairs else ()


def _pair(pair: PairView) -> str:
    owner = escape(pair.lease_owner or "nobody")
    epoch = "" if pair.epoch is None else f", epoch {pair.epoch}"
    state = f"<b class={pair.tone}>{escape(pair.failover)}</b>"
    rows: list[Sequence[str]] = [
        ("Lease", f"{owner} ({escape(pair.lease_state)}{epoch})"),
        ("Failover", f"{state} since {_moment(pair.since)}: {escape(pair.because)}"),
        *(("Warning", f"<span class=warn>{escape(one)}</span>") for one in pair.warnings),
        ("Preferred", escape(pair.preferred)),
        *(("Agent", f"<span class={'warn' if one.doubted else ''}>{escape(str(one))}</span>") for one in pair.agents),
        *(
            ("Watch", f"<span class={'good' if one.running else 'bad'}>{escape(str(one))}</span>")
            for one in pair.watches
        ),
        *(("Name", f"<span class=warn>{escape(one)}</span>") for one in pair.names),
    ]
    return f"<section><h2>Pair {escape(pair.pair)} <code>{escape(pair.name)}</code></h2>{_table((), rows)}</section>"


def left_out(view: StatusView) -> tuple[str, ...]:
    """What this view does not tell, in words."""
    if view.following:
        said = f"This is a part of a larger fleet: instances {f'behind {view.after} ' if view.after else ''}up to "
        return (f"{said}{view.following}. The next part: ?after={view.following}",)
    return (f"This is a part of a larger fleet: the instances behind {view.after}, to the end",) if view.after else ()


def _addresses(view: StatusView) -> str:
    """Private addresses that rebuilds could not keep, old -> new."""
    rows = [
        (
            _moment(one.at),
            escape(one.instance),
            f"<code>{escape(one.before)}</code> &rarr; <code>{escape(one.now)}</code>",
            escape(one.replacement),
        )
        for one in view.addresses
    ]
    if not rows:
        return ""
    head = ("Since", "Instance", "Private address", "Replaced by")
    return f"<section><h2>Changed addresses</h2>{_table(head, rows)}</section>"


def _roles(view: StatusView) -> str:
    """Whether each role could be rebuilt now."""
    rows = []
    for role in view.roles:
        state, tone = ("not judged yet", "warn") if role.judged is None else ("not ready", "bad")
        if role.ready:
            state, tone = ("ready, but", "warn") if role.lacks else ("ready", "good")
        rows.append(
            (
                escape(role.family),
                _whole(state, tone),
                f"<code>{escape(role.image)}</code>" if role.image else "none",
                str(role.version or "-"),
                _moment(role.made) if role.made else "-",
                escape(", ".join(role.regions)),
                f"<span class=soft>{escape('; '.join(role.lacks))}</span>",
            )
        )
    if not rows:
        return ""
    head = ("Role", "State", "Newest usable image", "Version", "Made", "Stands in", "Lacks")
    return f"<section><h2>Images</h2>{_table(head, rows)}</section>"


def _protections(view: StatusView) -> str:
    """Of each protection first, what its disks show in detail below."""
    rows = []
    for bound in view.bounds:
        disks = [disk for disk in view.disks if bound.protection in disk.protections]
        ages = [disk.rpo_now for disk in disks if disk.rpo_now is not None]
        worst = [disk.rpo_worst for disk in disks if disk.rpo_worst is not None]
        tone = "good" if bound.at_most is not None and bound.at_most <= bound.target else "bad"
        rows.append(
            (
                escape(bound.protection),
                str(len(disks)),
                _states(disks),
                _whole(_age(max(ages, default=None))),
                _whole(_age(max(worst, default=None))),
                _whole("no bound" if bound.at_most is None else _duration(bound.at_most), tone),
                _whole(_duration(bound.target)),
                f"<span class=soft>{escape(bound.because)}</span>",
            )
        )
    head = ("Protection", "Disks", "State", "RPO now", "Worst in 7 days", "Bound", "Target", "Because")
    if not rows:
        return ""
    holds = (
        "A bound holds while nothing is paused, no slot is skipped, and no more ticks are lost in a row than it says."
    )
    return f"<section><h2>Protections</h2>{_table(head, rows)}<span class=soft>{holds}</span></section>"


def _states(disks: Sequence[DiskView]) -> str:
    counts = Counter(disk.freshness for disk in disks)
    parts = (_whole(f"{counts[state]} {state}", _TONES[state]) for state in Freshness if counts[state])
    return "<br>".join(parts)


def _disks(view: StatusView) -> str:
    worst = sorted(view.disks, key=_worst_first)
    rows = [
        (
            f"<code>{escape(disk.disk)}</code>",
            escape(disk.instance),
            f"<span class=n>{disk.points}</span>" + (f" + {disk.copies} copies" if disk.copies else ""),
            escape(disk.level),
            _whole(disk.freshness, _TONES[disk.freshness]),
            _whole(_age(disk.rpo_now), _TONES[disk.freshness]),
            _whole(_age(disk.rpo_worst)),
            "" if disk.rpo_bound is None else _whole(_duration(disk.rpo_bound)),
            "" if disk.rpo_target is None else _whole(_duration(disk.rpo_target)),
        )
        for disk in worst[:DISKS_SHOWN]
    ]
    head = (
        "Disk",
        "Instance",
        "Usable points",
        "Newest is",
        "State",
        "RPO now",
        "Worst in 7 days",
        "Bound",
        "Target",
    )
    more = len(worst) - len(rows)
    title = f"Disks, the worst {len(rows)} of {len(worst):,}" if more else "Disks"
    return _section(title, head, rows, "No restore point yet.")


def _slots(view: StatusView) -> str:
    rows = [
        (
            escape(slots.protection),
            escape(slots.schedule),
            str(slots.due),
            f"<span class=good>{slots.taken}</span>",
            _tone(slots.late, "warn"),
            _tone(slots.skipped, "bad"),
            "<br>".join(f"{count} {escape(reason)}" for reason, count in slots.reasons.items()),
        )
        for slots in view.slots
    ]
    head = ("Protection", "Schedule", "Due", "Taken", "Late", "Skipped", "Skipped, by reason")
    return _section("Slots of the last seven days", head, rows)


def _copies(view: StatusView) -> str:
    if not view.copies:
        return ""
    rows = [
        (
            escape(one.protection),
            escape(one.region),
            str(one.waiting),
            _tone(one.overdue, "bad"),
            _moment(one.oldest),
        )
        for one in view.copies
    ]
    return _section("Copies that are awaited", ("Protection", "Region", "Waiting", "Overdue", "Oldest taken"), rows)


def _skips(view: StatusView) -> str:
    if not view.skips:
        return ""
    rows = [(_moment(skip.due), escape(skip.subject), escape(skip.because)) for skip in view.skips]
    return _section("Skipped, because", ("Due", "Subject", "Because"), rows)


def _operations(view: StatusView) -> str:
    rows = [
        (
            f"<code>{escape(operation.id)}</code>",
            _moment(operation.since),
            escape(operation.because),
            "<br>".join(escape(step) for step in operation.steps) or "not begun",
        )
        for operation in view.operations
    ]
    return _section("Operations under way", ("Operation", "Since", "Because", "Steps"), rows, "Nothing is under way.")


def _prune(view: StatusView) -> str:
    if view.prune is None:
        return _section("Last prune", (), [], "No prune had anything to do yet.")
    prune = view.prune
    outcomes = ", ".join(f"{count} {escape(outcome)}" for outcome, count in sorted(prune.outcomes.items()))
    rows: list[Sequence[str]] = [
        ("When", _moment(prune.at)),
        ("State", escape(prune.state)),
        ("Restore points", outcomes or "none"),
        ("Drift", f"{prune.orphans} orphans, {prune.missing} missing"),
        *(("Refused", f"<span class=bad>{escape(reason)}</span>") for reason in prune.refused),
    ]
    return f"<section><h2>Last prune</h2>{_table((), rows)}</section>"


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], empty: str = "None.") -> str:
    body = list(rows)
    inner = _table(head, body) if body else f"<span class=soft>{escape(empty)}</span>"
    return f"<section><h2>{escape(title)}</h2>{inner}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already; heads are text."""
    heads = f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{heads}{body}</table>"


def _whole(text: str, tone: str = "") -> str:
    """On one line."""
    return f"<span class='t {tone}'>{text}</span>" if tone else f"<span class=t>{text}</span>"


def _tone(count: int, tone: str) -> str:
    return f"<span class={tone if count else 'soft'}>{count}</span>"


def _worst_first(disk: DiskView) -> tuple[int, timedelta, str]:
    """No point at all, then how far beyond or within its target."""
    if disk.rpo_now is None:
        return (0, timedelta(), disk.disk)
    return (1 if disk.breached else 2, (disk.rpo_target or timedelta()) - disk.rpo_now, disk.disk)


def _age(age: timedelta | None) -> str:
    return "none" if age is None else _duration(age)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(length: timedelta) -> str:
    seconds = max(0, round(length.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
