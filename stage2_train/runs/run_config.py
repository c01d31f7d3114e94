"""The configuration of a run: `config.json` in a run folder or a folder written by `orn export`.

Together with the weights in `model.safetensors`, it contains everything needed to use the network
or to resume its training. It is read as untrusted data: nothing in it is executed.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from orn.data_manifests.load import load_manifest, own_file
from orn.data_manifests.records import (
    FIRST_FOLD,
    Dataset,
    Kind,
    Metric,
    Segment,
    Task,
    check_metric,
)
from orn.shared.config.fields import STRICT, FileName, FilePath, Positive, Printable
from orn.shared.config.toml_files import config_from_dict, to_dict
from orn.shared.data_files import json_digest, read_json, require_utf8
from orn.shared.errors import ConfigError
from orn.shared.escaped_text import is_first_process
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import Marker, check_same_job, differences
from orn.shared.masks.validate import ScoreKind
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.text import counted, path_text
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    LAST_NAME,
    MAX_BYTES,
    PREVIOUS_NAME,
    check_digest,
    no_weights,
)
from orn.stage2_train.settings.recipe import Recipe
from orn.stage2_train.settings.resources import DataPaths

logger = logging.getLogger(__name__)

_FORMAT: Literal["object-relation-model"] = "object-relation-model"
MODEL_MARKER = Marker(name=CONFIG_NAME, mark=b'"format": "object-relation-model"')
"""Marker of a run or an exported run."""

_FIXED = ("recipe", "dataset", "weights_digest")
"""Sections that must not change when training is resumed, except for `recipe.precision`."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RecordedPaths:
    """Paths of a run and its data, recorded when the run started."""

    run: FilePath
    """Absolute path of the run folder; the other paths are relative to it."""
    manifest: FilePath | None = None
    """File of the manifest; None for a manifest in the package."""
    data_root: FilePath
    """Data root, the parent folder of data sets."""
    shards: FilePath
    """Folder of shards."""
    clips: FilePath
    """Clip store."""

    @classmethod
    def of(cls, paths: DataPaths, run: Path) -> Self:
        """Return the paths of the data and the run folder."""
        paths_of = {
            "manifest": own_file(load_manifest(paths.manifest)),
            "data_root": paths.data_root,
            "shards": paths.shards,
            "clips": paths.clips,
        }
        known = {name: path.absolute() for name, path in paths_of.items() if path is not None}
        run = run.resolve()
        for path in (run, *known.values()):
            require_utf8(path)
        relative = {name: Path(os.path.relpath(path, run)) for name, path in known.items()}
        return cls(run=run, **relative)

    def resolve(self, path: Path, run: Path) -> Path:
        """Return the path of recorded data relative to the current run folder, because data may
        have been copied or moved with the run; if it does not exist, its earlier absolute path if
        that exists."""
        here, earlier = (Path(os.path.normpath(base / path)) for base in (run.resolve(), self.run))
        if os.path.lexists(here) or not os.path.lexists(earlier):
            return here
        _report_elsewhere(run, here, earlier)
        return earlier


