"""What `orn train`, `orn eval` and `orn ablate` share: where data lies, what computes on it.

Nothing heavy is imported here, since the commands' help needs it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from orn.shared.cli_options import NonEmptyPath, data_option, device_option, threads_option
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError


def wait_passively() -> None:
    """Lets threads of torch that wait for others sleep, and leave the cores to loaders and other
    processes, unless the user has said otherwise; counts if torch is imported later."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The options of that name; None takes the default of the data set, or what a run recorded."""

    data_root: Path | None = None
    """Folder under which data sets lie."""
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    no_clip_store: bool = False
    """Whether to decode every clip from its video instead."""
    partial: bool = False
    """Whether segments whose video is not there may be left out."""
    workers: int = 0
    """Processes that make batches."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    threads: int | None = None
    """Threads that compute on the CPU; None for as many as fit."""

    def __post_init__(self) -> None:
        """Raises ConfigError if there is a clip store and none."""
        if self.no_clip_store and self.clips is not None:
            raise ConfigError("--clips and --no-clip-store: wanted one of them, found both")

    def num_threads(self, *, jobs: int = 1) -> int:
        """Threads of one of so many jobs: as asked for here, else by OMP_NUM_THREADS, else one for
        each usable core of its share that the workers leave, at least one."""
        asked = os.environ.get("OMP_NUM_THREADS", "")
        if self.threads is None and asked.isdecimal() and int(asked) > 0:
            return int(asked)
        return self.threads or max(1, usable_cores() // jobs - self.workers)

    @property
    def root(self) -> Path:
        """The data root, for a data set that has no run yet."""
        return self.data_root or Path("data")

    def shards_of(self, dataset_name: str) -> Path:
        """The folder of shards, for a data set that has no run yet."""
        return self.shards or Path("shards") / dataset_name

    def clips_of(self, dataset_name: str) -> Path | None:
        """The clip store, for a data set that has no run yet; None where clips are decoded."""
        return None if self.no_clip_store else self.clips or Path("clips") / dataset_name


def folders_between(shards: Path) -> tuple[str, ...]:
    """Return the names of the folders between `shards` and a folder of shards, such as `short` of
    `shards/short/demo`; what is made of these shards is kept apart by them, too."""
    return shards.parts[1:-1] if shards.parts[:1] == ("shards",) else ()


def resource_options(
    *, of_run: bool = False, workers: int | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command these options and, as `resources`, their values.

    Args:
        of_run: whether a run has recorded where its data lies.
        workers: how many there are by default; None takes some of the cores.
    """
    path = NonEmptyPath()

    def help_text(what: str, usual: str) -> str:
        where = "the run's" if of_run else usual
        return f"{what}.  [default: {where}]"

    options = (
        click.option("--data", "data_root", type=path, help=help_text("Data root", ""))
        if of_run
        else data_option,
        click.option("--shards", type=path, help=help_text("Folder of shards", "shards/DATASET")),
        click.option("--clips", type=path, help=help_text("Clip store", "clips/DATASET")),
        click.option(
            "--no-clip-store", is_flag=True, help="Decode every clip from its video, which is slow."
        ),
        click.option(
            "--partial", is_flag=True, help="Leave out segments whose video is not there."
        ),
        click.option(
            "--workers",
            type=click.IntRange(0, 256),
            default=min(4, usable_cores() - 1) if workers is None else workers,
            show_default=True,
            help="Processes that make batches.",
        ),
        threads_option(
            "each process that trains or measures",
            usual="OMP_NUM_THREADS, else the cores that are left",
        ),
        device_option,
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(**values: Any) -> Any:
            wait_passively()
            own = {field.name: values.pop(field.name) for field in fields(Resources)}
            return command(resources=Resources(**own), **values)

        decorated: Callable[..., Any] = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
