"""A data set that is opened from Python: its classes, its clips, and batches of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orn.shared.errors import ConfigError
from orn.shared.manifests.load import load_dataset
from orn.stage2_train.clips.batches import (
    ClipBatch,
    LoaderSettings,
    evaluation_loader,
    training_loader,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.recipe import Recipe, default_recipe, load_recipe
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_config import data_paths
from orn.stage2_train.runs.sources import Sources, open_sources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedDataset:
    """Frames, objects and labels of a data set, brought together by time."""

    sources: Sources
    """Segments, frames and shards."""
    recipe: Recipe
    """How clips are made: `recipe.data` and the sizes that `recipe.model` needs."""

    def __repr__(self) -> str:
        dataset = self.sources.dataset
        splits = Counter(each.split for each in dataset.segments)
        segments = ", ".join(f"{number} {split}" for split, number in splits.items())
        return f"<OpenedDataset {dataset.name!r}: {segments} segments, {len(self.classes)} classes>"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the activities, in the order of labels."""
        return self.sources.dataset.classes

    @property
    def detector_classes(self) -> tuple[str, ...]:
        """Names of the detector's classes, in the order of `detector_labels_BTK`."""
        return self.sources.detections.detector.class_names

    def clips(self, split: str) -> ClipDataset:
        """Return the clips of a split, a `torch.utils.data.Dataset`: `clips[0]` is the centred clip
        of the first segment, `clips[ClipRequest(0, epoch=3)]` one for training.

        Raises:
            ConfigError: if there is no such split.
            JoinError: if a video is absent, or its frames and detections are of different files.
        """
        splits = list(dict.fromkeys(each.split for each in self.sources.dataset.segments))
        if split not in splits:
            name = self.sources.dataset.name
            raise ConfigError(f"{name}: wanted a split, {', '.join(splits)}; found {split!r}")
        joined = self.sources.join(split, self.recipe)
        joined.require_segments(self.sources.dataset.name)
        return self.sources.clip_dataset(joined, self.recipe, flip=self.recipe.data.flip)

    def batches(
        self, split: str, *, batch_size: int = 16, epochs: int | None = None, workers: int = 0
    ) -> Iterable[ClipBatch]:
        """Batches of the clips of a split; iterated over again, the same ones.

        Args:
            split: `train`, `validation` or `test`.
            batch_size: clips of a batch.
            epochs: None for the centred clip of every segment, in order; else so many epochs of
                training clips: frames and crops drawn by the recipe's seed, segments in a new order
                each time, those left over by whole batches left out.
            workers: processes that make them.

        Raises:
            ConfigError, JoinError: as `clips`.
        """
        for what, value, least in (
            ("batch_size", batch_size, 1),
            ("epochs", epochs, 1),
            ("workers", workers, 0),
        ):
            if value is not None and value < least:
                raise ConfigError(f"batches: {what}: wanted at least {least}, found {value}")
        settings = LoaderSettings(batch_size=batch_size, workers=workers)
        clips = self.clips(split)
        if epochs is None:
            return evaluation_loader(clips, settings)
        return training_loader(clips, settings, epochs=range(epochs))


def open_with_resources(
    manifest: str, resources: Resources, *, recipe: str | None = None, settings: Sequence[str] = ()
) -> OpenedDataset:
    """A data set as `orn train` would open it; nothing is made that is missing.

    Args:
        manifest: name or file of the manifest.
        resources: where its data lies.
        recipe: name or file of a recipe; the data set's own by default.
        settings: replace single ones, such as `data.clip_frames=8`.

    Raises:
        PipelineError: if something is not there, or not as it should be.
    """
    dataset = load_dataset(manifest, resources.root)
    paths = data_paths(manifest, dataset.name, resources)
    sources = open_sources(dataset, paths, partial=resources.partial)
    loaded = load_recipe(
        recipe or default_recipe(dataset.name),
        num_activities=len(dataset.classes),
        overrides=settings,
        clip_frames=dataset.clip_frames,
    )
    number = len(sources.detections.detector.class_names)
    return OpenedDataset(sources=sources, recipe=loaded.with_detector_classes(number))
