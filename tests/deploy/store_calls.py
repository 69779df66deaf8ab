"""Which Tablestore actions a function can send to which table, read off the sources.

From the wiring, every use case it can reach is followed, definition by definition. A call such as
`self._journal.find(...)` is known by the name of what it is called on, and what `Journal.find` sends is read off
shared/state. Static on purpose: a recording store sees only what tests happen to run, and a right that is missing hurts
in the rare branch first.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.state.schema import TABLES

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = {
    "get": "ots:GetRow",
    "put": "ots:PutRow",
    "update": "ots:UpdateRow",
    "delete": "ots:DeleteRow",
    "scan": "ots:GetRange",
    "put_many": "ots:BatchWriteRow",
    "delete_many": "ots:BatchWriteRow",
}
STATE = "shared.state."
FOLLOWED = ("shared.usecases.", "understudy.agent.", "shared.wiring.foundation", "shared.adapters.pacing")
NAMED_OTHERWISE = {"orders": "SwitchOrders"}

Touch = tuple[str, str]  # (table, RAM action)
Place = tuple[str, str]  # (module, definition at its top level)


@dataclass(frozen=True, slots=True)
class Source:
    definitions: dict[str, ast.stmt]
    imported: dict[str, Place]  # name here -> (module, name there); name there is "" for a module
    constants: dict[str, str]


@cache
def read(module: str) -> Source:
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    imported: dict[str, Place] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                is_module = (ROOT / (inner.replace(".", "/") + ".py")).is_file()
                imported[name.asname or name.name] = (inner, "") if is_module else (node.module, name.name)
    definitions: dict[str, ast.stmt] = {}
    constants: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            definitions[node.name] = node
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.value, ast.Constant)
            and node.value.value in TABLES
        ):
            constants[node.target.id] = str(node.value.value)
    return Source(definitions, imported, constants)


def touched(module: str, *, start: str | None = None) -> frozenset[Touch]:
    """By all definitions of `module`, or by `start` alone, and by everything they can reach."""
    touches: set[Touch] = set()
    waiting: list[Place] = [(module, start)] if start else [(module, name) for name in read(module).definitions]
    seen: set[Place] = set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        source = read(place[0])
        if place[1] not in source.definitions:
            continue  # a constant
        definition = source.definitions[place[1]]
        touches.update(_sent(definition, source))
        waiting.extend(_next(definition, source, place[0]))
    return frozenset(touches)


def _next(definition: ast.stmt, source: Source, module: str) -> Iterator[Place]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            if node.id in source.definitions:
                yield module, node.id
            there = source.imported.get(node.id)
            if there is not None and there[1] and there[0].startswith(FOLLOWED):
                yield there
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            there = source.imported.get(node.value.id)
            if there is not None and not there[1] and there[0].startswith(FOLLOWED):
                yield there[0], node.attr


def _sent(definition: ast.stmt, source: Source) -> Iterator[Touch]:
    for node in ast.walk(definition):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        on, method = node.func.value, node.func.attr
        if isinstance(on, ast.Name) and source.imported.get(on.id, ("", "x")) == (f"{STATE}{on.id}", ""):
            if read(STATE + on.id).constants:  # rows for a batch, made by a module of shared/state
                yield from sends(STATE + on.id, method)
            continue
        repository = repositories().get(_called_on(on))
        if repository is not None and method in _methods(*repository):
            yield from sends(repository[0], method, of=repository[1])


def _called_on(value: ast.expr) -> str:
    """Name of the repository's class: from `Slots(store).of`, `self._slots.of`, `ports.slots.of`, `slots.of`."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id.lower()
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    name = name.lstrip("_")
    return NAMED_OTHERWISE.get(name, name).lower()


@cache
def repositories() -> dict[str, Place]:
    """Lower-case class name -> where: every class of shared/state that keeps a store."""
    return {
        name.lower(): (f"{STATE}{path.stem}", name)
        for path in sorted((ROOT / "shared" / "state").glob("*.py"))
        for name, node in read(f"{STATE}{path.stem}").definitions.items()
        if isinstance(node, ast.ClassDef) and "self._store = store" in ast.unparse(node)
    }


def _methods(module: str, of: str) -> dict[str, ast.stmt]:
    found = read(module).definitions[of]
    assert isinstance(found, ast.ClassDef)
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


@cache
def sends(module: str, method: str, *, of: str = "") -> frozenset[Touch]:
    """What one method of a repository (or function of its module) can send, with all that it calls there."""
    source = read(module)
    body = _methods(module, of)[method] if of else source.definitions[method]
    touches: set[Touch] = set()
    for node in ast.walk(body):
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        if stored := re.fullmatch(r"self\._store\.(\w+)", text):
            if stored[1] != "put_many":  # its tables are those of the rows
                touches.add((_table(node.args[0], module, source), ACTIONS[stored[1]]))
        elif settled := re.fullmatch(r"settle\.(put|update)", text):
            table = _table(node.args[1], module, source)
            touches |= {(table, ACTIONS[settled[1]]), (table, ACTIONS["get"])}
        elif text == "Write":
            table_of = next(keyword.value for keyword in node.keywords if keyword.arg == "table")
            touches.add((_table(table_of, module, source), ACTIONS["put_many"]))
        elif (own := re.fullmatch(r"self\.(\w+)", text)) and own[1] in _methods(module, of):
            touches |= sends(module, own[1], of=of)
        elif text in source.definitions and isinstance(source.definitions[text], ast.FunctionDef):
            touches |= sends(module, text)
    return frozenset(touches)


def _table(node: ast.expr, module: str, source: Source) -> str:
    assert isinstance(node, ast.Name), f"{module}: {ast.unparse(node)} is not the name of a table constant"
    if node.id in source.constants:
        return source.constants[node.id]
    there = source.imported.get(node.id)
    assert there is not None, f"{module}: {node.id} is no constant of this module"
    return read(there[0]).constants[there[1]]
