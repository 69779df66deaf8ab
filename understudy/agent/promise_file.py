"""What the agent has promised, beside the role file, so that a restarted process knows it.

Readable only under the same holder id (see `RoleFile.holder`), which is drawn anew at each boot: times are readings of
this boot's clock; and only at the same place: what was promised there before by whoever had it is not known to one who
comes from elsewhere. Whatever else is found counts as not known, and then the agent waits for one lease.
"""

import json
from pathlib import Path

from shared.domain.ids import Epoch, HolderId, Place
from shared.domain.pledge import Pledge, Promises
from understudy.agent.client import boot_id, replace_file


class PromiseFile:
    def __init__(self, role_file: Path, *, me: HolderId, place: Place) -> None:
        self._path = role_file.with_name(role_file.name + ".promises")
        self._who = {"me": me, "boot": boot_id(), "place": place}

    def keep(self, promises: Promises) -> None:
        pledge = promises.pledge
        body = {
            **self._who,
            "floor": int(promises.floor),
            "unknown_until": promises.unknown_until,
            "pledge": pledge and {"holder": pledge.holder, "epoch": int(pledge.epoch), "until": pledge.until},
        }
        replace_file(self._path, json.dumps(body).encode() + b"\n")

    def recall(self) -> Promises | None:
        """None: what the process before this one promised is not known."""
        try:
            body = json.loads(self._path.read_bytes())
            if {name: body[name] for name in self._who} != self._who:
                return None
            kept = body["pledge"]
            pledge = kept and Pledge(
                holder=HolderId(str(kept["holder"])), epoch=Epoch(int(kept["epoch"])), until=float(kept["until"])
            )
            return Promises(pledge=pledge, floor=Epoch(int(body["floor"])), unknown_until=float(body["unknown_until"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
