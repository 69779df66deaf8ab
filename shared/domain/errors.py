"""What went wrong, sorted by what to do next.

Adapters translate cloud codes into these in one table; beyond the adapters nobody looks at a code string.
"""

from datetime import timedelta


class DrError(Exception):
    """Base of all errors that Understudy raises on purpose."""


class Retryable(DrError):
    """Nothing happened; try later. `retry_after` is the earliest sensible moment, when the cloud said so."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(Retryable):
    """The thing itself has as much under way as it takes; the same for another one may well go."""


class Throttled(Retryable):
    """The cloud refused it because of too many calls of this account, by whomever."""


class OutcomeUnknown(DrError):
    """Sent, no trustworthy answer: read back before sending again. Never to be treated as retryable."""


class Permanent(DrError):
    """Will not get better by itself: the run ends and its state is recorded."""


class NotFound(Permanent):
    """The cloud says that the thing does not exist (an answer, not a failure to ask)."""


class NotAttached(NotFound):
    """The disk is not attached, or on its way off: a detachment has nothing left to do."""


class Forbidden(Permanent):
    """The caller's role lacks a permission, or its credentials are expired or wrong."""


class CredentialsRejected(Forbidden):
    """The keys themselves are expired or unknown: only a fresh process, with fresh ones, can mend it."""


class QuotaReached(Permanent):
    """A quota or a stock is used up; trying again changes nothing until an operator or time frees some."""


class NoStock(QuotaReached):
    """The cloud has no such machine there now: another zone or instance type may have, with a new token."""


class AddressTaken(Permanent):
    """Somebody else holds the private address that was asked for."""


class Conflict(DrError):
    """A condition on a write did not hold: somebody else was first. Read again and decide anew."""


class BadInput(Permanent):
    """A file, event, environment variable or argument is wrong; the message names where, what and the remedy."""


class Declined(Permanent):
    """What was asked for is understood and well-formed, and is not done as things stand; the message says why."""


class NeedsOperator(DrError):
    """A human must choose. `runbook` names the page to follow, `evidence` what was seen."""

    def __init__(self, message: str, *, runbook: str, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.runbook = runbook
        self.evidence = evidence
