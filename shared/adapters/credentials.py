"""Credentials of the running role, read at every call.

Function Compute injects temporary ones into the environment and a warm process may outlive them, so nothing here is
kept. The SDK's own chain is avoided: it reads the environment once, at import.
"""

from dataclasses import dataclass, field

from shared.adapters.environment import require, variable

REMEDY = (
    "inside Function Compute give the function a role; elsewhere export ALIBABA_CLOUD_ACCESS_KEY_ID and "
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET (and ALIBABA_CLOUD_SECURITY_TOKEN for temporary ones)"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)


def from_environment() -> Credentials:
    """Raises BadInput naming the missing variable."""
    return Credentials(
        require("ALIBABA_CLOUD_ACCESS_KEY_ID", REMEDY),
        require("ALIBABA_CLOUD_ACCESS_KEY_SECRET", REMEDY),
        variable("ALIBABA_CLOUD_SECURITY_TOKEN"),
    )
