"""Options and types of options that several commands share.

An option has no default of its own: options that are not typed are left out, so that each default
stands in one place, the config. The help shows it as text.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from orn.shared.echo import echo_result
from orn.shared.errors import ConfigError

_T = TypeVar("_T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _FilePath(click.ParamType):
    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if value == "":  # Path("") is the current folder
            self.fail("expected a path, got an empty string; omit the option or pass a path")
        return Path(value)


_FORMATS = {"fp32": "float32", "bf16": "bfloat16"}


class Precision(click.ParamType):
    name = "precision"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the number format, as recorded in plans and shards, where it is also accepted."""
        number_format = _FORMATS.get(value, value)
        if number_format not in _FORMATS.values():
            self.fail(f"expected one of {', '.join(_FORMATS)}, got {value!r}")
        return str(number_format)


PATH = _FilePath()
"""A file or folder, which may not exist."""
COUNT = click.IntRange(1, 10**9)
SHARE = click.FloatRange(0, 1)
RATE = click.FloatRange(0, 1000, min_open=True)
"""Frames per second."""
PICKED_RATE = click.FloatRange(0.001, 1000)
"""Frames per second to select."""

dataset = click.argument("dataset", metavar="DATASET")
data_root = click.option(
    *("--data", "data_root"),
    type=PATH,
    help="Data root, the folder of all data sets.  [default: that of the manifest, else ORN_DATA, "
    "else data]",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the settings and the amount of work, and exit."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
picked_rate = click.option(
    "--rate",
    type=PICKED_RATE,
    help="Frames per second to process; the nearest frames are selected.  [default: every frame]",
)
device = click.option(
    "--device",
    metavar="DEVICE",
    help="cpu, cuda, cuda:1, ...; auto selects a GPU if there is one.  [default: auto]",
)
fresh = click.option(
    "--fresh", is_flag=True, help="Remove the existing job in the folder and start over."
)


def out(usual: str) -> Decorator:
    """Return the option `--out`."""
    return click.option("--out", type=PATH, help=f"Output file or folder.  [default: {usual}]")


def workers(usual: str, what: str = "Number of processes.") -> Decorator:
    """Return the option `--workers`."""
    text = f"{what}  [default: {usual}]"
    return click.option("--workers", type=click.IntRange(1, 10**5), help=text)


def given(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were typed."""
    return {name: value for name, value in typed.items() if value not in (None, (), False)}


def config_of(kind: Callable[..., _T], typed: Mapping[str, Any]) -> _T:
    """Return the config for typed options.

    Raises:
        click.UsageError: if options contradict each other.
    """
    try:
        return kind(**given(typed))
    except ConfigError as err:
        raise click.UsageError(str(err)) from err


def print_record(record: Any, *, as_json: bool) -> None:
    """Print a record with `as_json` and `summary` in one of both forms."""
    echo_result(record.as_json(), lambda _: record.summary(), as_json=as_json)
