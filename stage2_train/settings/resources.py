"""Options shared by commands for training and evaluation: paths of data, workers, device; and the
data set that commands use if none is given, the one whose detection finished last.

This module imports nothing heavy, because the help of these commands needs it.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from orn.shared.common_options import (
    Count,
    DataRoot,
    Device,
    FilePath,
    Overrides,
    Seed,
    Threads,
    threads_option,
)
from orn.shared.config import fields
from orn.shared.echo import echo, is_first_process
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import default_folder
from orn.shared.options import Argument, Option, OptionOverrides, Request
from orn.shared.text import path_text

if TYPE_CHECKING:
    from orn.shared.jobs.plan import Plan


def wait_passively() -> None:
    """Make idle PyTorch threads sleep, which leaves the cores to loaders and other processes,
    unless the environment specifies otherwise. Call this before importing torch."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


RunFolder = Annotated[FilePath, Argument("RUN")]
Recipe = Annotated[str | None, Option("Name or TOML file of a recipe.", usual="depends on DATASET")]
System = Annotated[
    str | None,
    Option(
        "System in the paper's tables (docs/train.md), instead of the recipe's.",
        metavar="NAME",
    ),
]
Weights = Annotated[FilePath | None, Option("Initial weights: a torchvision state dict.")]
ShardsFolder = Annotated[FilePath | None, Option("Folder of shards.", usual="shards/DATASET")]
ClipsFolder = Annotated[FilePath | None, Option("Clip store.", usual="clips/DATASET")]
OF_RUN = OptionOverrides(
    data_root=Option("Data root.", name="--data", usual="the run's"),
    shards=Option("Folder of shards.", usual="the run's"),
    clips=Option("Clip store.", usual="the run's"),
)
"""Defaults of options for a run, which has recorded the paths of its data."""


class DataAndDevice(Request):
    """Paths of data, workers and device; a path of None means the data set's default, or the path
    recorded by a run."""

    data_root: DataRoot = None
    shards: ShardsFolder = None
    clips: ClipsFolder = None
    partial: Annotated[bool, Option("Omit segments whose video is missing.")] = False
    workers: Annotated[int, Field(ge=0, le=256), Option("Number of data-loading processes.")] = 0
    threads: Annotated[
        Threads | None,
        threads_option(
            "each process that trains or measures",
            usual="OMP_NUM_THREADS, else the number of remaining cores",
        ),
    ] = None
    device: Device = "auto"

    def num_threads(self) -> int:
        """Return the number of threads: --threads, otherwise OMP_NUM_THREADS, otherwise the usable
        cores minus the workers, at least 1."""
        asked = os.environ.get("OMP_NUM_THREADS", "")
        if self.threads is None and asked.isdecimal() and int(asked) > 0:
            return int(asked)
        return self.threads or max(1, usable_cores() - self.workers)

    def shards_of(self, dataset_name: str) -> Path:
        """Return the folder of shards for a data set without a run."""
        return self.shards or default_folder("shards", dataset_name)

    def clips_of(self, dataset_name: str) -> Path:
        """Return the clip store for a data set without a run."""
        return self.clips or default_folder("clips", dataset_name)


WITH_WORKERS = DataAndDevice(workers=min(4, usable_cores() - 1))
"""The default resources, with data-loading processes."""


NEWEST = "(newest)"
"""Placeholder for the name of the data set whose detection finished last."""


class TrainRequest(Request):
    """Options of `orn train`; None selects the default."""

    manifest: Annotated[str, Argument("DATASET")] = NEWEST
    recipe: Recipe = None
    system: System = None
    overrides: Overrides = ()
    run: Annotated[
        FilePath | None, Option("Run folder.", usual="runs/DATASET-RECIPE-SYSTEM-seedN")
    ] = None
    weights: Weights = None
    start: Annotated[
        str | Path | None,
        Option(
            "Fine-tune a run, a model folder or hf://ORG/NAME: start from its weights, except "
            "those of the classifiers.",
            name="--from",
            metavar="RUN",
        ),
    ] = None
    seed: Annotated[Seed | None, Option("Seed, instead of the recipe's.")] = None
    max_steps: Annotated[Count | None, Option("Stop after this number of steps.")] = None
    resources: DataAndDevice = WITH_WORKERS

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if self.start is not None and self.weights is not None:
            raise ValueError("--from and --weights: expected at most one, got both; omit one")
        return self


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=fields.STRICT)
class DataPaths:
    """Paths of the data of a data set."""

    manifest: fields.FileName
    """Name or file of the manifest."""
    data_root: fields.FilePath
    """Data root, the parent folder of data sets."""
    shards: fields.FilePath
    """Folder of shards."""
    clips: fields.FilePath
    """Clip store."""


