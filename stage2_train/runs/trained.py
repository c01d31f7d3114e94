"""A trained network with its best weights, from the folder of a run or of one that was exported,
and the data to look at with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from orn.shared.devices import choose_device
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.same_job import differences
from orn.shared.manifests.load import load_dataset, load_manifest
from orn.shared.manifests.records import Dataset, Video
from orn.shared.tensors import mismatch
from orn.shared.torch_files import write_torch_file
from orn.stage2_train.frames.decoded import DecodedVideos
from orn.stage2_train.model.build import build_network, planned_network
from orn.stage2_train.model.config import Heads
from orn.stage2_train.model.image_weights import export_resnet
from orn.stage2_train.model.inputs import FrameNormaliser
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.checkpoint import check_phase, load_best
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import (
    DataPaths,
    Normalisation,
    RunConfig,
    check_detector_classes,
    data_paths,
    read_config,
)
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_NAME
from orn.stage2_train.runs.sources import Sources, open_sources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedModel:
    """A network with its best weights, and all that is known of it."""

    path: Path
    """Its folder."""
    config: RunConfig
    """What the run is."""
    network: nn.Module
    """In evaluation mode."""
    phase: int
    """Phase of the training in which the weights were kept, from 0."""
    step: int
    """When that was."""

    def __repr__(self) -> str:
        return f"<OpenedModel {self.path}: {len(self.classes)} classes, on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device

    @property
    def heads(self) -> Heads:
        """What of the network was trained."""
        return plan_phases(self.config.recipe, num_segments=1)[self.phase].heads

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the activities, in the order of the logits."""
        return self.config.dataset.classes

    @property
    def is_multi_label(self) -> bool:
        """Whether several classes can hold at once; then probabilities do not add up to 1."""
        return self.config.dataset.task == "multi-label"

    @property
    def detector(self) -> str:
        """Configuration and weights of the detector that it was trained with, in a line."""
        return self.config.detector.title

    @property
    def detector_classes(self) -> tuple[str, ...]:
        """Names of that detector's classes."""
        return self.config.detector.class_names

    def decoded(self, videos: Sequence[Video]) -> DecodedVideos:
        """All frames of videos, with the pixels that training saw."""
        clips = self.config.clips
        return DecodedVideos(
            videos,
            root=videos[0].path.parent if videos else Path(),
            settings=replace(clips.frames, rate=None),
            as_stored=clips.are_stored,
            in_order=True,
        )


def open_model(run: Path, *, device: str | torch.device = "auto") -> OpenedModel:
    """The network of a run, or of one that was exported, with its best weights. Memory is taken for
    it only once it is known that the weights are the ones that it needs.

    Args:
        run: either folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if the folder is neither, what its configuration says of colours is wrong, or
            there is no such device.
        CheckpointError: if there are no weights yet, or they are damaged or of another network.
    """
    target = torch.device(choose_device(str(device)))
    config = read_config(run)
    path = run / BEST_NAME
    best = load_best(run)
    if best is None:
        raise CheckpointError(
            f"{run}: expected {BEST_NAME}, got no best weights yet; `orn train` writes them after "
            "its first validation, and `orn export` copies them"
        )
    check_phase(best.phase, plan_phases(config.recipe, num_segments=1), path=path)
    wanted = planned_network(config.recipe.model)
    if problem := mismatch(best.model, wanted.state_dict()):
        raise CheckpointError(f"{path}: does not fit the network in {CONFIG_NAME}: {problem}")
    network = build_network(config.recipe.model)
    network.load_state_dict(dict(best.model))
    if config.normalisation != (own := normalisation_of(network)):
        raise ConfigError(
            f"{run / CONFIG_NAME}: normalisation: expected {own}, which this network has, got "
            f"{config.normalisation}"
        )
    return OpenedModel(
        path=run,
        config=config,
        network=network.eval().to(target),
        phase=best.phase,
        step=best.step,
    )


def normalisation_of(network: nn.Module) -> Normalisation | None:
    """What a network does to the colours of frames; None where it looks at none."""
    for module in network.modules():
        if isinstance(module, FrameNormaliser):
            # Of float32 the digits that were meant.
            mean, std = (
                tuple(round(value, 6) for value in each.flatten().tolist())
                for each in (module.mean_311, module.std_311)
            )
            return Normalisation(mean=mean, std=std)
    return None


def export_weights(run: Path, out: Path) -> int:
    """Writes the 2D ResNet of a run's best weights as a state dict with torchvision's names, a file
    that others start from; the number of weights (tensors) written.

    Raises:
        CheckpointError: if the run has no best weights, or damaged ones.
        ConfigError: if its network holds no 2D ResNet.
    """
    weights = export_resnet(open_model(run, device="cpu").network)
    write_torch_file(out, weights)
    return len(weights)


def paths_of_run(
    run: Path, config: RunConfig, resources: Resources, *, manifest: str | None = None
) -> DataPaths:
    """Where the data of a run lies: as it recorded, or what is given in its place. Of a run that
    was exported, and of another data set, where data sets usually lie.

    Args:
        run: its folder.
        config: its configuration.
        resources: what is given.
        manifest: name or file of the manifest in place of the run's.
    """
    recorded, wanted = config.paths(run), manifest or config.manifest
    name = load_manifest(wanted).name if manifest or recorded is None else config.dataset.name
    if recorded is None or name != config.dataset.name:
        usual = data_paths(wanted, name, resources)
        is_stored = config.clips.are_stored or resources.clips is not None
        return usual if is_stored else replace(usual, clips=None)
    return replace(
        recorded,
        manifest=manifest or recorded.manifest,
        data_root=resources.data_root or recorded.data_root,
        shards=resources.shards or recorded.shards,
        clips=None if resources.no_clip_store else resources.clips or recorded.clips,
    )


def sources_of_run(
    run: Path, config: RunConfig, resources: Resources, *, manifest: str | None = None
) -> Sources:
    """The data of a run, where `paths_of_run` says.

    Raises:
        ConfigError: if the classes of the data set or of the shards are not those that the run was
            trained for.
    """
    paths = paths_of_run(run, config, resources, manifest=manifest)
    dataset = load_dataset(paths.manifest, paths.data_root)
    _check_classes(run, config, dataset)
    sources = open_sources(dataset, paths, partial=resources.partial)
    names = sources.detections.detector.class_names
    check_detector_classes(run, config, names, where=paths.shards)
    return sources


def _check_classes(run: Path, config: RunConfig, dataset: Dataset) -> None:
    """Raises ConfigError if the data set's classes are not those that the run was trained for."""
    wanted, found = {"classes": config.dataset.classes}, {"classes": dataset.classes}
    if differing := differences(wanted, found, words=("in the run", "in the data set")):
        raise ConfigError(
            f"{run}: was trained for other classes than data set {dataset.name!r} has: "
            f"{differing[0]}; evaluate on the data set that it was trained on"
        )
