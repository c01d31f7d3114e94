"""A run that was trained, or a model folder made of one: its network with the best weights, and the
data to look at with it."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.manifests.load import load_dataset
from orn.shared.text_table import counted
from orn.shared.torch_files import write_torch_file
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.config import Heads
from orn.stage2_train.model.image_weights import export_resnet
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.checkpoint import (
    BEST_NAME,
    BestWeights,
    check_phase,
    load_best,
    load_checkpoint,
    load_weights,
)
from orn.stage2_train.runs.model_folder import (
    WEIGHTS_NAME,
    ModelConfig,
    is_model_folder,
    load_network,
    read_model_config,
)
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import DataPaths, RunConfig, load_run_config
from orn.stage2_train.runs.run_folder import LAST_NAME
from orn.stage2_train.runs.sources import Sources, open_sources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A network with the weights of a run."""

    network: nn.Module
    """On the CPU, in evaluation mode."""
    heads: Heads
    """What was trained of it."""
    path: Path
    """The checkpoint, or the file of weights of a model folder."""
    step: int
    """When it was written."""


def export_weights(run: Path, out: Path) -> int:
    """Writes the 2D ResNet of a run's best checkpoint as a state dict with torchvision's names, a
    file that others start from; the number of weights (tensors) written.

    Raises:
        CheckpointError: if the run has no best checkpoint, or a damaged one.
        ConfigError: if its network holds no 2D ResNet.
    """
    network = build_network(load_run_config(run).recipe.model)
    best = load_best(run)
    if best is None:
        raise CheckpointError(
            f"{run}: expected the weights of its best validation, {BEST_NAME}, got none; `orn "
            "train` writes them where the data set has a validation split"
        )
    load_weights(network, best.model, path=run / BEST_NAME)
    weights = export_resnet(network)
    write_torch_file(out, weights)
    return len(weights)


def config_of(run: Path, *, manifest: str | None = None) -> RunConfig:
    """The configuration of a run, or what a model folder has of it; the data of a folder is where
    data sets, shards and clip stores usually are.

    Args:
        run: either folder.
        manifest: of the data set, in place of the one that a model folder names.

    Raises:
        ConfigError: if the folder holds neither.
    """
    if not is_model_folder(run):
        return load_run_config(run)
    return _run_config(read_model_config(run), manifest)


def load_trained(run: Path, config: RunConfig) -> Trained:
    """The best checkpoint of the phase that a run is in, or the last one where none was validated;
    of a model folder its weights.

    Raises:
        CheckpointError: if the run has no checkpoint, or one that does not fit.
    """
    if is_model_folder(run):
        model = read_model_config(run)
        network = load_network(run, model)
        return Trained(network=network, heads=model.heads, path=run / WEIGHTS_NAME, step=model.step)
    path, best = _best_weights(run)
    phases = plan_phases(config.recipe, num_segments=1)
    check_phase(best.phase, phases, path=path)
    network = build_network(config.recipe.model)
    load_weights(network, best.model, path=path)
    return Trained(
        network=network.eval(), heads=phases[best.phase].heads, path=path, step=best.step
    )


def paths_of_run(config: RunConfig, resources: Resources) -> DataPaths:
    """Where the data of a run lies: as it recorded, or what is given in its place."""
    recorded = config.paths
    return replace(
        recorded,
        data_root=resources.data_root or recorded.data_root,
        shards=resources.shards or recorded.shards,
        clips=None if resources.no_clip_store else resources.clips or recorded.clips,
    )


def sources_of_run(run: Path, config: RunConfig, resources: Resources) -> Sources:
    """The data of a run, where `paths_of_run` says.

    Raises:
        ConfigError: if the data set's classes are not those that the run was trained for.
    """
    paths = paths_of_run(config, resources)
    dataset = load_dataset(paths.manifest, paths.data_root)
    sources = open_sources(dataset, paths, partial=resources.partial)
    _check_classes(run, config, sources)
    return sources


def _run_config(model: ModelConfig, manifest: str | None) -> RunConfig:
    name = model.dataset.name
    return RunConfig(
        recipe_name=model.recipe_name,
        system=model.system,
        recipe=model.recipe,
        dataset=model.dataset,
        paths=DataPaths(
            manifest=manifest or model.manifest,
            data_root=Path("data"),
            shards=Path("shards") / name,
            clips=None if model.clips.jpeg_quality is None else Path("clips") / name,
        ),
    )


def _best_weights(run: Path) -> tuple[Path, BestWeights]:
    last_path = run / LAST_NAME
    if not last_path.is_file():
        raise CheckpointError(
            f"{run}: wanted a checkpoint {LAST_NAME}, found none; `orn train` writes one at the "
            "end of each epoch"
        )
    last = load_checkpoint(last_path)
    best = load_best(run)
    if best is not None and best.phase == last.state.phase:
        return run / BEST_NAME, best
    return last_path, BestWeights(model=last.model, phase=last.state.phase, step=last.state.step)


def _check_classes(run: Path, config: RunConfig, sources: Sources) -> None:
    """Raises ConfigError if the data set's classes are not those that the run was trained for."""
    wanted, found = config.dataset.classes, sources.dataset.classes
    if wanted == found:
        return
    differing = next(
        (
            f"class {row} is {there!r} in the run, {here!r} in the data set"
            for row, (there, here) in enumerate(zip(wanted, found, strict=False))
            if there != here
        ),
        f"the run has {counted(len(wanted), 'class', 'classes')}, the data set {len(found)}",
    )
    raise ConfigError(
        f"{run}: was trained for other classes than data set {sources.dataset.name!r} has: "
        f"{differing}; evaluate on the data set that it was trained on"
    )
