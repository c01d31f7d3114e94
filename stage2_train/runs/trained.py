"""Trained networks with their best weights and data, from run folders or exported runs."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from orn.data_manifests.load import folds_of, load_dataset, load_manifest
from orn.data_manifests.records import FIRST_FOLD, Dataset
from orn.shared.devices import choose_device, choose_precision
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.escaped_text import is_first_process
from orn.shared.jobs.outputs import differences
from orn.shared.text import counted, first_few, path_text
from orn.shared.torch_files import mismatch
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_objects import FilmStatistics
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead, read_film_head
from orn.stage2_train.model.build import build_network, planned_network
from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.fitted_forest import FittedForest, ForestInputs, read_forest
from orn.stage2_train.parts.temperatures import NOT_FITTED, Temperatures, read_temperatures
from orn.stage2_train.runs.checkpoint import check_phase, load_best
from orn.stage2_train.runs.open_data import OpenedData, open_paths
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import (
    RunConfig,
    check_detector_classes,
    read_config,
    recorded_config,
)
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    config_digest,
    no_weights,
    weights_digest,
)
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.resources import DataAndDevice, DataPaths, data_paths

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedModel:
    """A network with its best weights and its configuration."""

    path: Path
    """Run folder."""
    config: RunConfig
    """Configuration of the run."""
    network: nn.Module
    """The network in evaluation mode."""
    phase: int
    """Index of the training phase of the weights."""
    step: int
    """Training step of the weights."""
    forest: FittedForest | None
    """The forest of the model; None if it has none."""
    film_head: FittedFilmHead | None
    """The head over time of the model; None if it has none."""
    temperatures: Temperatures
    """Temperatures of its probabilities."""

    def __repr__(self) -> str:
        return f"<OpenedModel {self.path}: {len(self.classes)} classes, on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    @property
    def heads(self) -> Heads:
        """Trained heads of the network."""
        return plan_phases(self.config.recipe, num_segments=1)[self.phase].heads

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the activities, in the order of logits."""
        return self.config.dataset.classes

    @property
    def is_multi_label(self) -> bool:
        """Whether clips can have several labels, so that probabilities do not sum to 1."""
        return self.config.dataset.task == "multi-label"

    @property
    def relates_pairs(self) -> bool:
        """Whether the network relates pairs of detected objects, so that they can be explained."""
        model = self.config.recipe.model
        return model.reads_detections and model.clique_size == 2 and self.heads != "activity"

    @property
    def detector(self) -> str:
        """Description of the detector used for the training objects."""
        return self.config.detector.title

    @property
    def detector_classes(self) -> tuple[str, ...]:
        """Names of the detector's classes."""
        return self.config.detector.class_names

    def output(self, batch: ClipBatch) -> NetworkOutput:
        """Return the output of the trained heads, in the `inference_precision` of the run."""
        precision = inference_precision(self.config, self.device.type)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            output: NetworkOutput = self.network(batch, heads=self.heads)
        return output

    @torch.inference_mode()
    def with_frozen_maps(self, batch: ClipBatch) -> ClipBatch:
        """See `ObjectVideoNetwork.with_frozen_maps`."""
        network = self.network
        return network.with_frozen_maps(batch) if isinstance(network, ObjectVideoNetwork) else batch


def inference_precision(config: RunConfig, device: str) -> Literal["fp32", "bf16"]:
    """Return the precision for a trained network: the recorded one, but fp32 on a device that
    computes bf16 slowly."""
    return "fp32" if config.recipe.precision == "fp32" else choose_precision("auto", device)


def log_precision(run: Path, config: RunConfig, device: str) -> None:
    """Log if a device does not compute in the precision that a run recorded."""
    recorded, precision = config.recipe.precision, inference_precision(config, device)
    if recorded != precision and is_first_process():
        logger.info(
            "%s: trained in %s, which this %s computes slowly; computing in %s",
            *(run, recorded, device, precision),
        )


