"""What code and docs say of each other must be true: runbooks, links, modules that shadow nothing, no foreign paths."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from understudy.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
NAMED = re.compile(r"""(?:runbook|RUNBOOK)(?:: Final)? ?[=:] ?"?([a-z]+(?:-[a-z]+)+)\"""")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def sources() -> list[Path]:
    return [path for folder in ("shared", "understudy") for path in sorted((ROOT / folder).rglob("*.py"))]


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]


def test_every_runbook_that_the_code_names_exists_and_every_runbook_is_named() -> None:
    named = {name for path in sources() for name in NAMED.findall(path.read_text())}

    assert named, "the pattern finds no runbook at all: mend it"
    assert named == {path.stem for path in RUNBOOKS.glob("*.md")}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if not link.startswith("http")]

    assert [link for link in targets if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_which_commands_to_run(runbook: Path) -> None:
    commands = re.findall(r"(?:^    |`)((?:understudy|aliyun) [a-z].*)", runbook.read_text(), re.MULTILINE)

    assert commands


def test_each_number_of_a_decision_record_is_given_once() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def objection(command: str) -> str:
    """What the command line would say against a command's words; empty when it would run it."""
    line = re.sub(r"[\[\]]|\.\.\.", "", re.sub(r" > \S+$", "", command.split(" #")[0].rstrip()))
    parser: Any = typer.main.get_command(app)
    context, words = None, shlex.split(line)[1:]
    while hasattr(parser, "get_command"):
        context = parser.context_class(parser, info_name=parser.name, parent=context)
        parser, words = parser.get_command(context, words[0] if words else ""), words[1:]
        if parser is None:
            return f"{command}: there is no such command"
    try:
        parser.make_context(parser.name, words, parent=context)
    except Exception as error:  # noqa: BLE001 - typer keeps its usage errors to itself; anything said is an objection
        return f"{command}: {error}"
    return ""


def test_a_wrong_command_would_be_noticed() -> None:
    assert objection("understudy nonsense")
    assert objection("understudy pause backups without an option")
    assert objection("understudy apply --no-such-option")
    assert not objection("understudy pause backups --because x")
    assert not objection("understudy explain control --json > decisions    # for whoever proves it")


def test_every_understudy_command_of_the_docs_would_run_as_it_stands() -> None:
    written = re.compile(r"(?:^    |`|\$ |^\.venv/bin/)(understudy [a-z][^`\n]*)", re.MULTILINE)
    commands = [command for page in pages() for command in written.findall(page.read_text())]

    assert len(commands) > 10
    assert [said for command in commands if (said := objection(command))] == []


def test_no_entry_module_shadows_the_standard_library() -> None:
    modules = {path.stem for path in (ROOT / "functions").glob("*.py")}

    assert modules
    assert modules & set(sys.stdlib_module_names) == set()


def test_requirement_files_carry_hashes_and_no_address() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        assert "://" not in text, f"{file.name} names an address"
        assert text.count("==") <= text.count("--hash=sha256:"), f"{file.name} has an unhashed line"
