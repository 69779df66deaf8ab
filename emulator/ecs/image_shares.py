"""Images shared with other accounts: seen and used there, in the same region only, and never owned.

Source: ECS API ModifyImageSharePermission, DescribeImageSharePermission, read 2025.
Not modelled: publishing as a community image, sharing of encrypted images.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.images import Image
    from emulator.ecs.model import Ecs

PER_CALL = 10
ACCOUNTS_AT_MOST = 50


class ImageShares:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    def modify(
        self, image_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = (), dry_run: bool = False
    ) -> None:
        """Of each list only the first ten count; the rest is ignored without a word."""
        image = self._ecs.images.find(image_id)
        add, remove = add[:PER_CALL], remove[:PER_CALL]
        for account in (*add, *remove):
            if account == self._ecs.account:
                raise ApiError("InvalidAccount.Forbbiden", f"{account} owns the image.", 404)
            if not account.isdigit():
                raise ApiError("InvalidAccount.NotFound", f"The account {account} does not exist.", 404)
        if add and image.status != "Available":
            raise ApiError("OperationDenied.InvalidImageStatus", f"{image_id} is {image.status}.", 403)
        after = {**image.shared_with, **{account: self._ecs.clock.now() for account in add}}
        for account in remove:
            after.pop(account, None)
        if len(after) > ACCOUNTS_AT_MOST:
            raise ApiError(
                "QuotaExceed.ShareImageUser", f"{image_id} is shared with {ACCOUNTS_AT_MOST} accounts at most.", 403
            )
        if dry_run:
            raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
        image.shared_with = {account: image.shared_with.get(account, since) for account, since in after.items()}

    def _neighbours(self) -> "Iterator[Ecs]":
        for realm in self._ecs.cloud.realms:
            if realm.region == self._ecs.region and realm.account != self._ecs.account and realm.built("ecs"):
                yield realm.ecs

    def all_with_us(self) -> "list[tuple[str, Image]]":
        """(owner, image) of what other accounts share with us here."""
        return [
            (ecs.account, image)
            for ecs in self._neighbours()
            for image in ecs.images.shelf
            if self._ecs.account in image.shared_with
        ]

    def with_us(self, image_id: str) -> "Image | None":
        for ecs in self._neighbours():
            image = ecs.images.shelf.get(image_id)
            if image is not None and self._ecs.account in image.shared_with:
                return image
        return None

    def owner_of(self, image: "Image") -> str:
        """An account; empty for public ones."""
        if self._ecs.images.shelf.get(image.id) is image:
            return self._ecs.account
        if image.is_public:
            return ""
        return next(owner for owner, shared in self.all_with_us() if shared is image)