def open_model(
    run: Path, *, device: str | torch.device = "auto", is_calibrated: bool = True
) -> OpenedModel:
    """Load the network of a run or an exported run with its best weights.

    Shapes of weights are compared before memory is allocated.

    Args:
        run: run folder or exported run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        is_calibrated: whether its temperatures are read.

    Raises:
        ConfigError: if the folder is not a run, its configuration does not match the network, or
            the device does not exist.
        CheckpointError: if the weights do not exist yet, are corrupt or do not match the network.
    """
    target = torch.device(choose_device(str(device)))
    config = read_config(run)
    path = run / BEST_NAME
    best = load_best(run)
    if best is None:
        raise no_weights(run)
    check_phase(best.phase, plan_phases(config.recipe, num_segments=1), path=path)
    planned = planned_network(config.recipe.model)
    if problem := mismatch(best.model, planned.state_dict()):
        raise CheckpointError(
            f"{path}: the weights do not match the network in {CONFIG_NAME}: {problem}; restore "
            "the files of the run"
        )
    network = build_network(config.recipe.model)
    network.load_state_dict(dict(best.model))
    forest = forest_of_run(run, config)
    if forest is None and "forest" in config.recipe.ensemble and is_first_process():
        logger.warning(
            "%s: no forest, which is fitted when training ends; using the network alone", run
        )
    temperatures = NOT_FITTED
    if is_calibrated:
        temperatures = read_temperatures(run, weights=weights_digest(run))
        check_decoder(run, config, temperatures)
    film_head = film_head_of_run(run, config)
    if film_head is None and reads_films(config) and is_first_process():
        logger.warning("%s: no head over time, which is trained last; using the others", run)
    return OpenedModel(
        path=run,
        config=config,
        network=network.eval().to(target),
        phase=best.phase,
        step=best.step,
        forest=forest,
        film_head=film_head,
        temperatures=temperatures,
    )


def check_decoder(run: Path, config: RunConfig, temperatures: Temperatures) -> None:
    """Raise CheckpointError if the decoder of a run has other labels than its classes."""
    number, task = len(config.dataset.classes), config.dataset.task
    if not temperatures.decodes(number, multi_label=task == "multi-label"):
        raise CheckpointError(
            f"{path_text(run / TEMPERATURES_NAME)}: expected a decoder of "
            f"{counted(number, 'class', 'classes')}, got another number; run `orn run` again, or "
            "export the model again"
        )


def forest_of_run(run: Path, config: RunConfig) -> FittedForest | None:
    """Return the forest of a run; None if it has none.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """
    recipe, clips = config.recipe, config.clips
    shared: dict[str, Any] = {
        "num_object_classes": len(config.detector.class_names),
        "followed": (),
        "score_threshold": recipe.data.score_threshold,
    }
    reads: ForestInputs | FilmStatistics
    if config.dataset.kind == "intervals":
        rate, window = clips.frames.rate, clips.window_seconds
        assert rate is not None and window is not None, "windows at a rate"
        reads = FilmStatistics(**shared, rate=rate, window_seconds=window)
    else:
        reads_motion = recipe.model.reads_motion
        reads = ForestInputs(
            **shared, num_frames=recipe.data.clip_frames, reads_motion=reads_motion
        )
    return read_forest(
        run,
        config=config_digest(run),
        reads=reads,
        num_classes=recipe.model.num_activities,
        multi_label=config.dataset.task == "multi-label",
    )


def reads_films(config: RunConfig) -> bool:
    """Return whether the model of a run has a head over time."""
    return config.dataset.kind == "intervals" and "film" in config.recipe.ensemble


def film_inputs(config: RunConfig, followed: tuple[int, ...] = ()) -> FilmInputs:
    """Return what the head over time of a run reads, given the followed classes of objects."""
    frames = config.clips.frames
    assert frames.rate is not None, "films are described at a rate"
    return FilmInputs(
        followed=followed,
        score_threshold=config.recipe.data.score_threshold,
        rate=frames.rate,
        map_channels=0 if frames.maps is None else frames.maps.shape[0],
        reads_motion=frames.motion is not None,
    )


