"""What a run is: `config.json` in its folder, and in a folder that `orn export` made of it.

It holds all that is needed beside the weights `model.safetensors`, to go on with a training or to
use the network. It is read as a file from strangers: nothing in it is run.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from orn.shared.config.bounded import read_json, require_utf8
from orn.shared.config.fields import STRICT, FileName, FilePath, Positive
from orn.shared.config.files import config_from_dict, to_dict
from orn.shared.data_files import is_there
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.same_job import check_same_job, differences
from orn.shared.manifests.load import load_manifest, own_file
from orn.shared.manifests.records import Dataset, Metric, Segment, Task, check_metric
from orn.shared.manifests.schema import Manifest
from orn.shared.masks.rules import ClassRules, ScoreKind
from orn.shared.shards.schema import DetectorEntry
from orn.shared.text import counted, path_text
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_folder import CONFIG_NAME

_FORMAT: Literal["object-relation-model"] = "object-relation-model"
_MOST_BYTES = 4 << 20
"""Of the file; a hundred thousand names of classes take about three."""

_DECIDING = ("recipe", "dataset", "weights_digest")
"""What a training is gone on with only if it is the same."""

_Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataPaths:
    """Where the data of a data set is."""

    manifest: FileName
    """Name or file of the manifest."""
    data_root: FilePath
    """Folder under which data sets lie."""
    shards: FilePath
    """Folder of the shards."""
    clips: FilePath | None = None
    """The clip store; None where frames are decoded from the videos."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Places:
    """Where a run and its data were when it was made; absolute paths."""

    run: FilePath
    """Folder of the run."""
    manifest: FilePath | None = None
    """File of the manifest; none of one that comes with the project."""
    data_root: FilePath
    """Folder under which data sets lie."""
    shards: FilePath
    """Folder of the shards."""
    clips: FilePath | None = None
    """The clip store; none where frames were decoded from the videos."""

    @classmethod
    def of(cls, paths: DataPaths, run: Path) -> Self:
        """Return the places of data for a run in the folder `run`."""
        places = {
            "run": run.resolve(),
            "manifest": own_file(load_manifest(paths.manifest)),
            "data_root": paths.data_root,
            "shards": paths.shards,
            "clips": paths.clips,
        }
        known = {name: path.absolute() for name, path in places.items() if path is not None}
        for path in known.values():
            require_utf8(path)
        return cls(**known)

    def found(self, path: Path, run: Path) -> Path:
        """Return one of these paths; if nothing is there, but is in the same place relative to the
        folder `run`, that: the data was moved together with the run."""
        moved = Path(os.path.normpath(run.resolve() / os.path.relpath(path, self.run)))
        return moved if not is_there(path) and is_there(moved) else path


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

    @model_validator(mode="after")
    def _has_its_metric(self) -> Self:
        check_metric(self.task, self.metric)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClipRecord:
    """What clips were made of."""

    frames: StoreSettings
    """Of the clip store, or of the one that there would be."""
    are_stored: bool = False
    """Whether pixels are those of a store, after JPEG; else they came straight from the videos."""
    window_seconds: Positive | None = None
    """How long a segment was, the median; none where that is not known."""
    longest_seconds: Positive | None = None
    """How long the longest was."""

    @classmethod
    def of(cls, frames: StoreSettings, *, are_stored: bool, seconds: Sequence[float]) -> Self:
        """Return the record of frames, and of segments that are so long."""
        return cls(
            frames=frames,
            are_stored=are_stored,
            window_seconds=median(seconds) if seconds else None,
            longest_seconds=max(seconds, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Normalisation:
    """What is done to the colours of frames, as shares of 255."""

    mean: _Colour
    """Of red, green and blue, subtracted."""
    std: _Colour
    """By which it is divided then."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StartedFrom:
    """The training whose weights a network began with."""

    run: str
    """Name of its folder."""
    dataset: str
    """Name of its data set."""
    step: int
    """After how many of its steps."""
    num_taken: int
    """Tensors that were taken."""
    new: tuple[str, ...]
    """Names of those that were not: the classifiers'."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RunConfig:
    """Everything that decides a training, and that a trained network needs beside its weights."""

    format: Literal["object-relation-model"] = _FORMAT
    format_version: Literal[1] = 1
    recipe_name: str
    """What the recipe was called."""
    system: str | None = None
    """Which system of the paper's tables was asked for, and with which other settings; none for
    what the recipe says."""
    recipe: Recipe
    """The recipe, every setting resolved; `recipe.model` is the architecture."""
    weights_digest: str | None = None
    """Digest of the weights that the network or its ResNet started from; none for random ones."""
    started_from: StartedFrom | None = None
    """The training that the weights are of, where they are not those of a ResNet alone."""
    dataset: DatasetRecord
    """What it is trained on; its classes are those of the logits, in order."""
    manifest: FileName
    """Name of its manifest, or of the manifest's file."""
    clips: ClipRecord
    """What clips are made of; `recipe.data` says how."""
    normalisation: Normalisation | None = None
    """Of frames; none where the network looks at none."""
    detector: DetectorEntry
    """What found the objects."""
    score_kind: ScoreKind = "softmax"
    """What the scores of objects are, which class vectors are made of."""
    places: Places | None = None
    """Where the data was; none of a run that was exported."""

    @model_validator(mode="after")
    def _has_a_name_for_each_class(self) -> Self:
        model = self.recipe.model
        for name, wanted, names in (
            ("dataset.classes", model.num_activities, self.dataset.classes),
            ("detector.class_names", model.num_detector_classes, self.detector.class_names),
        ):
            if wanted != len(names):
                number = counted(wanted, "class", "classes")
                raise ValueError(f"{name}: expected the names of {number}, got {len(names)}")
        return self

    @property
    def object_rules(self) -> ClassRules:
        """What labels and scores of its objects are."""
        return ClassRules(num_classes=len(self.detector.class_names), score_kind=self.score_kind)

    def paths(self, run: Path) -> DataPaths | None:
        """Return where the data is of a run in the folder `run`; None of one that was exported."""
        if (places := self.places) is None:
            return None
        manifest, clips = places.manifest, places.clips
        return DataPaths(
            manifest=self.manifest if manifest is None else str(places.found(manifest, run)),
            data_root=places.found(places.data_root, run),
            shards=places.found(places.shards, run),
            clips=None if clips is None else places.found(clips, run),
        )


def data_paths(manifest: str, dataset_name: str, resources: Resources) -> DataPaths:
    """Where the data of a data set lies that has no run yet; `manifest` is its name or file."""
    return DataPaths(
        manifest=manifest,
        data_root=resources.root,
        shards=resources.shards_of(dataset_name),
        clips=resources.clips_of(dataset_name),
    )


def describe_dataset(
    manifest: Dataset | Manifest, classes: tuple[str, ...], train_segments: tuple[Segment, ...]
) -> DatasetRecord:
    """The record of a data set as it is used."""
    return DatasetRecord(
        name=manifest.name,
        task=manifest.task,
        metric=manifest.metric,
        classes=classes,
        num_train=len(train_segments),
        train_digest=segments_digest(train_segments),
    )


def segments_digest(segments: tuple[Segment, ...]) -> str:
    """`sha256:...` of ids, times and labels, in order."""
    digest = hashlib.sha256()
    for segment in segments:
        row = (segment.id, segment.start_seconds, segment.stop_seconds, segment.labels)
        digest.update(f"{row}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def read_config(run: Path) -> RunConfig:
    """The configuration of a run, or of one that was exported.

    Raises:
        ConfigError: if the folder holds none, or the file is large or holds something else.
    """
    path = run / CONFIG_NAME
    if not path.exists():
        raise ConfigError(
            f"{path_text(run)}: expected the folder of a run or of an exported one, got no "
            f"{CONFIG_NAME} in it; `orn train` and `orn export` write such folders"
        )
    raw = read_json(path, most_bytes=_MOST_BYTES)
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != _FORMAT:
        raise ConfigError(
            f"{path_text(path)}: expected format {_FORMAT!r}, got {path_text(repr(found))}; `orn "
            "train` and `orn export` write such files"
        )
    return config_from_dict(raw, RunConfig, source=path_text(path))


def write_config(run: Path, config: RunConfig) -> None:
    """Writes the configuration of a run into its folder, whole or not at all.

    Raises:
        PipelineError: if the disk refuses.
    """
    text = json.dumps(to_dict(config), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(run / CONFIG_NAME, text + "\n")


def check_detector_classes(
    run: object, config: RunConfig, found: tuple[str, ...], *, where: object
) -> None:
    """Refuse objects whose classes are not those of a run, in the same order.

    Args:
        run: the folder of the run, or its name.
        config: what it is; a network that reads no detections takes any.
        found: names of the classes.
        where: what has these objects.

    Raises:
        ConfigError: naming what differs.
    """
    wanted, words = config.detector.class_names, ("in the run", "here")
    differing = differences({"classes": wanted}, {"classes": found}, words=words)
    if differing and config.recipe.model.reads_detections:
        raise ConfigError(
            f"{path_text(where)}: expected objects of the classes of {run}, got others: "
            f"{'; '.join(differing)}; detect with the detector of the run, "
            f"{path_text(config.detector.title)}, or train anew on these objects"
        )


def check_same_run(run: Path, recorded: RunConfig, wanted: RunConfig) -> None:
    """Refuses to go on with a run under another configuration.

    Raises:
        ConfigError: naming every setting that differs, what the run has and what was asked for; or
            if the run is an exported one.
    """
    if recorded.places is None:
        raise ConfigError(
            f"{run}: expected the folder of a training, got an exported run; give another --run"
        )
    ours, theirs = (
        {name: value for name, value in to_dict(config).items() if name in _DECIDING}
        | {"detector": config.detector.title}
        for config in (recorded, wanted)
    )
    remedy = "give another --run, or the same settings to go on with this one"
    check_same_job(ours, theirs, place=run, remedy=remedy)
