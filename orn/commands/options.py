"""Options and types of options that several commands share.

An option has no default of its own: options that are not typed are left out, so that each default
stands in one place, the config. The help shows it as text.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from orn.shared.errors import ConfigError
from orn.shared.jobs.progress import TERMINAL

_T = TypeVar("_T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Parsed(click.ParamType):
    """A type whose values a function parses; its ValueError is an error of the option."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value)
        except ValueError as err:
            self.fail(str(err))


def _parse_path(value: str) -> Path:
    if value == "":  # Path("") is the current folder
        raise ValueError("expected a path, got an empty string; omit the option or pass a path")
    return Path(value)


_FORMATS = {"fp32": "float32", "bf16": "bfloat16"}


def _parse_precision(value: str) -> str:
    """Return the number format, as recorded in plans and shards, where it is also accepted."""
    number_format = _FORMATS.get(value, value)
    if number_format not in _FORMATS.values():
        raise ValueError(f"expected one of {', '.join(_FORMATS)}, got {value!r}")
    return number_format


PATH = Parsed("path", _parse_path)
"""A file or folder, which may not exist."""
PRECISION = Parsed("precision", _parse_precision)
"""Number format of a network."""
COUNT = click.IntRange(1, 10**9)
FRACTION = click.FloatRange(0, 1)
RATE = click.FloatRange(0, 1000, min_open=True)
"""Frames per second."""


def data(text: str) -> Decorator:
    """Return the option `--data`."""
    return click.option(*("--data", "data_root"), type=PATH, help=text)


def out(usual: str) -> Decorator:
    """Return the option `--out`."""
    return click.option("--out", type=PATH, help=f"Output file or folder.  [default: {usual}]")


def split(what: str) -> Decorator:
    """Return the option `--split`."""
    names = click.Choice(["train", "validation", "test"])
    return click.option("--split", type=names, help=f"{what}  [default: validation]")


def workers(usual: str, what: str = "Number of processes.") -> Decorator:
    """Return the option `--workers`."""
    text = f"{what}  [default: {usual}]"
    return click.option("--workers", type=click.IntRange(1, 10**5), help=text)


def combined(*decorators: Decorator) -> Decorator:
    """Return one decorator that adds several options, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


dataset = click.argument("dataset", metavar="DATASET")
data_root = data(
    "Data root, the folder of all data sets.  [default: that of the manifest, else ORN_DATA, else "
    "data]"
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the settings and the amount of work, and exit."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
picked_rate = click.option(
    "--rate",
    type=click.FloatRange(0.001, 1000),
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
retry_failed = click.option("--retry-failed", is_flag=True, help="Retry videos that failed.")
seed = click.option("--seed", type=click.IntRange(0, 4294967295), help="Random seed.  [default: 0]")
intervals = click.option(
    "--intervals",
    is_flag=True,
    help="Rows of the table are intervals of activities to find in long videos, not clips to "
    "classify; what no row covers is background.",
)
folds = click.option(
    "--folds",
    type=click.IntRange(2, 100),
    metavar="K",
    help="Create K folds for cross-validation instead of one split.",
)
recipe = click.option(
    "--recipe", help="Name or TOML file of a recipe.  [default: depends on DATASET]"
)
overrides = click.option(
    *("--set", "overrides"),
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, such as optimizer.learning_rate=1e-3; may be repeated.",
)
frame_rate = click.option(
    "--rate",
    type=RATE,
    help="Frames per second of videos that are folders of frames.",
)
manifest = click.argument("manifest", metavar="[DATASET]", required=False)
partial = click.option("--partial", is_flag=True, help="Omit segments whose video is missing.")
evaluated_split = split("Split to evaluate.")
loader_workers = click.option(
    "--workers",
    type=click.IntRange(0, 256),
    help="Number of data-loading processes.  [default: one less than the cores, at most 4]",
)
batch_size = click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    help="Frames per forward pass of the detector, which affects rounding.  [default: 1, on a GPU "
    "8]",
)
own_detector = click.option(
    "--detector",
    metavar="FILE.py:NAME",
    help="Your own detector: NAME, a function in a Python file, which is executed, makes it.",
)
out_argument = click.argument("out", metavar="OUT", type=PATH)
RECORD_FORMATS = ("coco", "something-else", "csv", "masks", "supervision", "ultralytics")
"""Formats of objects in frames of videos."""
object_options = combined(
    click.option(
        "--first-frame",
        type=click.IntRange(0, 1000000000),
        help="Number of a video's first frame in the source.  [default: 0; for something-else and "
        "ultralytics 1]",
    ),
    click.option(
        "--names",
        metavar="PATTERN",
        help="Pattern of names of COCO images, masks or label files, with video and frame, of "
        "masks also {class} and {track}; * matches anything.  [default: '{video}/*{frame}.*'; for "
        "ultralytics '{video}_{frame}.txt']",
    ),
    click.option(
        "--classes",
        type=PATH,
        help="File with one class of objects per line; objects of other classes are dropped.  "
        "Names of class numbers for ultralytics, and for supervision without names.  [default: the "
        "classes of the source, or all COCO classes if COCO has each of them]",
    ),
    click.option(
        "--groups",
        is_flag=True,
        help="Also import COCO annotations with iscrowd = 1; CVAT marks every mask like this.",
    ),
    click.option(
        "--lines",
        metavar="SHAPE",
        help="What lines of ultralytics contain: box or polygon, and +confidence and +track where "
        "these follow.  [default: what the lines of a file tell]",
    ),
)
"""How imported objects are read."""
shards = click.option("--shards", type=PATH, help="Folder of shards.  [default: shards/DATASET]")
stores = combined(
    shards,
    click.option("--clips", type=PATH, help="Clip store.  [default: clips/DATASET]"),
)
data_of_run = combined(
    data("Data root.  [default: the run's]"),
    click.option("--shards", type=PATH, help="Folder of shards.  [default: the run's]"),
    click.option("--clips", type=PATH, help="Clip store.  [default: the run's]"),
)
"""Paths of data for a run, which has recorded its own."""
evaluation_resources = combined(partial, loader_workers, device)


def given(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were typed."""
    return {
        name: value
        for name, value in typed.items()
        if value is not None and value is not False and value != ()
    }


def config_of(kind: Callable[..., _T], typed: Mapping[str, Any], **nested: Any) -> _T:
    """Return the config for typed options.

    Args:
        kind: type of the config.
        typed: options by field.
        nested: fields that are configs themselves, with their defaults.

    Raises:
        click.UsageError: if options contradict each other.
    """
    values = given(typed)
    for name, default in nested.items():
        own = {field.name for field in fields(default)} & values.keys()
        values[name] = replace(default, **{field: values.pop(field) for field in own})
    try:
        return kind(**values)
    except ConfigError as err:
        raise click.UsageError(str(err)) from err


def with_newest_data(typed: dict[str, Any], *, out: str = "clips") -> dict[str, Any]:
    """Return typed options, without a DATASET with those of the data set whose detection finished
    last.

    Args:
        typed: options by field.
        out: the option of the clip store.
    """
    if typed["manifest"] is not None:
        return typed
    from orn.commands.newest_data import newest_data

    data = newest_data(typed["data_root"], TERMINAL, shards=typed.get("shards"))
    shards = {"shards": data.shards} if "shards" in typed else {}
    paths = {"manifest": data.manifest, "data_root": data.data_root, out: typed[out] or data.clips}
    return typed | shards | paths
