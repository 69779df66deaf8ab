"""Rules that several resources share: names, descriptions, tags, tokens, times."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.clock import Clock

NAME = re.compile(r"[^\W\d_][\w:.\-]{1,127}")
TAGS_AT_MOST = 20
TOKEN_LENGTH = 64
SIGNS = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/"


def iso(moment: datetime) -> str:
    """Snapshot, disk, image and event times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_minutes(moment: datetime) -> str:
    """Instance times have no seconds."""
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def moment(text: str | None) -> datetime | None:
    """A time filter: `yyyy-MM-ddTHH:mm:ssZ`, or without seconds (`Filter.N`). None when it was not sent."""
    if not text:
        return None
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ApiError("InvalidParameter", f"The time {text!r} is neither yyyy-MM-ddTHH:mm:ssZ nor yyyy-MM-ddTHH:mmZ.")


def check_password(password: str | None) -> None:
    """8-30 characters of at least three kinds. It is checked and forgotten: nothing here ever keeps a password."""
    if not password:
        return
    kinds = (str.isupper, str.islower, str.isdigit, lambda c: c in SIGNS)
    used = sum(1 for kind in kinds if any(kind(character) for character in password))
    if not 8 <= len(password) <= 30 or used < 3:
        raise ApiError("InvalidPassword.Malformed", "A password has 8-30 characters of at least three kinds.")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a token was used for. Plain data, so that a world can be written down and read back."""

    at: datetime | None
    fingerprint: object
    result: Any
    refusal: tuple[str, str, int] | None = None  # (code, message, status) that stays with the token


class Tokens:
    """ClientToken: the same token with the same parameters returns the first result. One `Tokens` per account, region
    and service; a token belongs to its action. Tokens never age (their lifetime is not documented)."""

    def __init__(self, clock: "Clock | None" = None) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], Used] = {}
        self.processing = timedelta(0)
        """For so long after a token's first use the same token is answered with IdempotentProcessing: the first call is
        still under way. Tests and faults choose; models themselves are instant."""

    def once(
        self,
        action: str,
        token: str | None,
        fingerprint: object,
        create: Callable[[], Any],
        *,
        mismatch: ApiError | None = None,
        malformed: ApiError | None = None,
        processing: ApiError | None = None,
        sticky: Callable[[ApiError], bool] = lambda _: False,
    ) -> Any:
        """`sticky` errors stay with the token: a creation that failed for lack of stock needs a new one."""
        if not token:
            return create()
        if len(token) > TOKEN_LENGTH or not token.isascii():
            raise malformed or ApiError("InvalidClientToken.Malformed", "At most 64 ASCII characters.", 403)
        seen = self._seen.get((action, token))
        if seen is not None:
            return self._again(token, seen, fingerprint, mismatch, processing)
        try:
            result = create()
        except ApiError as error:
            if sticky(error):
                self._seen[action, token] = Used(
                    at=self._now(),
                    fingerprint=fingerprint,
                    result=None,
                    refusal=(error.code, error.message, error.status),
                )
            raise
        self._seen[action, token] = Used(at=self._now(), fingerprint=fingerprint, result=result)
        return result

    def _again(
        self, token: str, seen: Used, fingerprint: object, mismatch: ApiError | None, processing: ApiError | None
    ) -> Any:
        if seen.fingerprint != fingerprint:
            raise mismatch or ApiError(
                "IdempotentParameterMismatch", f"The token {token} was used with other parameters.", 403
            )
        now = self._now()
        if self.processing and now is not None and seen.at is not None and now < seen.at + self.processing:
            raise processing or ApiError("IdempotentProcessing", f"The first call with {token} still runs.", 403)
        if seen.refusal is not None:
            raise ApiError(*seen.refusal)
        return seen.result

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock.now()
