"""Every certificate of a world, put before the checker that shares no code with its maker."""

import json
from typing import Any

from shared.state.certificates import Certificate, Certificates, CertificateState, document
from tests.usecases.backup_world import World
from understudy.certificate_checker import verify
from understudy.simulation.store import InProcessStore


def documents(world: World) -> list[dict[str, Any]]:
    """As a file would hold them, newest first."""
    certificates = Certificates(InProcessStore(world.cloud, "understudy"))
    return [json.loads(json.dumps(document(one, certificates.parts(one)))) for one in certificates.newest(None)]


def all_accepted(world: World) -> int:
    """How many there are. Those of a run that died and is not settled yet are left out."""
    finished = [one for one in documents(world) if one["head"]["state"] != CertificateState.BEGUN]
    for one in finished:
        verdict = verify(one)
        assert verdict.accepted, str(verdict)
    return len(finished)


def unfinished(world: World) -> list[Certificate]:
    certificates = Certificates(InProcessStore(world.cloud, "understudy"))
    return [one for one in certificates.newest(None) if one.state is CertificateState.BEGUN]
