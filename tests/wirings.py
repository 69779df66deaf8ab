"""What `shared.wiring` builds once per function instance, forgotten: as a fresh instance begins."""

import sys


def forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("shared.wiring."):
            for one in list(vars(module).values()):
                clear = getattr(one, "cache_clear", None)
                if clear is not None:
                    clear()
