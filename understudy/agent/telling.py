"""The agent's log lines: the event, then what it is about, so that a line in the journal says why.

2026-11-23 04:31:07,112 understudy.agent WARNING agent.gave_up epoch=4 because="the master does not answer its agent"
"""

import json
import logging
from typing import Final

FORMAT: Final = "%(asctime)s %(name)s %(levelname)s %(message)s"
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
LAST: Final = "because"  # the sentence comes after the numbers


class Formatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name in logging
        said = {name: value for name, value in vars(record).items() if name not in _USUAL}
        names = sorted(said, key=lambda name: (name == LAST, name))
        return " ".join([super().formatMessage(record), *(f"{name}={_text(said[name])}" for name in names)])


def to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text.isprintable() or not text else text
