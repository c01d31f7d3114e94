"""The job of `orn import-checkpoint`: convert a checkpoint from the paper's authors into a run."""

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from orn.shared.data_files import file_digest
from orn.shared.errors import CheckpointError
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.tensors import mismatch
from orn.shared.text import path_text
from orn.shared.torch_files import read_torch_file, tensors_in
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.model.authors_weights import UnsupportedWeights, settings_of, weights_of
from orn.stage2_train.model.build import build_network, planned_network
from orn.stage2_train.runs.checkpoint import Checkpoint, TrainingState, save_best, save_last
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import (
    ClipRecord,
    DatasetRecord,
    Places,
    RunConfig,
    describe_dataset,
    write_config,
)
from orn.stage2_train.runs.run_folder import config_digest, record_start
from orn.stage2_train.runs.trained import normalization_of
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.resources import Resources, data_paths

_WHAT = "a checkpoint of the authors' code"
_ARCHITECTURE = "orn_two_heads"
_RECIPE = "authors_vlog"
_DETECTOR = DetectorEntry(
    config_name="imported objects, format authors",
    config_digest="unknown",
    checkpoint_digest="unknown",
    class_names=COCO_CLASSES,
)
"""Detector of the shards made by `orn import-objects` from the authors' masks."""
_SPLITS = ("train", "validation")
_PARALLEL = "module."
"""Prefix that PyTorch's DataParallel adds to all names."""


def import_checkpoint(
    file: Path, out: Path, *, dataset: str, resources: Resources, overrides: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Convert a checkpoint into a finished run with the recipe `authors_vlog`.

    Args:
        file: the authors' checkpoint.
        out: run folder to create.
        dataset: name or file of the manifest for the training data set.
        resources: paths of the data.
        overrides: overrides of the recipe; network sizes come from the weights.

    Returns:
        The run, data set, number of activities, backbone and number of weights.

    Raises:
        CheckpointError: if the file is not such a checkpoint, or no configuration describes its
            network.
        ConfigError: if the folder is not empty.
    """
    check_output_folder(out, marker=None)
    theirs = _read(file)
    try:
        settings = settings_of(theirs)
        manifest = load_manifest(dataset)
        listing = load_listing(manifest, resources.root)  # videos may be missing
        segments = tuple(each for each in listing.segments if each.split in _SPLITS)
        record = describe_dataset(manifest, listing.classes, segments)
        recipe = _recipe(overrides, settings, record)
        expected = planned_network(recipe.model).state_dict()
        ours = weights_of(theirs, expected)
    except UnsupportedWeights as err:
        raise CheckpointError(
            f"{path_text(file)}: cannot convert the checkpoint: it {err}"
        ) from err
    if problem := mismatch(ours, expected):
        raise CheckpointError(f"{path_text(file)}: the weights do not match the network: {problem}")
    network = build_network(recipe.model)
    network.load_state_dict(ours)
    paths = data_paths(dataset, manifest.name, resources)
    stored = StoreSettings(size=(manifest.clips.height, manifest.clips.width))
    if paths.clips is not None and paths.clips.exists():
        stored = ClipStore(paths.clips).settings
    config = RunConfig(
        recipe_name=_RECIPE,
        recipe=recipe,
        weights_digest=file_digest(file, error=CheckpointError),
        dataset=record,
        manifest=Path(dataset).name,
        clips=ClipRecord(frames=stored, are_stored=paths.clips is not None),
        normalization=normalization_of(network),
        detector=_DETECTOR,
        score_kind="label",
        places=Places.of(paths, out),
    )
    _write(out, config, network)
    return {
        "run": str(out),
        "dataset": record.name,
        "num_activities": recipe.model.num_activities,
        "backbone": recipe.model.backbone,
        "num_weights": len(theirs),
    }


def _read(file: Path) -> dict[str, Tensor]:
    """Return the weights by name, without the prefix `module.`."""
    content = read_torch_file(file, what=_WHAT)
    weights = tensors_in(content.get("state_dict")) if type(content) is dict else None
    if not weights:
        raise CheckpointError(
            f"{path_text(file)}: expected {_WHAT}, got a file without tensors in 'state_dict'"
        )
    arch = content.get("arch", _ARCHITECTURE)
    if arch != _ARCHITECTURE:
        raise CheckpointError(
            f"{path_text(file)}: expected architecture {_ARCHITECTURE}, got {path_text(str(arch))}"
        )
    other = [name for name in weights if not name.startswith(_PARALLEL)]
    if other:
        raise CheckpointError(
            f"{path_text(file)}: expected {_WHAT}, whose tensor names start with {_PARALLEL}, got "
            f"tensor {path_text(other[0])}"
        )
    return {name.removeprefix(_PARALLEL): tensor for name, tensor in weights.items()}


def _recipe(overrides: tuple[str, ...], settings: dict[str, Any], record: DatasetRecord) -> Recipe:
    """Return the authors' recipe with the network that matches the weights."""
    if settings["num_activities"] != len(record.classes):
        raise UnsupportedWeights(
            f"has {settings['num_activities']} activities, but {record.name} has "
            f"{len(record.classes)}; pass the data set used for training with --dataset"
        )
    recipe = load_recipe(_RECIPE, num_activities=len(record.classes), overrides=overrides)
    try:
        # The first phase's classifier is not in the checkpoint, and not needed.
        model: NetworkConfig = dataclasses.replace(
            recipe.model, **settings, first_phase_reasoning="kept"
        )
    except ValueError as err:
        raise UnsupportedWeights("has invalid sizes") from err
    return dataclasses.replace(recipe, model=model)


def _write(run: Path, config: RunConfig, network: nn.Module) -> None:
    """Write a run whose last phase is over."""
    phases = plan_phases(config.recipe, num_segments=max(1, config.dataset.num_train))
    state = TrainingState(phase=len(phases) - 1, phase_over=True)
    weights = network.state_dict()
    write_config(run, config)
    digest = config_digest(run)
    save_last(run, Checkpoint(model=weights, optimizer={}, state=state), config=digest)
    save_best(run, weights, phase=state.phase, step=state.step, config=digest)
    record_start(run, threads=1)
