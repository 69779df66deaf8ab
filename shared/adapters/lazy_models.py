"""Models of the official SDKs, imported one by one when they are named instead of by the thousand.

`alibabacloud_ecs20140526.models` alone is 1,150 modules, of which a function uses a dozen: half of what an import of
its client costs in time, and a third in memory. The SDK's files stay as they are: a finder answers for `*.models` with
a module that knows which file holds which class, read from the package's own list of imports.
"""

import importlib
import re
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

_LAZY: Final = re.compile(r"alibabacloud_[a-z_]+\d{8}\.models")  # a product and the date of its API
_LINE: Final = re.compile(r"^from \.(\w+) import (\w+)$", re.MULTILINE)


class _Models(Loader):
    def __init__(self, eager: Loader) -> None:
        self._eager = eager

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._eager.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        source = getattr(self._eager, "get_source", lambda _: None)(module.__name__)
        holds = {name: part for part, name in _LINE.findall(source or "")}
        if not holds:  # a package of another make, or without its sources: as it is
            self._eager.exec_module(module)
            return

        def named(name: str) -> Any:
            if name not in holds:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            found = getattr(importlib.import_module(f"{module.__name__}.{holds[name]}"), name)
            setattr(module, name, found)
            return found

        module.__getattr__ = named  # type: ignore[method-assign]
        module.__dir__ = lambda: sorted({*vars(module), *holds})  # type: ignore[method-assign]


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _LAZY.fullmatch(fullname):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Models(spec.loader)
        return spec


def install() -> None:
    """For this process; what was imported before stays as it is. Again does nothing."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
