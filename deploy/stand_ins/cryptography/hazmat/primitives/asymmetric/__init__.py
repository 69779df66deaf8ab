"""See cryptography.hazmat.primitives of this stand-in."""

from cryptography.hazmat.primitives import LeftOut


def __getattr__(name: str) -> type[LeftOut]:
    if name.startswith("__"):
        raise AttributeError(name)
    return LeftOut
