"""What is modelled and what is not, made from the code itself: the declarations on each operation, its docstring, and
the official SDK's own list of parameters. Served at `/_emulator/coverage` and kept as `docs/emulator-coverage.md`.
"""

import importlib
import importlib.util
import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from emulator.wire import catalogue
from emulator.wire.call import Operation
from emulator.wire.declare import EVERYWHERE, GATEWAY_CODES, errors_of, parameters_of
from emulator.wire.services import VERSIONS

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.realm import Realm

NAMES: Final = {
    "ecs": "Elastic Compute Service",
    "pvtz": "PrivateZone",
    "slb": "Classic Load Balancer",
    "alidns": "Alidns",
    "vpc": "Virtual Private Cloud and EIP",
    "ess": "Auto Scaling",
    "cms": "CloudMonitor",
    "sts": "Security Token Service",
    "tablestore": "Tablestore",
    "fc": "Function Compute",
}
OTHER_PROTOCOLS: Final = ("tablestore", "fc")
"""Services whose operations are declared in `emulator/<service>/coverage.py: OPERATIONS`, since they are not RPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call. `missing` are parameters that the SDK knows and the emulator refuses; `errors` those it can answer
    with besides the gateway's; `not_modelled` says in words what else differs from the cloud."""

    service: str
    call: str
    does: str
    missing: tuple[str, ...]
    errors: tuple[str, ...]
    not_modelled: tuple[str, ...]


def admin_routes(cloud: "Cloud") -> list[web.RouteDef]:
    """`GET /_emulator/coverage`: the page, or the same as JSON with `?as=json`."""

    async def page(request: web.Request) -> web.Response:
        found = rows(cloud.home)
        if request.query.get("as") == "json":
            return web.json_response(as_data(found))
        return web.Response(text=as_html(found), content_type="text/html")

    return [web.get("/_emulator/coverage", page)]


def rows(realm: "Realm") -> list[Row]:
    """In the order of services, then by name."""
    found = [_rpc(VERSIONS[version], action, operation) for (version, action), operation in realm.operations.items()]
    for service in OTHER_PROTOCOLS:
        found += _declared(service)
    order = list(NAMES)
    return sorted(found, key=lambda row: (order.index(row.service), row.call))


def _rpc(service: str, action: str, operation: Operation) -> Row:
    described = catalogue.known(service, action)
    modelled = parameters_of(operation) | EVERYWHERE
    missing = [] if described is None else [name for name in described["parameters"] if name not in modelled]
    does, not_modelled = _said(inspect.getdoc(operation) or "")
    return Row(
        service=service,
        call=action,
        does=does,
        missing=tuple(missing),
        errors=tuple(sorted(errors_of(operation))),
        not_modelled=not_modelled,
    )


def _said(doc: str) -> tuple[str, tuple[str, ...]]:
    """The first paragraph of a docstring without what it says is not modelled, and all that it says so."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", doc) if part.strip()]
    gaps = tuple(gap.strip() for part in paragraphs if (gap := part.partition("Not modelled:")[2]))
    first = paragraphs[0].partition("Not modelled:")[0].strip() if paragraphs else ""
    return first, gaps


def _declared(service: str) -> Iterator[Row]:
    name = f"emulator.{service}.coverage"
    if importlib.util.find_spec(name) is None:
        return
    for call, info in importlib.import_module(name).OPERATIONS.items():
        yield Row(
            service=service,
            call=call,
            does=info.implemented,
            missing=(),
            errors=tuple(sorted(info.errors)),
            not_modelled=tuple(info.not_modelled),
        )


def as_data(found: Sequence[Row]) -> dict[str, Any]:
    return {
        "calls": [asdict(row) for row in found],
        "gateway_errors": sorted(GATEWAY_CODES),
        "not_modelled": {service: part["others"] for service, part in catalogue.catalogue().items()},
    }


def as_markdown(found: Sequence[Row]) -> str:
    """The page for reading; a call's own row holds all that is known of it."""
    count = Counter(row.service for row in found)
    lines = [
        "# What the emulator models",
        "",
        "Generated from the code by `make coverage-page`; do not edit. A call that is not listed here answers",
        "`InvalidAction.NotFound`, a parameter that is not modelled `UnsupportedParameter`: never silence.",
        "",
        "Every RPC call can also answer the gateway's own errors: "
        + ", ".join(f"`{code}`" for code in sorted(GATEWAY_CODES))
        + ".",
        "",
        "| service | calls modelled | calls of its SDK that are not | held against |",
        "|---|---|---|---|",
    ]
    for service, title in NAMES.items():
        part = catalogue.catalogue().get(service, {})
        others = len(part["others"]) if "others" in part else "-"
        lines.append(f"| [{title}](#{_anchor(title)}) | {count[service]} | {others} | {part.get('sdk', '-')} |")
    for service, title in NAMES.items():
        mine = [row for row in found if row.service == service]
        if mine:
            lines += ["", f"## {title}", "", "| call | what it does | not modelled | errors |", "|---|---|---|---|"]
            lines += [_markdown(row) for row in mine]
    return "\n".join([*lines, ""])


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def _markdown(row: Row) -> str:
    gaps = [*(text.replace("|", "\\|") for text in row.not_modelled)]
    if row.missing:
        gaps.append("parameters " + ", ".join(f"`{name}`" for name in row.missing))
    errors = ", ".join(f"`{code}`" for code in row.errors)
    does = row.does.replace("|", "\\|")
    return f"| {row.call} | {does} | {'; '.join(gaps) or '-'} | {errors or '-'} |"


PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Emulator coverage</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:100rem;padding:0 1rem;color:#1b1f24}}
table{{border-collapse:collapse;width:100%;table-layout:fixed;margin:1rem 0 2.5rem}}
td,th{{border-bottom:1px solid #d5dae1;padding:.4rem .6rem;vertical-align:top;text-align:left;overflow-wrap:anywhere}}
th{{position:sticky;top:0;background:#f4f6f9}}th:first-child{{width:19%}}th:nth-child(2),th:nth-child(3){{width:27%}}
code{{font-size:.85em;background:#f0f2f5;padding:0 .25em}}nav a{{margin-right:1.2em;white-space:nowrap}}
td:first-child{{font-weight:600}}summary{{cursor:pointer}}
@media (max-width:700px){{table,tr,td,tbody{{display:block}}th{{display:none}}
td{{border:0;padding:.15rem 0}}tr{{border-bottom:1px solid #d5dae1;padding:.6rem 0}}}}</style>
<h1>What this emulator models</h1>
<p>{total} calls of {services} services. What is not listed is refused loudly. <a href="?as=json">As JSON</a>, with the
names of all calls that are not modelled.</p><nav>{contents}</nav>
<p>Every RPC call can also answer the gateway's own errors: {gateway}</p>{tables}</html>"""


def as_html(found: Sequence[Row]) -> str:
    tables = []
    for service, title in NAMES.items():
        mine = [row for row in found if row.service == service]
        if not mine:
            continue
        body = "".join(
            f"<tr><td>{escape(row.call)}</td><td>{escape(row.does)}</td><td>{_gaps(row)}</td>"
            f"<td>{_codes(row.errors)}</td></tr>"
            for row in mine
        )
        tables.append(
            f'<h2 id="{service}">{escape(title)}</h2><table><tr><th>call</th><th>what it does</th>'
            f"<th>not modelled</th><th>errors</th></tr>{body}</table>"
        )
    count = Counter(row.service for row in found)
    contents = " ".join(f'<a href="#{s}">{escape(title)} ({count[s]})</a>' for s, title in NAMES.items() if count[s])
    return PAGE.format(
        total=len(found),
        services=len(count),
        contents=contents,
        gateway=_codes(sorted(GATEWAY_CODES)),
        tables="".join(tables),
    )


def _gaps(row: Row) -> str:
    said = " ".join(escape(text) for text in row.not_modelled)
    if not row.missing:
        return said or "-"
    number = f"{len(row.missing)} parameter{'s' if len(row.missing) > 1 else ''}"
    return f"{said} <details><summary>{number}</summary>{_codes(row.missing)}</details>"


def _codes(names: Sequence[str]) -> str:
    return " ".join(f"<code>{escape(name)}</code>" for name in names) or "-"
