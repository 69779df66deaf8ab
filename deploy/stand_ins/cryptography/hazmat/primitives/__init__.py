"""Stands in for cryptography in the deployed package. The official SDKs import it when they load and use it only to
sign with RSA keys; functions sign by HMAC, with the keys of their role. What is taken from it says so when it is used.
"""


class _Deeper(type):
    def __getattr__(cls, name: str) -> "type[LeftOut]":
        if name.startswith("__"):
            raise AttributeError(name)
        return LeftOut


class LeftOut(metaclass=_Deeper):
    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError("cryptography is left out of this package (deploy/stand_ins): sign with an access key")


def __getattr__(name: str) -> type[LeftOut]:
    if name.startswith("__"):
        raise AttributeError(name)
    return LeftOut
