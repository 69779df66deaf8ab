"""A deliberately broken copy of one function: its own source with a guard replaced, planted for one test."""

import inspect
import sys
import textwrap
from typing import Any

import pytest


class Broken:
    """Each `old` must stand in the source of `owner.name` exactly once, or the defect is out of date."""

    def __init__(self, owner: Any, name: str, *swaps: tuple[str, str]) -> None:
        """`owner`: a class or a module."""
        self._owner, self._name, self._swaps = owner, name, swaps

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        raw = inspect.getattr_static(self._owner, self._name)
        wrapper = type(raw) if isinstance(raw, classmethod | staticmethod) else None
        function = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
        made = self._rewritten(function)
        if not inspect.ismodule(self._owner):
            patch.setattr(self._owner, self._name, wrapper(made) if wrapper else made)
            return
        for one in list(sys.modules.values()):  # whoever imported it by name has it, too
            if getattr(one, self._name, None) is function:
                patch.setattr(one, self._name, made)

    def _rewritten(self, function: Any) -> Any:
        source = textwrap.dedent(inspect.getsource(function))
        where = f"{getattr(self._owner, '__name__', self._owner)}.{self._name}"
        for old, new in self._swaps:
            assert source.count(old) == 1, f"{where} has {old!r} {source.count(old)} times: adapt the defect"
            source = source.replace(old, new)
        lines = source.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("def "))
        names: dict[str, Any] = {}
        program = compile("\n".join(lines[start:]), f"<broken {where}>", "exec")
        exec(program, vars(sys.modules[function.__module__]), names)
        return names[self._name]