@cache
def _report_elsewhere(run: Path, expected: Path, got: Path) -> None:
    """Log, once per process, that a run reads data from where they were when it started."""
    if is_first_process():
        logger.info("%s: nothing at %s; reading %s, where the run started", run, expected, got)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DatasetRecord:
    """Properties of a data set that must not change between training and evaluation."""

    name: str
    """Name of the manifest."""
    task: Task
    """Type of labels."""
    metric: Metric
    """Validation metric."""
    classes: tuple[Printable, ...]
    """Names of the activities, in the order of logits."""
    kind: Kind = "segments"
    """Whether clips are segments, or windows of long videos in which intervals are found."""
    num_train: int
    """Number of training segments."""
    train_digest: str
    """Digest of the training segments with their times, labels and groups."""

    @classmethod
    def of(cls, dataset: Dataset, train: tuple[Segment, ...]) -> Self:
        """Return the record of a data set and its training segments; of long videos, the intervals
        and not the windows."""
        if dataset.films is not None:
            videos = {segment.video_id for segment in train}
            train = tuple(own for own in dataset.segments if own.video_id in videos)
        shared = {name: getattr(dataset, name) for name in ("name", "task", "metric", "classes")}
        return cls(
            kind="segments" if dataset.films is None else "intervals",
            num_train=len(train),
            train_digest=labels_digest(train),
            **shared,
        )

    @model_validator(mode="after")
    def _has_its_metric(self) -> Self:
        check_metric(self.task, self.metric)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClipRecord:
    """Source of clips."""

    frames: StoreSettings
    """Settings of the clip store."""
    window_seconds: Positive | None = None
    """Median duration of a segment in seconds; None if unknown."""
    longest_seconds: Positive | None = None
    """Duration of the longest segment in seconds; None if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StartedFrom:
    """The training run that a run fine-tunes."""

    run: str
    """Name of its run folder."""
    dataset: str
    """Name of its data set."""
    step: int
    """Training step of the weights."""
    num_loaded: int
    """Number of loaded tensors."""
    random: tuple[str, ...]
    """Names of the tensors that were not loaded, i.e. classifier weights."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RunConfig:
    """Configuration of a training run and of the trained network."""

    format: Literal["object-relation-model"] = _FORMAT
    format_version: Literal[2] = 2
    recipe_name: str
    """Name of the recipe."""
    system: str | None = None
    """System in the paper's tables, and settings that differ from it; None for the recipe's own
    network."""
    recipe: Recipe
    """The recipe with all settings resolved; `recipe.model` is the architecture."""
    weights_digest: str | None = None
    """Digest of the initial weights of the network or its ResNet; None for random weights."""
    started_from: StartedFrom | None = None
    """The training run that this run fine-tunes; None for initial weights of a ResNet alone."""
    dataset: DatasetRecord
    """The training data; its classes are the classes of the logits."""
    manifest: FileName
    """Name of the manifest, or of its file."""
    clips: ClipRecord
    """Source of clips; their settings are in `recipe.data`."""
    detector: DetectorEntry
    """Detector used to detect the objects."""
    score_kind: ScoreKind
    """Type of the detector's scores, which determines class vectors."""
    recorded_paths: RecordedPaths | None = None
    """Paths of the data; None for an exported run."""

    @model_validator(mode="after")
    def _has_a_name_for_each_class(self) -> Self:
        model = self.recipe.model
        for name, number, names in (
            ("dataset.classes", model.num_activities, self.dataset.classes),
            ("detector.class_names", model.num_detector_classes, self.detector.class_names),
        ):
            if number != len(names):
                classes = counted(number, "class", "classes")
                raise ValueError(f"{name}: expected the names of {classes}, got {len(names)}")
        return self

    def paths(self, run: Path) -> DataPaths | None:
        """Return the paths of the run's data; None for an exported run."""
        if (recorded := self.recorded_paths) is None:
            return None
        manifest = recorded.manifest
        return DataPaths(
            manifest=self.manifest if manifest is None else str(recorded.resolve(manifest, run)),
            data_root=recorded.resolve(recorded.data_root, run),
            shards=recorded.resolve(recorded.shards, run),
            clips=recorded.resolve(recorded.clips, run),
        )


def labels_digest(segments: Iterable[Segment]) -> str:
    """Return the digest of segments, in order, with their times, labels and groups."""
    return json_digest([asdict(segment) for segment in segments])


