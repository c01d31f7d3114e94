"""What a run is: recipe, data set and first weights, saved as the run folder's `config.toml`.

A run folder is resumed only by the same configuration; paths may change, since data sets move.
"""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, FileName, FilePath, Maybe
from orn.shared.config.files import load_config, to_dict
from orn.shared.errors import ConfigError
from orn.shared.jobs.same_job import check_same_job
from orn.shared.manifests.records import Dataset, Metric, Segment, Task, check_metric
from orn.shared.manifests.schema import Manifest
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_folder import CONFIG_NAME


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataPaths:
    """Where the data was when the run was made."""

    manifest: FileName
    """Name or file of the manifest."""
    data_root: FilePath
    """Folder under which data sets lie."""
    shards: FilePath
    """Folder of the shards."""
    clips: Maybe[FilePath] = None
    """The clip store; none where frames were decoded from the videos."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DatasetRecord:
    """What must not change of a data set between training and evaluation."""

    name: str
    """Name of the manifest."""
    task: Task
    """Kind of labels."""
    metric: Metric
    """What is measured."""
    classes: tuple[str, ...]
    """Names of the activities, in the order of the logits."""
    num_train: int
    """Training segments in use."""
    train_digest: str
    """Digest of their ids, times and labels."""
    detector: str
    """Config and checkpoint of the detector that made the shards."""

    @model_validator(mode="after")
    def _has_its_metric(self) -> Self:
        check_metric(self.task, self.metric)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RunConfig:
    """Everything that decides a training."""

    recipe_name: str
    """What the recipe was called."""
    system: Maybe[str] = None
    """Which system of the paper's tables was asked for, and with which other settings; none for
    what the recipe says."""
    recipe: Recipe
    """The recipe, every setting resolved."""
    dataset: DatasetRecord
    """What it is trained on."""
    weights_digest: Maybe[str] = None
    """Digest of the weights that the ResNet started from; none for random ones."""
    paths: DataPaths
    """Where the data was."""


def data_paths(manifest: str, dataset_name: str, resources: Resources) -> DataPaths:
    """Where the data of a data set lies that has no run yet; `manifest` is its name or file."""
    return DataPaths(
        manifest=manifest,
        data_root=resources.root,
        shards=resources.shards_of(dataset_name),
        clips=resources.clips_of(dataset_name),
    )


def describe_dataset(
    manifest: Dataset | Manifest,
    classes: tuple[str, ...],
    train_segments: tuple[Segment, ...],
    *,
    detector: str,
) -> DatasetRecord:
    """The record of a data set as it is used."""
    return DatasetRecord(
        name=manifest.name,
        task=manifest.task,
        metric=manifest.metric,
        classes=classes,
        num_train=len(train_segments),
        train_digest=segments_digest(train_segments),
        detector=detector,
    )


def segments_digest(segments: tuple[Segment, ...]) -> str:
    """`sha256:...` of ids, times and labels, in order."""
    digest = hashlib.sha256()
    for segment in segments:
        row = (segment.id, segment.start_seconds, segment.stop_seconds, segment.labels)
        digest.update(f"{row}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def load_run_config(run: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        ConfigError: if the folder holds no run.
    """
    path = run / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{run}: wanted the folder of a training run, found no {CONFIG_NAME} in it; "
            "`orn train` makes one"
        )
    return load_config(path, RunConfig)


def check_same_run(run: Path, recorded: RunConfig, wanted: RunConfig) -> None:
    """Refuses to go on with a run under another configuration.

    Raises:
        ConfigError: naming every setting that differs, what the run has and what was asked for.
    """
    ignored = ("paths", "recipe_name", "system")
    ours, theirs = (
        {name: value for name, value in to_dict(config).items() if name not in ignored}
        for config in (recorded, wanted)
    )
    remedy = "give another --run, or the same settings to go on with this one"
    check_same_job(ours, theirs, place=run, remedy=remedy)
