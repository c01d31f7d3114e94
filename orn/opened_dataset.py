"""A data set opened with its shards and frames, for `orn.open_dataset`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orn.data_manifests.load import load_dataset
from orn.shared.errors import ConfigError
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader, training_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.runs.open_data import OpenedData, expected_maps, open_paths
from orn.stage2_train.settings.recipe import Recipe, recipe_of_dataset
from orn.stage2_train.settings.resources import DataAndDevice, data_paths


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedDataset:
    """Frames, objects and labels of a data set, joined by time."""

    opened: OpenedData
    """Segments, frames and shards."""
    recipe: Recipe
    """Recipe whose section `data` and sizes in `model` determine the clips."""

    def __repr__(self) -> str:
        dataset = self.opened.dataset
        splits = Counter(segment.split for segment in dataset.segments)
        segments = ", ".join(f"{number} {split}" for split, number in splits.items())
        return f"<OpenedDataset {dataset.name!r}: {segments} segments, {len(self.classes)} classes>"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the activities, indexed by label."""
        return self.opened.dataset.classes

    @property
    def detector_classes(self) -> tuple[str, ...]:
        """Names of the detector's classes, indexed by the labels in `detector_labels_BTK`."""
        return self.opened.detections.detector.class_names

    def clips(self, split: str) -> ClipDataset:
        """Return the clips of a split, a `torch.utils.data.Dataset`: `clips[0]` is the centered
        clip of the first segment, `clips[ClipRequest(0, epoch=3)]` a training clip.

        Raises:
            ConfigError: if the split does not exist.
            JoinError: if a video is missing, or its frames and detections are from different files.
        """
        splits = list(dict.fromkeys(segment.split for segment in self.opened.dataset.segments))
        if split not in splits:
            name = self.opened.dataset.name
            raise ConfigError(f"{name}: expected a split ({', '.join(splits)}), got {split!r}")
        joined = self.opened.join(split, self.recipe)
        joined.require_segments(self.opened.dataset.name)
        return self.opened.clip_dataset(joined, self.recipe, flip=self.recipe.data.flip)

    def batches(
        self, split: str, *, batch_size: int = 16, epochs: int | None = None, workers: int = 0
    ) -> Iterable[ClipBatch]:
        """Return batches of the clips of a split; iterating again yields the same batches.

        Args:
            split: `train`, `validation` or `test`.
            batch_size: clips per batch.
            epochs: None for the centered clip of every segment, in order. Otherwise, the number of
                epochs of training clips: frames and crops are sampled with the recipe's seed,
                segments are shuffled in each epoch, and the last incomplete batch is dropped.
            workers: number of data-loading processes.

        Raises:
            ConfigError, JoinError: as for `clips`.
        """
        settings = LoaderSettings(batch_size=batch_size, workers=workers)
        clips = self.clips(split)
        if epochs is None:
            return evaluation_loader(clips, settings)
        return training_loader(clips, settings, epochs=range(epochs))


def open_with_resources(
    manifest: str,
    resources: DataAndDevice,
    *,
    recipe: str | None = None,
    settings: Sequence[str] = (),
) -> OpenedDataset:
    """Open a data set like `orn train`, but without creating missing shards or clip stores.

    Args:
        manifest: name or file of the manifest.
        resources: paths of the data.
        recipe: name or file of a recipe; None for the data set's default.
        settings: overrides such as `data.clip_frames=8`.

    Raises:
        PipelineError: if data is missing or invalid.
    """
    dataset = load_dataset(manifest, resources.data_root)
    paths = data_paths(manifest, dataset.name, resources)
    loaded = recipe_of_dataset(dataset, recipe, overrides=settings)
    maps = expected_maps(loaded)
    opened = open_paths(dataset, paths, partial=resources.partial, recipe=loaded, maps=maps)
    number = len(opened.detections.detector.class_names)
    return OpenedDataset(opened=opened, recipe=loaded.with_detector_classes(number))
