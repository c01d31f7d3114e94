"""A trained network that is opened for predicting, from the folder of a run or of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.manifests.load import load_dataset, load_manifest
from orn.shared.manifests.records import Video
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import DetectorEntry
from orn.stage2_train.frames.decoded import DecodedVideos
from orn.stage2_train.frames.reader import ClipStore, is_clip_store
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.runs.model_folder import (
    ClipRecord,
    ModelConfig,
    is_model_folder,
    load_network,
    normalisation_of,
    read_model_config,
)
from orn.stage2_train.runs.run_config import RunConfig, load_run_config
from orn.stage2_train.runs.trained import load_trained


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedModel:
    """A network with its weights, and how clips for it are made."""

    path: Path
    """Folder of the run or the model."""
    config: ModelConfig
    """What is known of it; of a run, what its export would say."""
    network: nn.Module
    """In evaluation mode, on `device`."""
    device: torch.device

    def __repr__(self) -> str:
        return f"<OpenedModel {self.path}: {len(self.classes)} classes, on {self.device}>"

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
        return self.config.dataset.detector

    def decoded(self, videos: Sequence[Video]) -> DecodedVideos:
        """All frames of videos, with the pixels that training saw."""
        clips = self.config.clips
        return DecodedVideos(
            videos,
            root=videos[0].path.parent if videos else Path(),
            settings=clips.stored(),
            as_stored=clips.jpeg_quality is not None,
            in_order=True,
        )


def open_model(path: Path, *, device: str | torch.device = "auto") -> OpenedModel:
    """The network of a run, with its best weights, or of a model folder.

    Args:
        path: either folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if it is neither, or there is no such device.
        CheckpointError: if its weights cannot be used.
    """
    target = torch.device(choose_device(str(device)))
    if is_model_folder(path):
        config = read_model_config(path)
        network = load_network(path, config)
    else:
        config, network = _of_run(path)
    return OpenedModel(path=path, config=config, network=network.to(target), device=target)


def _of_run(run: Path) -> tuple[ModelConfig, nn.Module]:
    config = load_run_config(run)
    trained = load_trained(run, config)
    manifest = config.paths.manifest
    return ModelConfig(
        recipe_name=Path(config.recipe_name).name,
        system=config.system,
        recipe=config.recipe,
        heads=trained.heads,
        step=trained.step,
        dataset=config.dataset,
        manifest=Path(manifest).name,
        clips=_clip_record(run, config),
        normalisation=normalisation_of(trained.network),
        detector=_detector(config),
    ), trained.network


def _clip_record(run: Path, config: RunConfig) -> ClipRecord:
    """How clips were made, by the clip store of the run, else by its manifest."""
    settings, manifest = None, None
    if config.paths.clips is not None and is_clip_store(config.paths.clips):
        settings = ClipStore(config.paths.clips).settings
    try:
        manifest = load_manifest(config.paths.manifest)
    except PipelineError as err:
        if settings is None or config.recipe.data.clip_frames is None:
            raise ConfigError(
                f"{run}: neither its clip store nor its manifest is there to say how frames are "
                f"rescaled ({err}); go to where the run was trained, or export it there"
            ) from err
    clip_frames = config.recipe.data.clip_frames
    if manifest is not None:
        clip_frames = clip_frames or manifest.clip_frames
        size = manifest.clips
        settings = settings or StoreSettings(height=size.height, width=size.width)
    assert settings is not None
    lengths = _segment_seconds(config)
    return ClipRecord(
        clip_frames=clip_frames or 1,
        height=settings.height,
        width=settings.width,
        short_side=settings.short_side,
        rate=settings.rate,
        jpeg_quality=None if config.paths.clips is None else settings.jpeg_quality,
        window_seconds=float(np.median(lengths)) if lengths else None,
        longest_seconds=max(lengths, default=None),
    )


def _segment_seconds(config: RunConfig) -> list[float]:
    """How long the training segments of a run are, as far as its tables and shards tell."""
    paths = config.paths
    try:
        dataset = load_dataset(paths.manifest, paths.data_root)
        segments = [segment for segment in dataset.segments if segment.split == "train"]
        times = [
            segment.stop_seconds - segment.start_seconds
            for segment in segments
            if segment.start_seconds is not None and segment.stop_seconds is not None
        ]
        if times:
            return times
        shards = DetectionFolder(paths.shards)
        entries = [
            shards.entry(segment.video_id) for segment in segments if segment.video_id in shards
        ]
    except PipelineError:
        return []
    return [entry.frames / entry.rate for entry in entries if entry.frames]


def _detector(config: RunConfig) -> DetectorEntry | None:
    """What made the shards of a run; None where they are not there, or others are."""
    try:
        found = DetectionFolder(config.paths.shards).detector
    except PipelineError:
        return None
    return found if found.title == config.dataset.detector else None
