"""ModifyImageSharePermission, DescribeImageSharePermission."""

from typing import TYPE_CHECKING, Any

from emulator.ecs.rules import iso
from emulator.wire import params
from emulator.wire.call import Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = ImageSharesApi(ecs)
    return {"ModifyImageSharePermission": api.modify, "DescribeImageSharePermission": api.describe}


class ImageSharesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("ImageId", "AddAccount.N", "RemoveAccount.N", "DryRun")
    @raises(
        "InvalidImageId.NotFound", "InvalidAccount.NotFound", "InvalidAccount.Forbbiden",
        "OperationDenied.InvalidImageStatus", "QuotaExceed.ShareImageUser", "DryRunOperation",
    )  # fmt: skip
    def modify(self, call: Call) -> dict[str, Any]:
        """Shares an image with accounts or takes the share back; from the eleventh on they are ignored silently.

        Not modelled: community images (IsPublic), QuotaExceed.ShareImage. Any number passes for an account.
        """
        p = call.params
        self._ecs.images.shares.modify(
            params.required(p, "ImageId"),
            add=params.list_of(p, "AddAccount"),
            remove=params.list_of(p, "RemoveAccount"),
            dry_run=params.boolean(p, "DryRun", False),
        )
        return {}

    @reads("ImageId", "PageNumber", "PageSize")
    @raises("InvalidImageId.NotFound")
    def describe(self, call: Call) -> dict[str, Any]:
        """Lists the accounts that one of our images is shared with, by page numbers."""
        p = call.params
        image = self._ecs.images.find(params.required(p, "ImageId"))
        number = params.integer(p, "PageNumber", 1, low=1)
        size = params.integer(p, "PageSize", 10, low=1, high=100)
        accounts = [{"AliyunId": account, "SharedTime": iso(at)} for account, at in image.shared_with.items()]
        return {
            "ImageId": image.id,
            "RegionId": self._ecs.region,
            "Accounts": {"Account": accounts[(number - 1) * size : number * size]},
            "ShareGroups": {"ShareGroup": []},
            "TotalCount": len(accounts),
            "PageNumber": number,
            "PageSize": size,
        }
