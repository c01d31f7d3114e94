"""What commands print, on stdout and stderr, for a person and for a program."""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from orn.shared.report import Report, report_of
from orn.shared.text import escape, escape_lines

_NOT_ASCII = re.compile("[^\n -~]")


def echo(line: object, *, err: bool = False) -> None:
    """Print a line on stdout or stderr; what a terminal would act on, newlines too, is escaped."""
    click.echo(escape(str(line)), err=err)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text that has lines of its own, each as `echo` does."""
    click.echo(escape_lines(text), err=err, nl=nl)


def json_text(payload: Any, *, indent: int | None = None) -> str:
    """Return a JSON document that every terminal and file can take; `json.loads` gives the same
    strings, those of names that are not UTF-8 included. Numbers that JSON lacks are refused."""
    text = json.dumps(payload, indent=indent, ensure_ascii=False, allow_nan=False)
    return _NOT_ASCII.sub(_json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    return json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def echo_json(payload: Any) -> None:
    """Prints one JSON document on stdout; numbers that JSON does not have are refused."""
    click.echo(json_text(payload, indent=2))


def echo_report(result: Any, report: Callable[[Any], Report | str], *, as_json: bool) -> None:
    """Print a result: as one JSON document, or as its report for a person. Of several processes
    (torchrun) the first one prints."""
    if not is_first_process():
        return
    if as_json:
        echo_json(result)
        return
    shown = report(result)
    echo_text(shown.text() if isinstance(shown, Report) else shown)


def is_first_process() -> bool:
    """Whether this is the one process, or the first of several that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def echo_settings(settings: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a job would do: one JSON object, or a line a setting for a person."""
    echo_report(settings, report_of, as_json=as_json)
