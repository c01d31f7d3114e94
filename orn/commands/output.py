"""What commands print: lines, JSON and summaries on stdout, messages on stderr.

Control characters are escaped: see `orn.shared.escaped_text`.
"""

from collections.abc import Callable
from typing import Any

import click

from orn.shared.escaped_text import is_first_process, json_text
from orn.shared.text import escape, escape_lines
from orn.shared.text_summary import Summary, text_of


def echo(line: object, *, err: bool = False) -> None:
    """Print a line to stdout or stderr, with control characters and newlines escaped."""
    click.echo(escape(str(line)), err=err)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print several lines, each escaped as in `echo`."""
    click.echo(escape_lines(text), err=err, nl=nl)


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
    echo_text(text_of(summary(result)))


def print_record(record: Any, *, as_json: bool) -> None:
    """Print a record with `as_json` and `summary` in one of both forms."""
    echo_result(record.as_json(), lambda _: record.summary(), as_json=as_json)
