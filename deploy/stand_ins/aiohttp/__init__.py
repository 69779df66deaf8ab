"""Stands in for aiohttp in the deployed package. The official SDKs import it when they load and use it only for
asynchronous calls, of which there are none here. Whatever is taken from it says so when it is used."""


class LeftOut(Exception):
    """An exception too, so that an `except aiohttp.ClientError` means something."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__("aiohttp is left out of this package (deploy/stand_ins): call the SDKs synchronously")
        raise self


def __getattr__(name: str) -> type[LeftOut]:
    if name.startswith("__"):
        raise AttributeError(name)
    return LeftOut
