"""The create calls of one launch, as steps of its journal: sent one by one, settled after a lost answer, and what each
of them gave that still stands.

A call's step is `create:NUMBER`. Its instances carry that number in a tag, so that what came of a call can be told from
what came of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Forbidden, NoStock, OutcomeUnknown, Permanent, QuotaReached
from shared.domain.ids import ImageId, InstanceId, OperationId
from shared.domain.inventory import Instance
from shared.domain.launching import CALL, POLL, Ask, Asked, End, LaunchPlan, marks, next_ask, numbered
from shared.domain.operation import Step, StepState
from shared.ports.compute import Compute, DataDiskRequest, InstanceRequest
from shared.state import codec
from shared.usecases.operations import Resume, Work, done, failed, intended

CREATE: Final = "create"
UNLISTED_FOR: Final = timedelta(minutes=2)
"""An instance that was answered, is not listed after this, and of which no event tells, counts as gone."""
ASKED_ABOUT: Final = 3
"""Of those that a call gave and that are not listed, as many are looked up in the events: a shortage takes them all."""
VANISHED: Final = "SystemFailure.Delete"


class Calls:
    def __init__(self, work: Work, cloud: Compute, now: Callable[[], datetime]) -> None:
        self._work = work
        self._cloud = cloud
        self._now = now

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for step in self._work.operation.steps if step.name.startswith(f"{CREATE}:"))

    @property
    def asked(self) -> list[Asked]:
        return [_asked(step) for step in self.steps]

    @property
    def standing(self) -> list[InstanceId]:
        """What they gave and what has not vanished."""
        return [one for step in self.steps for one in _ids(step)]

    @property
    def maybe(self) -> bool:
        """Whether instances may stand: a call gave some, or its answer is not known."""
        return bool(self.standing) or any(step.state is StepState.INTENDED for step in self.steps)

    @property
    def answered(self) -> datetime:
        """When the last one that gave something was."""
        return max(step.at for step in self.steps if _ids(step))

    # sending

    def send(self, plan: LaunchPlan, image: ImageId) -> Resume | None:
        """Every call that can be sent now. None: there are enough, or no more is to be had."""
        under_way = next((step for step in self.steps if step.state is StepState.INTENDED), None)
        if under_way is not None:
            waits = self._send(plan, image, under_way)
            if waits is not None:
                return waits
        while (ask := next_ask(plan, self.asked)) is not None:
            name = f"{CREATE}:{ask.number:03d}"
            what = codec.dump(plan), image, str(ask.offer), str(ask.amount), str(ask.begin)
            step = intended(
                name,
                provenance.token(self._work.operation.id, name, 1, *what),
                self._now(),
                data={"offer": str(ask.offer), "amount": str(ask.amount), "begin": str(ask.begin)},
            )
            self._work.intend(step)
            waits = self._send(plan, image, step)
            if waits is not None:
                return waits
        return None

    def _send(self, plan: LaunchPlan, image: ImageId, step: Step) -> Resume | None:
        ask = _ask(step)
        if step.name in self._work.inherited:
            # An earlier run meant to send: look for what came of it before sending again.
            found = self._made_by(ask.number)
            if found and len(found) < ask.amount and step.data.get("seen") != str(len(found)):
                # Fewer than asked for: there was no stock for more, or the listing is not complete yet.
                self._work.learn(replace(step, data={**step.data, "seen": str(len(found))}))
                return Resume(after=POLL, because=f"{len(found)} of {ask.amount} instances are listed")
            if found:
                self._work.learn(done(step, self._now(), ids=",".join(found)))
                return None
        self._work.may_act()
        request = _request(plan, image, ask, self._work.operation.id)
        try:
            ids = self._cloud.instances.run_many(request, amount=ask.amount, least=1, token=step.token)
        except Forbidden:
            raise
        except OutcomeUnknown as lost:
            return Resume(after=POLL, because=f"no trustworthy answer, will read back: {lost}")
        except Permanent as error:
            told = replace(step, data={**step.data, "end": _end(error).value})
            self._work.learn(failed(told, self._now(), str(error)))
            return None
        self._work.learn(done(step, self._now(), ids=",".join(ids)))
        return None

    def _made_by(self, call: int) -> tuple[InstanceId, ...]:
        tags = marks(self._work.operation.id, call)
        return tuple(sorted(one.id for one in self._cloud.inventory.instances(tags=tags)))

    # what becomes of what they gave

    def look(self) -> dict[InstanceId, Instance]:
        """One describe of everything that stands; what vanished is written off."""
        shown = {one.id: one for one in self._cloud.inventory.instances(ids=self.standing)}
        for step in self.steps:
            self._miss(step, shown)
        return shown

    def _miss(self, step: Step, shown: Mapping[InstanceId, Instance]) -> None:
        """What this call gave and the cloud does not show: vanished, when events say so or after a while."""
        missing = [one for one in _ids(step) if one not in shown]
        if not missing:
            return
        told = all(self._was_deleted(one) for one in missing[:ASKED_ABOUT])
        if not told and self._now() - step.at < UNLISTED_FOR:
            return
        why = f"{len(missing)} vanished again ({VANISHED})" if told else f"{len(missing)} are not listed any more"
        gone = ",".join([*_listed(step, "gone"), *missing])
        self._work.learn(replace(step, data={**step.data, "gone": gone, "because": why}))

    def _was_deleted(self, id_: InstanceId) -> bool:
        return any(event.type == VANISHED for event in self._cloud.inventory.system_events(id_))

    def adopt(self) -> tuple[InstanceId, ...]:
        """Ours by their tag, though no answer named them, or they were thought gone: nothing is left over. Raises
        Permanent for one that no call of this operation can have made."""
        tag = {provenance.OPERATION: provenance.operation_tag(self._work.operation.id)}
        known = set(self.standing)
        strays = [one for one in self._cloud.inventory.instances(tags=tag) if one.id not in known]
        for one in strays:
            number = one.tags.get(CALL, "")
            step = next((step for step in self.steps if step.name == f"{CREATE}:{number}"), None)
            if step is None:
                raise Permanent(f"{one.id} carries the tag of this operation, and no call of it made it")
            ids = dict.fromkeys([*_listed(step, "ids"), one.id])
            gone = [each for each in _listed(step, "gone") if each != one.id]
            data = {**step.data, "ids": ",".join(ids), "gone": ",".join(gone)}
            self._work.learn(replace(step, state=StepState.DONE, data=data))
        return tuple(one.id for one in strays)


def _end(error: Permanent) -> End:
    if isinstance(error, NoStock):
        return End.NO_STOCK
    return End.QUOTA if isinstance(error, QuotaReached) else End.STOPPED


def _ask(step: Step) -> Ask:
    return Ask(
        number=int(step.name.rpartition(":")[2]),
        offer=int(step.data["offer"]),
        amount=int(step.data["amount"]),
        begin=int(step.data["begin"]),
    )


def _asked(step: Step) -> Asked:
    ask = _ask(step)
    return Asked(
        number=ask.number,
        offer=ask.offer,
        amount=ask.amount,
        got=len(_listed(step, "ids")),
        gone=len(_listed(step, "gone")),
        end=End(step.data["end"]) if step.state is StepState.FAILED else None,
        because=step.data.get("because", ""),
    )


def _ids(step: Step) -> tuple[InstanceId, ...]:
    """What this call gave and still stands."""
    gone = set(_listed(step, "gone"))
    return tuple(InstanceId(one) for one in _listed(step, "ids") if one not in gone)


def _listed(step: Step, key: str) -> Sequence[str]:
    return [one for one in step.data.get(key, "").split(",") if one]


def _request(plan: LaunchPlan, image: ImageId, ask: Ask, operation: OperationId) -> InstanceRequest:
    """No private address: the cloud picks them. The image's own data disks come with it."""
    offer = plan.offers[ask.offer]
    return InstanceRequest(
        image=image,
        instance_type=offer.instance_type,
        zone=offer.zone,
        vswitch=offer.vswitch,
        security_groups=plan.security_groups,
        name=numbered(plan.name, ask, plan),
        system_disk_category=plan.system_disk_category,
        system_disk_gib=plan.system_disk_gib,
        key_pair=plan.key_pair,
        user_data=plan.user_data,
        role=plan.role,
        data_disks=tuple(
            DataDiskRequest(snapshot=disk.snapshot, category=disk.category) for disk in plan.further_disks
        ),
        tags={**plan.tags, **marks(operation, ask.number)},
    )