def data_paths(manifest: str, dataset_name: str, resources: DataAndDevice) -> DataPaths:
    """Return the paths for a data set without a run; `manifest` is its name or file."""
    from orn.data_manifests.load import data_root_of, load_manifest

    return DataPaths(
        manifest=manifest,
        data_root=data_root_of(load_manifest(manifest), resources.data_root),
        shards=resources.shards_of(dataset_name),
        clips=resources.clips_of(dataset_name),
    )


def folders_between(shards: Path) -> tuple[str, ...]:
    """Return the names of the folders between `shards` and a folder of shards, such as `seed-1` for
    `shards/seed-1/demo`; clip stores and runs for these shards use the same folder names."""
    return shards.parts[1:-1] if shards.parts[:1] == ("shards",) else ()


_FOLDERS = ("*", "*/*")
"""Patterns of folders of shards: `shards/DATASET`, `shards/seed-1/demo` of `orn demo --seed 1`."""


def newest_data(data_root: Path | None, *, shards: Path | None = None) -> DataPaths:
    """Return the paths of the data set whose detection finished last, and print it to stderr.

    Args:
        data_root: data root that the user gave; None: the one that the detection recorded, if it
            exists, else that of the data set.
        shards: folder of shards; None for the most recent one.

    Raises:
        PipelineError: if no detection has finished.
        ConfigError: if the manifest is missing.
    """
    from orn.data_manifests.load import data_root_of, load_manifest, manifest_of

    folder, plan, line = last_completed(None if shards is None else [shards])
    manifest = manifest_of(plan, remedy="name the file as DATASET")
    if is_first_process():
        echo(line, err=True)
    name, recorded = plan.dataset, plan.data_root
    if recorded is not None and data_root is None and os.path.isdir(recorded):
        data_root = Path(recorded)
    return DataPaths(
        manifest=manifest,
        data_root=data_root_of(load_manifest(manifest), data_root),
        shards=folder,
        clips=default_folder("clips", *folders_between(folder), name),
    )


def last_completed(folders: Sequence[Path] | None = None) -> tuple[Path, "Plan", str]:
    """Return the complete folder with the most recent shard, its plan, and a line that states which
    data set was selected, and why.

    Args:
        folders: candidates; None for all folders in `shards`.

    Raises:
        PipelineError: if no folder is complete.
    """
    from orn.shared.jobs.plan import PLAN_NAME, Plan
    from orn.shared.shards.shard_format import SHARD_FILES

    where = "shards" if folders is None else ", ".join(map(path_text, folders))
    if folders is None:
        parent = default_folder("shards")
        folders = [folder for pattern in _FOLDERS for folder in sorted(parent.glob(pattern))]
    complete, lacking = [], []
    for folder in folders:
        try:
            plan = Plan.load(folder)
        except ConfigError:
            lacking.append(f"{path_text(folder)} (its {PLAN_NAME} is damaged)")
            continue
        if plan is None:
            continue
        missing, number = len(SHARD_FILES.missing(plan.units, folder)), len(plan.units)
        if missing:
            lacking.append(f"{path_text(folder)} ({number - missing} of {number} shards)")
        elif number:
            complete.append((_last_time(folder, plan), folder, plan))
    if not complete:
        got = ", ".join(lacking) or "none"
        raise PipelineError(
            f"{where}: expected a complete folder of shards, got {got}; run `make demo` or "
            "`make detect DATASET=...` first (`orn demo`, `orn detect`)"
        )
    when, folder, plan = max(complete, key=itemgetter(0))
    others = "".join(f"; incomplete: {folder}" for folder in lacking)
    line = (
        f"{plan.dataset}: the data set whose detection was completed last "
        f"({path_text(folder)}, {when:%Y-%m-%d %H:%M}){others}"
    )
    return folder, plan, line


def _last_time(folder: Path, plan: "Plan") -> datetime:
    """Return the time of the last shard."""
    from orn.shared.shards.shard_format import shard_path

    times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
    return datetime.fromtimestamp(max(times))


def with_newest_data(resources: DataAndDevice) -> tuple[str, DataAndDevice]:
    """Return the manifest of that data set, and resources completed with its paths; for errors, see
    `newest_data`."""
    data = newest_data(resources.data_root, shards=resources.shards)
    clips = resources.clips or data.clips
    completed = resources.changed(data_root=data.data_root, shards=data.shards, clips=clips)
    return data.manifest, completed
