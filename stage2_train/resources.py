"""What commands that train or measure share: where data lies, what computes on it.

Nothing heavy is imported here, since the commands' help needs it.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from orn.shared.common_options import DataRoot, Device, FilePath, Threads, threads_option
from orn.shared.environment import usable_cores
from orn.shared.options import Option, OptionOverrides, Request


def wait_passively() -> None:
    """Lets threads of torch that wait for others sleep, and leave the cores to loaders and other
    processes, unless the user has said otherwise; counts if torch is imported later."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


ShardsFolder = Annotated[FilePath | None, Option("Folder of shards.", usual="shards/DATASET")]
ClipsFolder = Annotated[FilePath | None, Option("Clip store.", usual="clips/DATASET")]
OF_RUN = OptionOverrides(
    data_root=Option("Data root.", name="--data", usual="the run's"),
    shards=Option("Folder of shards.", usual="the run's"),
    clips=Option("Clip store.", usual="the run's"),
)
"""Of resources where a run has recorded where its data lies."""


class Resources(Request):
    """Data, and what computes on it; None takes the default of the data set, or what a run
    recorded."""

    data_root: DataRoot | None = None
    shards: ShardsFolder = None
    clips: ClipsFolder = None
    no_clip_store: Annotated[bool, Option("Decode every clip from its video, which is slow.")] = (
        False
    )
    partial: Annotated[bool, Option("Leave out segments whose video is not there.")] = False
    workers: Annotated[int, Field(ge=0, le=256), Option("Processes that make batches.")] = 0
    threads: Annotated[
        Threads | None,
        threads_option(
            "each process that trains or measures",
            usual="OMP_NUM_THREADS, else the cores that are left",
        ),
    ] = None
    device: Device = "auto"

    @model_validator(mode="after")
    def _has_one_source_of_frames(self) -> Self:
        if self.no_clip_store and self.clips is not None:
            raise ValueError(
                "--clips and --no-clip-store: expected one of them, got both; leave one out"
            )
        return self

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


WITH_WORKERS = Resources(workers=min(4, usable_cores() - 1))
"""The usual ones, with processes that make batches."""


def folders_between(shards: Path) -> tuple[str, ...]:
    """Return the names of the folders between `shards` and a folder of shards, such as `short` of
    `shards/short/demo`; what is made of these shards is kept apart by them, too."""
    return shards.parts[1:-1] if shards.parts[:1] == ("shards",) else ()
