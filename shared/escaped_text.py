"""JSON text and log lines.

Control characters are escaped: messages contain untrusted names of files, videos and classes, which
can include escape sequences, newlines and bytes that are not valid UTF-8.
"""

import json
import logging
import os
from types import TracebackType
from typing import Any, TextIO

from orn.shared.text import escape, escape_lines

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def json_text(payload: Any, *, indent: int | None = None) -> str:
    """Return a JSON document in ASCII; NaN and infinity are rejected."""
    return json.dumps(payload, indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def is_first_process() -> bool:
    """Return whether this is the only process, or the first process under torchrun."""
    return os.environ.get("RANK", "0") == "0"


class _LineFormatter(logging.Formatter):
    """Escapes control characters; a message becomes one line, and a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # may have been cached by a different handler
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:
        return escape_lines(super().formatException(ei))


def line_handler(stream: TextIO | None = None) -> logging.Handler:
    """Return a handler that writes one line per record, with time and level, to `stream`
    (stderr by default)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    return handler


def use_lines_in_worker() -> None:
    """Also escape warnings in a process without logging setup."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_LineFormatter("%(message)s"))