def film_head_of_run(run: Path, config: RunConfig) -> FittedFilmHead | None:
    """Return the head over time of a run; None if it has none.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """
    if not reads_films(config):
        return None
    return read_film_head(
        run,
        config=config_digest(run),
        reads=film_inputs(config),
        num_labels=config.recipe.model.num_activities,
        multi_label=config.dataset.task == "multi-label",
    )


def paths_of_run(
    run: Path, config: RunConfig, resources: DataAndDevice, *, manifest: str | None = None
) -> DataPaths:
    """Return the paths of a run's data: the given paths, otherwise the paths recorded by the run;
    for an exported run or a different data set, the default paths.

    Args:
        run: run folder.
        config: its configuration.
        resources: given paths.
        manifest: name or file of a different manifest; None for the run's own.
    """
    recorded, used = config.paths(run), manifest or config.manifest
    name = load_manifest(used).name if manifest or recorded is None else config.dataset.name
    if recorded is None or name != config.dataset.name:
        return data_paths(used, name, resources)
    return replace(
        recorded,
        manifest=manifest or recorded.manifest,
        data_root=resources.data_root or recorded.data_root,
        shards=resources.shards or recorded.shards,
        clips=resources.clips or recorded.clips,
    )


def fold_runs(run: Path) -> tuple[Path, ...]:
    """Return the runs of all folds of a cross-validation in a folder; empty for other runs."""
    first = run / FIRST_FOLD
    if not (first / CONFIG_NAME).is_file():
        return ()
    paths = paths_of_run(first, recorded_config(first), DataAndDevice())
    return tuple(run / name for name in folds_of(paths.manifest))


def is_of_folds(run: Path, config: RunConfig) -> bool:
    """Return whether a run is that of a fold, or of all videos after those of folds."""
    recorded = config.paths(run)
    return recorded is not None and folds_of(recorded.manifest) != ()


def data_of_run(
    run: Path, config: RunConfig, resources: DataAndDevice, *, manifest: str | None = None
) -> OpenedData:
    """Open the data of a run at the paths from `paths_of_run`; of a data set with more classes, the
    segments of its own classes.

    Raises:
        ConfigError: if the classes of the data set or of the shards differ from the run's.
    """
    paths = paths_of_run(run, config, resources, manifest=manifest)
    dataset = load_dataset(paths.manifest, paths.data_root)
    dataset = _of_classes(run, config, dataset)
    recipe = config.recipe  # a network that reads frames also takes those of a store with maps
    maps = config.clips.frames.maps if recipe.model.has_frozen_maps else None
    opened = open_paths(dataset, paths, partial=resources.partial, recipe=recipe, maps=maps)
    names = opened.detections.detector.class_names
    check_detector_classes(run, config, names, where=paths.shards)
    return opened


def _of_classes(run: Path, config: RunConfig, dataset: Dataset) -> Dataset:
    """Return the data set with the classes of a run, without labels that were added later.

    Raises:
        ConfigError: if it does not have the classes of the run, with the same indices.
    """
    classes = config.dataset.classes
    num_classes = len(classes)
    known, new = dataset.classes[:num_classes], dataset.classes[num_classes:]
    ours, theirs = {"classes": classes}, {"classes": known}
    if differing := differences(ours, theirs, words=("in the run", "in the data set")):
        raise ConfigError(
            f"{run}: expected a data set with the classes of the run, got {dataset.name!r}: "
            f"{differing[0]}; evaluate on the data set used for training"
        )
    if not new:
        return dataset
    own = {*range(num_classes)}
    segments = tuple(
        replace(
            segment,
            labels=tuple(label for label in segment.labels if label in own),
            unsure=tuple(label for label in segment.unsure if label in own),
        )
        for segment in dataset.segments
        if dataset.task == "multi-label" or own.issuperset(segment.labels)
    )
    if is_first_process():
        logger.warning(
            "%s: reading its own %s, without %s added since (%s) and %s",
            run,
            counted(num_classes, "class", "classes"),
            counted(len(new), "class", "classes"),
            first_few(new),
            counted(len(dataset.segments) - len(segments), "segment"),
        )
    return replace(dataset, classes=classes, segments=segments)
