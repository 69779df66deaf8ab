"""`understudy.yaml` as text -> a checked `Policy`.

YAML is read as the author sees it, not as YAML 1.1 does: `on`, `off`, `yes` and `no` are words, `12:30` is not 750,
`010` is not 8 and a date is not a date. A key given twice, an alias or a tag is refused. This is the only module that
imports PyYAML, which is not shipped to functions: they read the stored policy version instead.
"""

import re
from collections.abc import Sequence
from pathlib import Path as FilePath

import yaml

from shared.config.policy_document import check
from shared.config.problems import Path, Problem, refusal
from shared.domain.errors import BadInput
from shared.domain.policy import Policy

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
"""A policy nests twelve levels deep, conditions on tags apart. PyYAML calls itself once per level, and Python ends that
at a thousand."""


def load(path: str | FilePath) -> Policy:
    """Read and check the file; BadInput names every problem in it."""
    return parse(read_text(path), FilePath(path).name)


def read_text(path: str | FilePath) -> str:
    """Raises BadInput when it cannot be read, is too large, or is not UTF-8."""
    file = FilePath(path)
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)  # a device, or the wrong file, has no end
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file. Run in the repository's root, or pass --file PATH") from None
    except IsADirectoryError:
        raise BadInput(
            f"{path}: is a directory. Pass --file PATH of the policy file, e.g. {path}/understudy.yaml"
        ) from None
    except PermissionError:
        raise BadInput(f"{path}: may not be read by this user. Give yourself permission to read it") from None
    except (OSError, ValueError) as error:  # a part of the path is a file, a name too long, a NUL in it
        raise BadInput(f"{path}: cannot be read: {error}. Pass --file PATH of the policy file") from None
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path}: its bytes are more than {MAX_BYTES}. Is this the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(f"{path}: line {line} is not UTF-8. Save the file as UTF-8") from None
    return text


def parse(text: str, where: str) -> Policy:
    """Check `text`; `where` names it in messages. BadInput names every problem in it."""
    tree, lines, odd = _read(text, where)
    policy, problems = check(tree)
    others = [one for one in problems if not _within(one.path, odd)]
    if odd:
        # First, since what could not be read is the cause of others.
        raise BadInput("\n".join(str(one) for one in (refusal(where, odd), refused(where, others, lines)) if str(one)))
    if policy is None or others:
        raise refused(where, others, lines)
    return policy


def _within(path: Path, odd: Sequence[Problem]) -> bool:
    """Whether what stands there could not be read for what it is."""
    return any(one.path == path[: len(one.path)] for one in odd)


def refused(where: str, problems: Sequence[Problem], lines: dict[Path, int]) -> BadInput:
    """Each problem with the line of its key."""
    return refusal(where, [Problem(path=one.path, says=one.says, line=_line_of(one.path, lines)) for one in problems])


def _line_of(path: Path, lines: dict[Path, int]) -> int | None:
    """The line of the key, or of the nearest one above it (a missing key has no line of its own)."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path) if path else None


def read_tree(text: str, where: str) -> tuple[object, dict[Path, int]]:
    """What the text says, and the line of each key. Raises BadInput when it is not YAML as we read it."""
    tree, lines, odd = _read(text, where)
    if odd:
        raise refusal(where, odd)
    return tree, lines


def _read(text: str, where: str) -> tuple[object, dict[Path, int], list[Problem]]:
    """And what in it is YAML, but not as we read it."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadInput(f"{where}: {_syntax(error, text)}") from None
    if node is None:
        raise BadInput(
            f"{where}: the file is empty. Start from the example in the repository: version, region, time_zone, sites, "
            "protections"
        )
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    tree = _value(node, (), lines, problems)
    return tree, lines, problems


class _Loader(yaml.SafeLoader):
    """Composes nodes only; values are made below."""

    # YAML 1.2's core schema, so that a word is a word. Numbers with a leading zero stay words and are then refused.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own protocol)

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None,
                None,
                f"*{event.anchor} refers to another place, which is not supported; write it out",
                event.start_mark,
            )
        if self._depth == MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"it is nested more than {MAX_DEPTH} levels deep, more than any policy needs; take brackets away",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _value(node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[Problem]) -> object:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, path, lines, problems)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_value(item, (*path, at), lines, problems) for at, item in enumerate(node.value)]
    text = str(node.value)
    match node.tag:
        case "tag:yaml.org,2002:str":
            return text
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return text.lower() == "true"
        case "tag:yaml.org,2002:int" if len(text) <= 18:
            return int(text)
        case "tag:yaml.org,2002:float" | "tag:yaml.org,2002:int":
            return float(text)
    problems.append(Problem(path=path, says=_odd_tag(node.tag), line=line))
    return None


def _odd_tag(tag: str) -> str:
    if tag.startswith("!") and len(tag) > 1:
        return (
            f"{tag} is YAML's mark of a type, not a negation. Write not: {{tags: {{role: app}}}}, or put it in quotes: "
            f"'{tag}'"
        )
    return f"the tag {tag} is not supported. Remove it"


def _mapping(
    node: yaml.MappingNode, path: Path, lines: dict[Path, int], problems: list[Problem]
) -> dict[object, object]:
    mapping: dict[object, object] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(path=path, says="a key must be a plain word. Write key: value", line=line))
            continue
        if not key_node.tag.startswith("tag:yaml.org,2002:"):
            problems.append(Problem(path=path, says=_odd_tag(key_node.tag.rstrip(":")), line=line))
            continue
        key = str(key_node.value)
        here = (*path, key)
        if key in mapping:
            says = f"is given twice, first in line {lines[here]}. Remove one of the two"
            problems.append(Problem(path=here, says=says, line=line))
            continue
        lines[here] = line
        mapping[key] = _value(value_node, here, lines, problems)
    return mapping


def _syntax(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"holds a character that YAML does not allow (position {error.position}). Remove it"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"is not YAML: {error}"
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    content = lines[line - 1] if line <= len(lines) else ""
    if "\t" in content[: len(content) - len(content.lstrip())] or "'\\t'" in (error.problem or ""):
        return f"line {line} is indented with a tab. Use spaces"
    if "expected a single document" in (error.context or ""):
        return f"a second document begins in line {line} (---). Keep one document in the file"
    if error.context == "while scanning a tag":
        mark_of = "holds a word that begins with !, YAML's mark of a type"
        return f"line {line} {mark_of}. Put it in quotes, or write not: {{tags: ...}}"
    context = f" {error.context}" if error.context else ""
    return (
        f"line {line} is not YAML:{context} {error.problem or 'cannot be read'}. Look at that line and the one above it"
    )
