"""A token of something else than would be done now is refused at once, where the operator sees it.

The operation's own first step judges it again, and names typed back as well: the world can change in between.
"""

import json
import re
from typing import Final

from shared.domain.errors import BadInput, DrError
from shared.domain.ids import OperationId
from shared.domain.operation import OperationKind
from shared.domain.preview import TOKEN_LENGTH
from shared.ports.functions import Functions
from shared.state.journal import Journal

_TOKEN: Final = re.compile(rf"[0-9a-f]{{{TOKEN_LENGTH}}}")


def check_token(
    functions: Functions, journal: Journal, kind: OperationKind, operation: OperationId, *, request: str, confirm: str
) -> None:
    """Raises BadInput when `confirm` is a token, but not of what `request` would do now. A repeated call, whose
    operation is open already, passes; so does one whose preview cannot be had, for it may be an emergency."""
    if not _TOKEN.fullmatch(confirm) or journal.find(operation) is not None:
        return
    try:
        question = {"preview": {"kind": kind.value, "request": request}}
        answer = json.loads(functions.invoke("recover", json.dumps(question).encode()))
    except DrError:
        return
    if "token" in answer and answer["token"] != confirm:
        raise BadInput(
            f"argument confirm is {confirm!r}, the token of something else than would be done now "
            f"({answer['token']}): look at it again without confirm, nothing was begun"
        )
