"""What a group launches: a scaling configuration, and the order it becomes.

Source: ESS API CreateScalingConfiguration, ModifyScalingConfiguration (SDK 1.13.3). Launch templates are not modelled.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.ecs.instances import DataDisk, Order
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


@dataclass(slots=True, kw_only=True, eq=False)
class ScalingConfiguration:
    id: str
    name: str
    group_id: str
    created: datetime
    image_id: str = ""
    image_family: str = ""  # resolved anew at each launch
    instance_types: tuple[str, ...]  # tried in this order
    security_group_ids: tuple[str, ...]
    system_category: str = "cloud_essd"
    system_size_gib: int | None = None
    data_disks: tuple[DataDisk, ...] = ()
    instance_name: str = ""
    host_name: str = ""
    key_pair: str = ""
    user_data: bytes = b""
    weight: int | None = None  # LoadBalancerWeight
    tags: dict[str, str] = field(default_factory=dict)


def image_of(configuration: ScalingConfiguration, ecs: "Ecs") -> str:
    """The image of a launch that begins now. Raises ApiError InvalidImageId.NotFound."""
    if configuration.image_id:
        return configuration.image_id
    image = ecs.images.from_family(configuration.image_family)
    if image is None:
        raise ApiError(
            "InvalidImageId.NotFound", f"No image of the family {configuration.image_family!r} is available.", 404
        )
    return image.id


def order(
    configuration: ScalingConfiguration,
    *,
    image_id: str,
    instance_type: str,
    vswitch_id: str,
    amount: int,
    tags: dict[str, str],
) -> Order:
    """Some are better than none: stock for one suffices."""
    return Order(
        image_id=image_id,
        instance_type=instance_type,
        vswitch_id=vswitch_id,
        security_group_ids=configuration.security_group_ids,
        name=configuration.instance_name,
        host_name=configuration.host_name,
        key_pair=configuration.key_pair,
        user_data=configuration.user_data,
        amount=amount,
        min_amount=1,
        system_category=configuration.system_category,
        system_size_gib=configuration.system_size_gib,
        data_disks=configuration.data_disks,
        tags=tuple(sorted({**tags, **configuration.tags}.items())),
    )
