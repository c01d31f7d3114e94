"""Log lines for terminals and files, with control characters escaped.

Messages contain untrusted names of files, videos and classes, which can include escape sequences,
newlines and bytes that are not valid UTF-8.
"""

import logging
from types import TracebackType
from typing import TextIO

from orn.shared.text import escape, escape_lines

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


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
