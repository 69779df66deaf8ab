"""The plural calls: many instances in one request.

AllTogether (the default): one that cannot is the end of all, and what was done is undone. SuccessFirst: each for
itself, the answer tells who could not and why.
Sources: ECS API StartInstances, StopInstances, RebootInstances, DeleteInstances (SDK 7.11.8). That every one is checked
before the first is touched, so that only a shortage in the middle has anything to undo, is an assumption.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulator.ecs.instances import Instance
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

ALL_TOGETHER: Final = "AllTogether"
SUCCESS_FIRST: Final = "SuccessFirst"
AT_MOST: Final = 100
DONE: Final = "200"
"""`Code` of an instance that was done: documents show it in examples only (assumption)."""

Step = Callable[[Instance], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One instance's line in the answer."""

    instance_id: str
    code: str
    message: str
    before: str
    after: str


class Batches:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    def check(self, ids: Sequence[str], check: Step) -> list[Instance]:
        """All of them, once each. Raises what the first one that cannot raises."""
        instances = [self._ecs.find_instance(one) for one in dict.fromkeys(ids)]
        for instance in instances:
            check(instance)
        return instances

    def run(self, ids: Sequence[str], mode: str, *, check: Step, act: Step, undo: Step) -> list[Outcome]:
        if mode not in (ALL_TOGETHER, SUCCESS_FIRST):
            raise ApiError("InvalidParameter", f"BatchOptimization {mode!r} is neither AllTogether nor SuccessFirst.")
        if mode == ALL_TOGETHER:
            return self._together(ids, check, act, undo)
        return [self._alone(one, act) for one in dict.fromkeys(ids)]

    def _together(self, ids: Sequence[str], check: Step, act: Step, undo: Step) -> list[Outcome]:
        done: list[Instance] = []
        outcomes = []
        for instance in self.check(ids, check):
            before = instance.state
            try:
                act(instance)
            except ApiError:
                for touched in reversed(done):
                    undo(touched)
                raise
            done.append(instance)
            outcomes.append(_outcome(instance, before))
        return outcomes

    def _alone(self, id: str, act: Step) -> Outcome:
        instance = self._ecs.shelf.get(id)
        before = instance.state if instance is not None else ""
        try:
            act(self._ecs.find_instance(id))
        except ApiError as error:
            return Outcome(instance_id=id, code=error.code, message=error.message, before=before, after=before)
        assert instance is not None
        return _outcome(instance, before)

    def undo_start(self, instance: Instance) -> None:
        """Back to Stopped, as if it had never been started; its machine is free again."""
        if instance.stopped_mode == "StopCharging" and instance.holds_stock:
            self._ecs.buying.stock.give_back(instance.zone, instance.instance_type)
            instance.holds_stock = False
        if instance.stopped_mode == "StopCharging" and instance.public_ip is not None:
            self._ecs.public_addresses.release(instance.public_ip)
            instance.public_ip, instance.loses_public_ip = None, True
        self._ecs.lifecycle.move(instance, "Stopped")


def _outcome(instance: Instance, before: str) -> Outcome:
    return Outcome(instance_id=instance.id, code=DONE, message="success", before=before, after=instance.state)
