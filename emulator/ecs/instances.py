"""What an instance is, and what an order for instances says. How they change: `buying`, `lifecycle`, `failures`.

Sources: ECS API RunInstances, CreateInstance, DescribeInstances.
Not modelled: subscription, spot, launch templates, dedicated hosts, resizing.
An instance in a dark zone goes on saying what it last said, until its zone is heard again (assumption).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulator.clock import Due
from emulator.ecs.events import SystemEvent

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """One `DataDisk.N` of RunInstances."""

    category: str
    size_gib: int | None = None
    snapshot_id: str | None = None
    device: str | None = None
    name: str = ""
    description: str = ""
    performance_level: str = ""
    delete_with_instance: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What RunInstances is asked for. Passwords are checked at the door and never come this far."""

    image_id: str
    instance_type: str
    vswitch_id: str
    security_group_ids: tuple[str, ...]
    name: str = ""
    description: str | None = None
    zone: str | None = None
    amount: int = 1
    min_amount: int | None = None
    private_address: str | None = None
    system_category: str = "cloud_essd"
    system_size_gib: int | None = None
    system_name: str = ""
    system_description: str = ""
    system_performance_level: str = ""
    data_disks: tuple[DataDisk, ...] = ()
    user_data: bytes = b""
    host_name: str = ""
    host_names: tuple[str, ...] = ()
    unique_suffix: bool = False
    key_pair: str = ""
    ram_role: str = ""
    resource_group: str = ""
    bandwidth_in: int = 200
    bandwidth_out: int = 0
    auto_release: datetime | None = None
    deletion_protection: bool = False
    starts: bool = True  # False: CreateInstance, which leaves it Stopped
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    id: str
    name: str
    zone: str
    vpc_id: str
    vswitch_id: str
    private_ip: str
    image_id: str
    instance_type: str
    security_group_ids: tuple[str, ...]
    created: datetime
    state: str = "Pending"  # Pending | Starting | Running | Stopping | Stopped | Deleted
    guest: dict[str, Any] | None = None
    disk_ids: list[str] = field(default_factory=list)
    description: str = ""
    host_name: str = ""
    key_pair: str = ""
    ram_role: str = ""
    resource_group: str = ""
    user_data: bytes = b""
    deletion_protection: bool = False
    public_ip: str | None = None  # static; one that was released while stopped economically comes back as another
    loses_public_ip: bool = False
    bandwidth_in: int = 200
    bandwidth_out: int = 0
    auto_release: datetime | None = None
    release: Due | None = field(default=None, repr=False)  # the calendar's entry for that
    locks: list[str] = field(default_factory=list)
    expired: bool = False
    on_maintenance: str = "AutoRecover"  # Stop | AutoRecover | AutoRedeploy: what the platform does when the host fails
    notify_on_maintenance: bool = False
    maintenance_window: tuple[str, str] | None = None
    started: datetime | None = None
    stopped_mode: str = "Not-applicable"
    stop_is_forced: bool = False  # while Stopping or Stopped: a power cut, the guest had no chance to end well
    holds_stock: bool = True  # False after an economical stop: somebody else may have the machine now
    release_when_stopped: bool = False  # DeleteInstance with Force and without ForceStop
    failure: SystemEvent | None = None  # its host failed and has not recovered
    tags: dict[str, str] = field(default_factory=dict)
    turn: int = 0  # rises with each change, so that outdated calendar entries can be told
    _find: Any = field(default=None, repr=False)

    def disks(self) -> list["Disk"]:
        """System disk first."""
        found: list[Disk] = self._find(self.id)
        return found
