"""Log records as lines of a terminal or of a log file, without characters that a terminal obeys.

Messages name files, videos and classes of others. A name may hold escape sequences, newlines and
bytes that are not UTF-8.
"""

import logging
from types import TracebackType
from typing import TextIO

from orn.shared.text import escape, escape_lines

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _LineFormatter(logging.Formatter):
    """Escapes what is not printable; a message is one line, a traceback keeps its own."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have left its own there
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:
        return escape_lines(super().formatException(ei))


def line_handler(stream: TextIO | None = None) -> logging.Handler:
    """Return a handler that writes a line a record, with time and level, to `stream` (stderr)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    return handler


def use_lines_in_worker() -> None:
    """Make warnings of a process in which nobody set up logging escape, too."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_LineFormatter("%(message)s"))
