"""Where in the cloud something stands: one region of one account."""

from dataclasses import dataclass

from shared.domain.ids import AccountName

HOME = AccountName("")
"""The account that Understudy itself runs in. Others are named in the policy and entered by their role."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    region: str
    account: AccountName = HOME

    def __str__(self) -> str:
        return f"{self.account}/{self.region}" if self.account else self.region
