"""What is done to the world past its API: by an operator, by a guest, by the machinery around it.

Functions of plain data with named arguments, for `Cloud.do`: a world that is kept keeps them as well, and does them
again when it is opened. Raise ApiError.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.ecs.assistant import Answer

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.keys import Key


def set_dark(cloud: "Cloud", *, zone: str, dark: bool) -> None:
    cloud.zones.set_dark(zone, dark)


def fail(cloud: "Cloud", *, instance: str, recovers: bool) -> str:
    """The instance's host fails; returns the id of the system event."""
    return cloud.ecs.fail(instance, recovers=recovers)


def set_stock(cloud: "Cloud", *, zone: str, instance_type: str, count: int | None) -> None:
    cloud.ecs.set_stock(zone, instance_type, count)


def write_disk(cloud: "Cloud", *, account: str, region: str, disk: str, offset: int, body: bytes) -> None:
    """A guest writes. Raises ValueError beyond the disk's end."""
    cloud.realm(account, region).ecs.disks.find(disk).volume.write(offset, body)


def issue_key(cloud: "Cloud", *, role: str, seconds: float) -> "Key":
    """Temporary credentials for what runs in a role."""
    return cloud.keys.issue(role, lifetime=timedelta(seconds=seconds))


def enable_key(cloud: "Cloud", *, key: str, enabled: bool) -> None:
    """An unknown key stays unknown: the operator's own keys are given anew at each start."""
    if cloud.keys.find(key) is not None:
        cloud.keys.enable(key, enabled)


def silence_agent(cloud: "Cloud", *, account: str, region: str, instance: str, silent: bool) -> None:
    """A guest hangs, or goes on: its Cloud Assistant takes no commands meanwhile."""
    cloud.realm(account, region).ecs.assistant.silence(instance, silent)


def answer_command(
    cloud: "Cloud", *, account: str, region: str, invocation: str, instance: str, exit_code: int, output: str
) -> None:
    """A guest has run a command of Cloud Assistant's."""
    answer = Answer(exit_code=exit_code, output=output, seconds=0)
    cloud.realm(account, region).ecs.assistant.answer(invocation, instance, answer)


def set_health(cloud: "Cloud", *, balancer: str, port: int, server: str, health: str) -> None:
    """What the probes of a balancer's listener came to think of a member."""
    cloud.slb.balancers[balancer].health[port, server] = health
