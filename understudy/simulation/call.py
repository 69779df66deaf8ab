"""One call straight onto a model of the emulator: through its menu of faults, and with its refusals in our words.

Both doors meet the same menu: what the SDK's adapters make of a lost answer or a refusal, these make of it too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeVar

from emulator.cloud import Cloud
from emulator.faults.blow import Blow, Silence
from emulator.faults.fault import Asked
from emulator.realm import Realm
from emulator.wire.call import ApiError
from shared.adapters.cloud_errors import translate

T = TypeVar("T")

OURSELVES: Final = "in-process"
"""Whom a fault's `caller` can name: there is no access key."""


def asked(cloud: Cloud, service: str, action: str, *, question: object = None, realm: Realm | None = None) -> Asked:
    """`realm`: where it is asked; None: at home."""
    where = cloud.home if realm is None else realm
    return Asked(
        service=service,
        action=action,
        access_key=OURSELVES,
        account=where.account,
        region=where.region,
        question=(service, action, repr(question), where.account, where.region),
    )


@contextmanager
def called(
    cloud: Cloud, service: str, action: str, *, changes: bool, about: str = "", realm: Realm | None = None
) -> Iterator[Blow | None]:
    what = f"{service} {action}{about and ' of '}{about}"
    with in_our_words(what, changes=changes), cloud.faults.gate(asked(cloud, service, action, realm=realm)) as blow:
        yield blow


def read(
    cloud: Cloud,
    service: str,
    action: str,
    question: object,
    answer: Callable[[], T],
    *,
    realm: Realm | None = None,
) -> T:
    """A read's answer; an older one, when a fault says so. `question` has a repr that tells it from other questions."""
    with in_our_words(f"{service} {action}", changes=False):
        if not cloud.faults.on_calls:
            return answer()
        what = asked(cloud, service, action, question=question, realm=realm)
        with cloud.faults.gate(what) as blow:
            found: T = cloud.faults.read(blow, what, answer)
            return found


@contextmanager
def in_our_words(what: str, *, changes: bool) -> Iterator[None]:
    """The cloud's refusals through the same table of codes as the SDK's, so that both doors raise the same errors."""
    try:
        yield
    except ApiError as error:
        wait = None if error.retry_after_ms is None else timedelta(milliseconds=error.retry_after_ms)
        raise translate(
            what, code=error.code, status=error.status, message=error.message, changes=changes, retry_after=wait
        ) from error
    except Silence as silence:
        raise translate(what, code=None, status=None, message=str(silence), changes=changes) from silence
