"""Fields of requests that several commands share, each with its option said once."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from orn.shared.options import AT_COMMAS, Argument, Option, Request


def _path(value: Any) -> Any:
    if value == "":  # which Path takes for the current folder
        raise ValueError("expected a path, got an empty text; leave it out or name one")
    return value


def _without_nul(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("expected a path, got one with a NUL in it")
    return path


UNIT_FRAMES = 2000
"""About how many frames a unit of a job has, unless the user says otherwise."""
LARGEST_SEED = 2**32 - 1
"""What every random generator in use accepts."""
PRECISIONS = {
    "fp32": "float32",
    "tf32": "tfloat32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "bf16-heads": "bfloat16-heads",
    "fp16-heads": "float16-heads",
}
"""What each is called in plans and shards, which is accepted, too."""

Count = Annotated[int, Field(ge=1, le=10**9)]
"""A number of things, at least one."""
Share = Annotated[float, Field(ge=0, le=1)]
"""From 0 to 1."""
FilePath = Annotated[Path, BeforeValidator(_path), AfterValidator(_without_nul)]
"""A file or folder, which need not exist; the function that uses it says so better."""
Names = Annotated[tuple[str, ...], AT_COMMAS]
"""Several in one text, separated by commas."""
Precision = Annotated[
    Literal["float32", "tfloat32", "bfloat16", "float16", "bfloat16-heads", "float16-heads"],
    BeforeValidator(lambda value: PRECISIONS.get(value, value)),
]
"""A number format, as plans and shards record it; wants `precision_option`."""

DatasetName = Annotated[str, Argument("DATASET")]
"""The name of a shipped manifest, or the path of a manifest file."""
DataRoot = Annotated[
    FilePath,
    Option(
        "Folder under which the data sets lie.", name="--data", variable="ORN_DATA", usual="data"
    ),
]
AsJson = Annotated[bool, Option("Print one JSON object on stdout.", name="--json")]
DryRun = Annotated[bool, Option("Print the settings and the amount of work, then stop.")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED), Option("Seed of everything random.")]
Overrides = Annotated[
    tuple[str, ...],
    Option(
        "Override one setting, such as optimiser.learning_rate=1e-3; may be repeated.",
        name="--set",
        metavar="KEY=VALUE",
    ),
]
"""For `orn.shared.config.files.apply_overrides`."""
Device = Annotated[
    str,
    Option("cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.", metavar="DEVICE"),
]
Batch = Annotated[
    int,
    Field(ge=1, le=4096),
    Option("Frames that the detector sees at once; the last bits of a result depend on it."),
]
Threads = Annotated[int, Field(ge=1, le=1024)]
"""Wants `threads_option`."""
FrameRate = Annotated[
    float,
    Field(gt=0, le=1000),
    Option("Frames a second, where videos are folders of frames."),
]
PickedRate = Annotated[
    Annotated[float, Field(ge=0.001, le=1000)] | None,
    Option("Look at so many frames a second, those nearest in time.", usual="every frame"),
]


def out_option(usual: str) -> Option:
    """Return the option `--out`."""
    return Option("Where to write.", usual=usual)


def threads_option(whose: str, *, usual: str | None = None) -> Option:
    """Return the option `--threads`."""
    return Option(f"CPU threads of {whose}; the last bits of a result depend on it.", usual=usual)


def precision_option(help_text: str) -> Option:
    """Return the option `--precision`."""
    return Option(help_text, metavar=f"[{'|'.join(PRECISIONS)}]", usual="fp32")


class EngineOptions(Request):
    """Where units of work are done, for `orn.shared.jobs.engines.choose_engine`."""

    workers: Annotated[int, Field(ge=1, le=10**5), Option("Processes or actors.")] | None = None
    engine: Annotated[
        Literal["local", "ray"],
        Option("Processes of this machine, or actors of a Ray cluster."),
    ] = "local"
    address: Annotated[
        str | None,
        Option(
            "The Ray cluster; auto is the one this machine belongs to.",
            metavar="HOST:PORT",
            usual="one for this job",
        ),
    ] = None
