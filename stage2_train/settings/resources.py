"""Paths of data, workers and device of training and evaluation.

This module imports nothing heavy, because the help of these commands needs it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic.dataclasses import dataclass as checked_dataclass

from orn.shared.config import fields
from orn.shared.environment import usable_cores
from orn.shared.jobs.outputs import default_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAndDevice:
    """Paths of data, workers and device; a path of None means the data set's default, or the path
    recorded by a run."""

    data_root: Path | None = None
    """Folder of all data sets."""
    shards: Path | None = None
    """Folder of shards; default: shards/DATASET."""
    clips: Path | None = None
    """Clip store; default: clips/DATASET."""
    partial: bool = False
    """Whether to omit segments whose video is missing."""
    workers: int = 0
    """Number of data-loading processes."""
    threads: int | None = None
    """CPU threads of each process, in which results may differ by rounding errors; for the default,
    see `num_threads`."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ... or `auto`."""

    def num_threads(self) -> int:
        """Return the number of threads: that given, otherwise OMP_NUM_THREADS, otherwise the usable
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


ALONE = DataAndDevice()
"""The default resources."""
WITH_WORKERS = DataAndDevice(workers=min(4, usable_cores() - 1))
"""The same, with data-loading processes."""


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
