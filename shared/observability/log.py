"""One JSON line per event, the same keys everywhere. Standard logging: it is loaded anyway and the SDKs write there.

Our own lines carry their fields in the record; a line of somebody else's becomes an `event` named after its logger.
"""

import json
import logging
from collections.abc import Mapping
from typing import Final

from shared.domain.decision import Decision

LOGGER: Final = logging.getLogger("understudy")
_FIELDS: Final = "understudy_fields"


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] | None = getattr(record, _FIELDS, None)
        line: dict[str, object] = {"event": record.getMessage(), "level": record.levelname.lower()}
        if fields is None:
            line = {"event": f"log.{record.name}", "level": record.levelname.lower(), "message": record.getMessage()}
        else:
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure() -> None:
    """Our formatter on the root logger's handlers. Once per instance; called again it changes nothing."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    for handler in root.handlers:
        if not isinstance(handler.formatter, JsonFormatter):
            handler.setFormatter(JsonFormatter())
    root.setLevel(logging.WARNING)  # the SDKs are talkative below that
    LOGGER.setLevel(logging.INFO)


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """One line. `name`: noun, dot, past participle. Empty fields are left out; never pass a secret."""
    LOGGER.log(level, name, extra={_FIELDS: {key: value for key, value in fields.items() if value not in (None, "")}})


def decision(made: Decision) -> None:
    event(
        made.event,
        level=logging.INFO if made.acted else logging.WARNING,
        run=made.run,
        subject=made.subject,
        because=list(made.because),
        policy=made.policy,
        epoch=made.epoch,
        at=made.at.isoformat(),
        inputs=dict(made.inputs) or None,
    )
