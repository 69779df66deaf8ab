"""A refusal of the emulator's model as the error that our own adapters raise for the same code."""

from collections.abc import Iterator
from contextlib import contextmanager

from emulator.wire.call import ApiError
from shared.adapters.cloud_errors import translate


@contextmanager
def in_our_words(what: str, *, changes: bool) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise translate(what, code=error.code, status=error.status, message=error.message, changes=changes) from error
