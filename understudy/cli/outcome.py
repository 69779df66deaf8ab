"""Errors as an operator meets them: one message on stderr, and an exit code that a script can act on."""

import sys
from typing import Final

from shared.domain.errors import BadInput, Conflict, DrError, Forbidden, NeedsOperator, OutcomeUnknown, Retryable

REFUSED: Final = 1  # understood and not done; what stands in the way is said
BAD_INPUT: Final = 2  # a file, argument, variable, credential or address must be mended first
NEEDS_OPERATOR: Final = 3  # a human must choose; the message names the runbook


def exit_code(error: DrError) -> int:
    if isinstance(error, NeedsOperator):
        return NEEDS_OPERATOR
    # Retryable and Forbidden: to somebody at a terminal, a service that cannot be reached or a key that is not taken is
    # a matter of their own settings.
    return BAD_INPUT if isinstance(error, BadInput | Retryable | Forbidden) else REFUSED


def tell(error: DrError) -> int:
    """Say it on stderr; returns the exit code."""
    lines = [str(error), *_advice(error)]
    sys.stderr.write("\n".join(lines) + "\n")
    return exit_code(error)


def _advice(error: DrError) -> tuple[str, ...]:
    match error:
        case NeedsOperator():
            return (*(f"  seen: {one}" for one in error.evidence), f"  runbook: {error.runbook}")
        case OutcomeUnknown():
            return ("It may or may not have happened: look with `understudy status` before you repeat it.",)
        case Conflict():
            return ("Somebody else changed it at the same time: look, then repeat.",)
        case Forbidden():
            return (
                "Check ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and, for temporary keys, "
                "ALIBABA_CLOUD_SECURITY_TOKEN: are they right, unexpired, and allowed to do this?",
            )
        case Retryable():
            return (
                "Check the address and the network (UNDERSTUDY_OTS_ENDPOINT, UNDERSTUDY_ENDPOINT; a VPC address "
                "answers only inside the VPC), then repeat.",
            )
    return ()