def read_config(run: Path, *, unfinished: bool = False) -> RunConfig:
    """Read the configuration of a run or of an exported run; it must match the run's weights.

    Args:
        run: the folder.
        unfinished: whether the best weights may be missing, to resume a run.

    Raises:
        ConfigError: if the file is missing, too large, invalid or damaged.
        CheckpointError: if there are no weights yet, or they are damaged.
    """
    raw = _read(run)
    if not (unfinished or os.path.lexists(run / BEST_NAME)):
        raise no_weights(run)
    # First, because the keys of an older release may be unknown.
    check_digest(run, raw, (LAST_NAME, PREVIOUS_NAME, BEST_NAME) if unfinished else (BEST_NAME,))
    return config_from_dict(raw, RunConfig, where=path_text(run / CONFIG_NAME))


def config_to_resume(run: Path) -> RunConfig | None:
    """Return the configuration of a run that may be unfinished; None for a new run."""
    return read_config(run, unfinished=True) if (run / CONFIG_NAME).is_file() else None


def recorded_config(run: Path) -> RunConfig:
    """Return the configuration of a run without comparing it with the weights, to list the run.

    Raises:
        ConfigError: if the file is missing, too large or invalid.
    """
    return config_from_dict(_read(run), RunConfig, where=path_text(run / CONFIG_NAME))


def _read(run: Path) -> dict[str, Any]:
    """Return the content of a configuration of this format."""
    path = run / CONFIG_NAME
    if not path.exists():
        there = f"a folder without {CONFIG_NAME}" if run.is_dir() else "none"
        remedy = "create one with `orn train` or `orn export`"
        if (run / FIRST_FOLD / CONFIG_NAME).exists():
            there = "the folds of a cross-validation"
            remedy = "use that of a fold, or finish `orn run --folds` without --no-final"
        raise ConfigError(
            f"{path_text(run)}: expected a run folder or an exported run, got {there}; {remedy}"
        )
    raw = read_json(path, most_bytes=MAX_BYTES)
    got = raw.get("format") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or got != _FORMAT:
        raise ConfigError(
            f"{path_text(path)}: expected format {_FORMAT!r}, got {path_text(repr(got))}; create a "
            "run with `orn train` or `orn export`"
        )
    return raw


def write_config(run: Path, config: RunConfig) -> None:
    """Write the configuration of a run atomically.

    Raises:
        PipelineError: if the file cannot be written.
    """
    text = json.dumps(to_dict(config), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(run / CONFIG_NAME, text + "\n")


def check_detector_classes(
    run: object, config: RunConfig, classes: tuple[str, ...], *, where: object
) -> None:
    """Check that objects have the classes of a run, in the same order.

    Args:
        run: run folder or its name.
        config: configuration of the run; a network that reads no detections accepts all classes.
        classes: names of the classes.
        where: path of the objects.

    Raises:
        ConfigError: if the classes differ; lists the differences.
    """
    expected, words = config.detector.class_names, ("in the run", "here")
    differing = differences({"classes": expected}, {"classes": classes}, words=words)
    if differing and config.recipe.model.reads_detections:
        raise ConfigError(
            f"{path_text(where)}: the classes of these objects differ from the classes of {run}: "
            f"{'; '.join(differing)}; use the run's detector, {path_text(config.detector.title)}, "
            "or train a new run on these objects"
        )


def check_same_run(run: Path, recorded: RunConfig, requested: RunConfig) -> None:
    """Check that a run can be resumed with a configuration.

    Raises:
        ConfigError: if settings differ, with a list of them; also raised for an exported run.
    """
    if recorded.recorded_paths is None:
        raise ConfigError(f"{run}: expected a run folder, got an exported run; change --run")
    ours, theirs = (_fixed_settings(config) for config in (recorded, requested))
    remedy = "pass a different --run, or the same settings and labels to resume this run"
    check_same_job(ours, theirs, where=run, remedy=remedy)


def _fixed_settings(config: RunConfig) -> dict[str, Any]:
    """Return what must not change when training is resumed."""
    fixed = {name: value for name, value in to_dict(config).items() if name in _FIXED}
    del fixed["recipe"]["precision"]
    return fixed | {"detector": config.detector.identity}
