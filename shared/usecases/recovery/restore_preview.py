"""What a restore would do, shown before anything is done. Reads only."""

from dataclasses import dataclass

from shared.domain.operation import OperationKind
from shared.domain.preview import Preview, critical_path
from shared.state import codec
from shared.state.policies import Policies
from shared.usecases.recovery.recovery_requests import RestoreRequest
from shared.usecases.recovery.restore_look import RestoreLook


@dataclass(slots=True, kw_only=True)
class RestorePreview:
    look: RestoreLook
    policies: Policies

    def __call__(self, request: str) -> Preview:
        """Raises BadInput for a restore point that is not known."""
        asked = codec.load(RestoreRequest, request)
        _, policy = self.policies.active()
        view = self.look.at(asked, policy)
        plan = self.look.plan(asked, view, policy)
        return Preview(
            kind=OperationKind.RESTORE.value,
            subject=str(asked.instance),
            actions=plan.actions,
            checks=plan.checks,
            token=plan.token,
            takes=critical_path(plan.actions),
            warnings=plan.warnings,
        )
