"""Output of commands to stdout and stderr, as text and as JSON, and log lines.

Control characters are escaped: messages contain untrusted names of files, videos and classes, which
can include escape sequences, newlines and bytes that are not valid UTF-8.
"""

import json
import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import click

from orn.shared.text import escape, escape_lines
from orn.shared.text_summary import Summary

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def echo(line: object, *, err: bool = False) -> None:
    """Print a line to stdout or stderr, with control characters and newlines escaped."""
    click.echo(escape(str(line)), err=err)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print several lines, each escaped as in `echo`."""
    click.echo(escape_lines(text), err=err, nl=nl)


def json_text(payload: Any, *, indent: int | None = None) -> str:
    """Return a JSON document in ASCII; NaN and infinity are rejected."""
    return json.dumps(payload, indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def echo_json(payload: Any) -> None:
    """Print a JSON document to stdout; NaN and infinity are rejected."""
    click.echo(json_text(payload, indent=2))


def echo_result(result: Any, summary: Callable[[Any], Summary | str], *, as_json: bool) -> None:
    """Print a result as JSON or as its summary; under torchrun, only in the first process."""
    if not is_first_process():
        return
    if as_json:
        echo_json(result)
        return
    shown = summary(result)
    echo_text(shown.text() if isinstance(shown, Summary) else shown)


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
