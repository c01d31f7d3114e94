"""Request fields that several commands share, with their options."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orn.shared.config import fields
from orn.shared.options import AT_COMMAS, Argument, Option


def _path(value: Any) -> Any:
    if value == "":  # Path("") is the current folder
        raise ValueError("expected a path, got an empty string; omit the option or pass a path")
    return value


LARGEST_SEED = 2**32 - 1
"""Largest seed that NumPy accepts."""
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
"""Names of number formats in plans and shards, which are also accepted."""

Count = Annotated[int, Field(ge=1, le=10**9)]
"""A positive integer."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A fraction from 0 to 1."""
FilePath = Annotated[fields.FilePath, BeforeValidator(_path)]
"""A file or folder, which may not exist."""
Names = Annotated[tuple[str, ...], AT_COMMAS]
"""Comma-separated names."""
NumberFormat = Literal["float32", "bfloat16"]
"""A number format, as recorded in plans and shards."""
Precision = Annotated[NumberFormat, BeforeValidator(lambda value: PRECISIONS.get(value, value))]
"""A number format as an option; use with `precision_option`."""

DatasetName = Annotated[str, Argument("DATASET")]
"""The name of a bundled manifest, or the path of a manifest file."""
DataRoot = Annotated[
    FilePath | None,
    Option(
        "Data root, the folder of all data sets.",
        name="--data",
        usual="that of the manifest, else ORN_DATA, else data",
    ),
]
"""For `orn.data_manifests.load.data_root_of`."""
AsJson = Annotated[bool, Option("Print one JSON object on stdout.", name="--json")]
DryRun = Annotated[bool, Option("Print the settings and the amount of work, and exit.")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED), Option("Random seed.")]
Folds = Annotated[
    Annotated[int, Field(ge=2, le=100)] | None,
    Option("Create K folds for cross-validation instead of one split.", metavar="K"),
]
Group = Annotated[
    str | None,
    Option(
        "Column of the table, such as person; --split and --folds keep videos with the same value "
        "in one split.",
        metavar="COLUMN",
    ),
]
Overrides = Annotated[
    tuple[str, ...],
    Option(
        "Override a setting, such as optimizer.learning_rate=1e-3; may be repeated.",
        name="--set",
        metavar="KEY=VALUE",
    ),
]
"""For `orn.stage2_train.settings.recipe.apply_overrides`."""
Device = Annotated[
    str,
    Option("cpu, cuda, cuda:1, ...; auto selects a GPU if there is one.", metavar="DEVICE"),
]
BatchSize = Annotated[
    int,
    Field(ge=1, le=4096),
    Option(
        "Frames per forward pass of the detector, which affects rounding.", usual="1, on a GPU 8"
    ),
]
Threads = Annotated[int, Field(ge=1, le=1024)]
"""Use with `threads_option`."""
FrameRate = Annotated[
    float,
    Field(gt=0, le=1000),
    Option("Frames per second of videos that are folders of frames."),
]
PickedRate = Annotated[
    Annotated[float, Field(ge=0.001, le=1000)] | None,
    Option("Frames per second to process; the nearest frames are selected.", usual="every frame"),
]


def out_option(usual: str) -> Option:
    """Return the option `--out`."""
    return Option("Output file or folder.", usual=usual)


def threads_option(whose: str, *, usual: str | None = None) -> Option:
    """Return the option `--threads`."""
    return Option(f"CPU threads of {whose}; results may differ by rounding errors.", usual=usual)


def precision_option(help_text: str) -> Option:
    """Return the option `--precision`."""
    return Option(help_text, metavar=f"[{'|'.join(PRECISIONS)}]", usual="fp32")


Workers = Annotated[int, Field(ge=1, le=10**5)]
