"""Rules that several resources share: names, descriptions, tags, tokens, times."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from emulator.wire.call import ApiError

NAME = re.compile(r"[^\W\d_][\w:.\-]{1,127}")
TAGS_AT_MOST = 20


def iso(moment: datetime) -> str:
    """Snapshot, disk, image and event times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_minutes(moment: datetime) -> str:
    """Instance times have no seconds."""
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def check_name(name: str | None, error: ApiError, *, banned: tuple[str, ...] = ()) -> None:
    """2-128 characters, letter first, letters, digits and `: _ . -`; none of the banned beginnings."""
    if name is None:
        return
    if not NAME.fullmatch(name) or name.startswith(("http://", "https://", *banned)):
        raise error


def check_description(description: str | None, error: ApiError) -> None:
    if description is None:
        return
    if not 2 <= len(description) <= 256 or description.startswith(("http://", "https://")):
        raise error


def check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_AT_MOST:
        raise ApiError("QuotaExceed.Tags", f"At most {TAGS_AT_MOST} tags, got {len(tags)}.", 403)
    for key, value in tags.items():
        if not key or len(key) > 128 or key.startswith(("aliyun", "acs:", "http://", "https://")):
            raise ApiError("InvalidTagKey.Malformed", f"The tag key {key!r} is not valid.")
        if len(value) > 128 or value.startswith(("http://", "https://")):
            raise ApiError("InvalidTagValue.Malformed", f"The tag value {value!r} is not valid.")


class Tokens:
    """ClientToken: the same token with the same parameters returns the first result; tokens never age (unverified)."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[Any, Any]] = {}

    def once(
        self,
        action: str,
        token: str | None,
        fingerprint: object,
        create: Callable[[], Any],
        *,
        mismatch: ApiError | None = None,
        malformed: ApiError | None = None,
        sticky: Callable[[ApiError], bool] = lambda _: False,
    ) -> Any:
        """`sticky` errors stay with the token: a creation that failed for lack of stock needs a new one."""
        if not token:
            return create()
        if len(token) > 64 or not token.isascii():
            raise malformed or ApiError("InvalidClientToken.Malformed", "At most 64 ASCII characters.", 403)
        seen = self._seen.get((action, token))
        if seen is not None:
            if seen[0] != fingerprint:
                raise mismatch or ApiError(
                    "IdempotentParameterMismatch", f"The token {token} was used with other parameters.", 403
                )
            if isinstance(seen[1], ApiError):
                raise seen[1]
            return seen[1]
        try:
            result = create()
        except ApiError as error:
            if sticky(error):
                self._seen[action, token] = (fingerprint, error)
            raise
        self._seen[action, token] = (fingerprint, result)
        return result
