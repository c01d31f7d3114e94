"""Command line options that several commands share, each defined once.

The names that a command function receives: `dataset`, `data_root`, `out`, `as_json`, `seed`,
`dry_run`, `overrides`, `device`, `batch`, `rate`, `threads`.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from orn.shared.report import Report, report_of
from orn.shared.text import printable, printable_lines

LARGEST_SEED = 2**32 - 1
"""What every random generator in use accepts."""
_NOT_ASCII = re.compile("[^\n -~]")


class NonEmptyPath(click.Path):
    """A path; the empty one, which Python takes for the current folder, is refused.

    Args:
        limits: what `click.Path` takes beside the type.
    """

    def __init__(self, **limits: Any) -> None:
        super().__init__(path_type=Path, **limits)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path; fails as click's types do."""
        if not os.fspath(value):
            self.fail("expected a path, got an empty text; leave it out or name one.", param, ctx)
        return super().convert(value, param, ctx)


class NumberRange(click.FloatRange):
    """A range of numbers; NaN, which click lets through, is in none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number; fails as click's types do."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


dataset_argument = click.argument("dataset", metavar="DATASET")
"""`dataset`: str, the name of a shipped manifest or the path of a manifest file."""

data_option = click.option(
    "--data",
    "data_root",
    type=NonEmptyPath(),
    envvar="ORN_DATA",
    default=Path("data"),
    show_default=True,
    show_envvar=True,
    help="Folder under which the data sets lie.",
)
"""`data_root`: Path; need not exist (loading a data set says so better)."""


def out_option(default: str) -> Any:
    """`out`: Path | None; `default` only says in the help what the command uses for None."""
    return click.option("--out", type=NonEmptyPath(), help=f"Where to write.  [default: {default}]")


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
)
"""`as_json`: bool."""

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Seed of everything random.",
)
"""`seed`: int."""

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print the settings and the amount of work, then stop."
)
"""`dry_run`: bool."""

set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override one setting, such as optimiser.learning_rate=1e-3; may be repeated.",
)
"""`overrides`: tuple[str, ...], for `orn.shared.config.files.apply_overrides`."""

PRECISIONS = {
    "fp32": "float32",
    "tf32": "tfloat32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "bf16-heads": "bfloat16-heads",
    "fp16-heads": "float16-heads",
}
"""What each is called in plans and shards, which is still accepted, too."""


class _Precision(click.Choice):  # type: ignore[type-arg]
    def convert(self, value: str, param: Any, ctx: Any) -> str:
        short = next((short for short, long in PRECISIONS.items() if long == value), value)
        return PRECISIONS[super().convert(short, param, ctx)]


def precision_option(help_text: str) -> Any:
    """`precision`: str, as plans and shards record it."""
    return click.option(
        "--precision",
        type=_Precision([*PRECISIONS]),
        default="fp32",
        show_default=True,
        help=help_text,
    )


device_option = click.option(
    "--device",
    metavar="DEVICE",
    default="auto",
    show_default=True,
    help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.",
)
"""`device`: str."""

batch_option = click.option(
    "--batch",
    type=click.IntRange(1, 4096),
    default=8,
    show_default=True,
    help="Frames that the detector sees at once; the last bits of a result depend on it.",
)
"""`batch`: int."""


def engine_options(workers: str) -> Callable[[Any], Any]:
    """`workers`: int | None, `engine`: str, `address`: str | None, for
    `orn.shared.jobs.engines.choose_engine`; `workers` is the help of the first."""
    options = (
        click.option("--workers", type=click.IntRange(1, 10**5), help=workers),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or actors of a Ray cluster.",
        ),
        click.option(
            "--address",
            metavar="HOST:PORT",
            help="The Ray cluster; auto is the one this machine belongs to.  [default: one for "
            "this job]",
        ),
    )

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


frame_rate_option = click.option(
    "--rate",
    type=NumberRange(0, 1000, min_open=True),
    help="Frames a second, where videos are folders of frames.",
)
"""`rate`: float | None."""


def threads_option(whose: str, *, default: int | None = None, usual: str = "") -> Any:
    """`threads`: int | None; `usual` says in the help what the command uses for None."""
    return click.option(
        "--threads",
        type=click.IntRange(1, 1024),
        default=default,
        show_default=default is not None,
        help=f"CPU threads of {whose}; the last bits of a result depend on it."
        + (f"  [default: {usual}]" if usual else ""),
    )


def echo(line: object, *, err: bool = False) -> None:
    """Print a line on stdout or stderr; what a terminal would act on, newlines too, is escaped."""
    click.echo(printable(str(line)), err=err)


def echo_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text that has lines of its own, each as `echo` does."""
    click.echo(printable_lines(text), err=err, nl=nl)


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
