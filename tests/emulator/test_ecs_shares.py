"""Images shared with other accounts: seen there, used there, never owned there."""

import pytest

from emulator.wire.call import ApiError
from tests.emulator.two_regions import HERE, STRANGER, THERE, TwoRegions


@pytest.fixture
def stage() -> TwoRegions:
    return TwoRegions()


def share(stage: TwoRegions, *accounts: str, image: str = "m-base") -> None:
    numbered = {f"AddAccount.{n}": account for n, account in enumerate(accounts, 1)}
    stage.ask("ModifyImageSharePermission", {"ImageId": image, **numbered})


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({"AddAccount.1": "1000000000000001"}, (404, "InvalidAccount.Forbbiden"), id="ourselves"),
        pytest.param({"AddAccount.1": "somebody"}, (404, "InvalidAccount.NotFound"), id="no account"),
        pytest.param({"ImageId": "m-nobody"}, (404, "InvalidImageId.NotFound"), id="no image"),
        pytest.param({"IsPublic": "true"}, (400, "UnsupportedParameter"), id="community images are not modelled"),
        pytest.param({"AddAccount.1": STRANGER, "DryRun": "true"}, (400, "DryRunOperation"), id="a dry run"),
    ],
)
def test_shares_that_are_refused(stage: TwoRegions, given: dict[str, str], answer: tuple[int, str]) -> None:
    assert stage.refusal("ModifyImageSharePermission", {"ImageId": "m-base", **given}) == answer


def test_an_image_is_shared_with_fifty_accounts_at_most(stage: TwoRegions) -> None:
    for ten in range(5):
        share(stage, *[f"{3_000_000 + ten * 10 + n}" for n in range(10)])

    assert stage.refusal("ModifyImageSharePermission", {"ImageId": "m-base", "AddAccount.1": STRANGER}) == (
        403,
        "QuotaExceed.ShareImageUser",
    )
    page = stage.ask("DescribeImageSharePermission", ImageId="m-base", PageNumber=5, PageSize=12)
    assert (len(page["Accounts"]["Account"]), page["TotalCount"]) == (2, 50)


def test_a_deprecated_image_cannot_be_shared_nor_a_shared_one_deprecated(stage: TwoRegions) -> None:
    share(stage, STRANGER)
    assert stage.refusal("ModifyImageAttribute", ImageId="m-base", Status="Deprecated") == (403, "ImageUseShared")
    stage.ask("ModifyImageSharePermission", {"ImageId": "m-base", "RemoveAccount.1": STRANGER})
    stage.ask("ModifyImageAttribute", ImageId="m-base", Status="Deprecated")

    assert stage.refusal("ModifyImageSharePermission", {"ImageId": "m-base", "AddAccount.1": STRANGER}) == (
        403,
        "OperationDenied.InvalidImageStatus",
    )
    assert stage.refusal("CopyImage", ImageId="m-base", DestinationRegionId=THERE) == (400, "IncorrectImageStatus")


def test_the_other_account_sees_it_but_cannot_change_it(stage: TwoRegions) -> None:
    share(stage, STRANGER)

    [mine] = stage.ask("DescribeImages", ImageOwnerAlias="self")["Images"]["Image"]
    [theirs] = stage.stranger("DescribeImages", ImageOwnerAlias="others")["Images"]["Image"]
    assert (mine["IsSelfShared"], theirs["ImageOwnerAlias"]) == ("True", "others")
    assert stage.stranger("DescribeImages", ImageOwnerAlias="self")["Images"]["Image"] == []
    for action, more in (("ModifyImageAttribute", {"Status": "Deprecated"}), ("DescribeImageSharePermission", {})):
        with pytest.raises(ApiError, match=r"404 InvalidImageId\.NotFound"):
            stage.stranger(action, {"ImageId": "m-base", **more})
    stage.ask("ModifyImageSharePermission", {"ImageId": "m-base", "RemoveAccount.1": STRANGER})
    assert stage.stranger("DescribeImages", ImageOwnerAlias="others")["Images"]["Image"] == []


def test_the_other_account_boots_it_and_copies_it_within_the_region_only(stage: TwoRegions) -> None:
    neighbour = stage.cloud.home.neighbour(STRANGER).ecs
    with pytest.raises(ApiError, match="404"):
        neighbour.images.startable("m-base")
    share(stage, STRANGER)

    assert neighbour.images.startable("m-base").system_volume(20).used_bytes == 0
    with pytest.raises(ApiError, match=r"403 OperationDenied\.SameRegionOnly"):
        stage.stranger("CopyImage", ImageId="m-base", DestinationRegionId=THERE)
    copy = stage.stranger("CopyImage", ImageId="m-base", DestinationRegionId=HERE)["ImageId"]
    stage.advance(60)
    [owned] = stage.stranger("DescribeImages", ImageOwnerAlias="self")["Images"]["Image"]
    assert (owned["ImageId"], owned["IsCopied"]) == (copy, True)
