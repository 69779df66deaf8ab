"""Public images: what a new account can start from. Every region has the same, they belong to Alibaba Cloud, and nobody
changes, deletes, shares, tags or copies them.

Sources: ECS API DescribeImages (SDK 7.11.8: how their ids are made up, that a listing without ImageOwnerAlias shows
them), "overview of public images" for families. Assumptions: which there are (the cloud has hundreds, and replaces them
every few weeks), ImageOwnerId, how much of the disk they fill, and that CopyImage knows them not.
"""

from datetime import UTC, datetime
from typing import Final

from emulator.ecs.image import Attributes, Image
from emulator.ecs.image_sources import SYSTEM_DEVICE, Mapped

OWNER: Final = "1000000000"
_RELEASED: Final = datetime(2025, 7, 24, tzinfo=UTC)
_USED_GIB: Final = 2.0


def _image(id: str, *, family: str, platform: str, os_name: str, gib: int, boot_mode: str = "BIOS") -> Image:
    return Image(
        id=id,
        name=id,
        family=family,
        description="",
        created=_RELEASED,
        mappings=(Mapped(kind="system", device=SYSTEM_DEVICE, size_gib=gib, snapshot=None),),
        status="Available",
        used_gib=_USED_GIB,
        attributes=Attributes(platform=platform, boot_mode=boot_mode),
        os_name=os_name,
        is_public=True,
    )


def catalogue() -> dict[str, Image]:
    """By id."""
    made = (
        _image(
            "win2022_21H2_x64_dtc_en-us_40G_alibase_20250724.vhd", family="acs:windows_server_2022_en-us_x64",
            platform="Windows Server 2022", os_name="Windows Server 2022 Datacenter Edition 64bit English", gib=40,
        ),
        _image(
            "ubuntu_24_04_x64_20G_alibase_20250722.vhd", family="acs:ubuntu_24_04_x64", platform="Ubuntu",
            os_name="Ubuntu 24.04 64bit", gib=20, boot_mode="UEFI-Preferred",
        ),
        _image(
            "aliyun_3_x64_20G_alibase_20250629.vhd", family="acs:alibaba_cloud_linux_3_2104_lts_x64",
            platform="Aliyun", os_name="Alibaba Cloud Linux 3.2104 LTS 64bit", gib=20,
        ),
    )  # fmt: skip
    return {image.id: image for image in made}
