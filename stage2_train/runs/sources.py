"""The clips of a split as a recipe wants them, from a data set, a clip store and shards; whether
they are still what a run began with."""

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orn.shared.config.bounded import read_json
from orn.shared.config.fields import described
from orn.shared.environment import machine_memory
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.manifests.records import Dataset, Segment, Task
from orn.shared.shards.reader import DetectionFolder
from orn.shared.text import counted
from orn.stage2_train.clips.controls import FrameOrder
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.join import JoinedSplit, join_split
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.settings import ClipSettings
from orn.stage2_train.clips.views import classes_when_flipped
from orn.stage2_train.frames.decoded import DatasetFrames, DecodedVideos
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.runs.run_config import ClipRecord, DataPaths

logger = logging.getLogger(__name__)

DATA_NAME = "data.json"
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where clips come from."""

    dataset: Dataset
    """Segments and labels."""
    clips: DatasetFrames
    """Frames."""
    detections: DetectionFolder
    """Objects."""
    partial: bool = False
    """Whether segments whose video is not there may be left out."""

    def join(self, split: str, recipe: Recipe) -> JoinedSplit:
        """The usable segments of a split, joined as the recipe says; see `join_split`."""
        return join_split(
            self.dataset,
            split,
            self.clips,
            self.detections,
            partial=self.partial,
            frame_join=recipe.data.frame_join,
        )

    def clip_dataset(
        self,
        joined: JoinedSplit,
        recipe: Recipe,
        *,
        frame_order: FrameOrder | None = None,
        flip: bool = False,
    ) -> ClipDataset:
        """The clips of usable segments, with their frames in the recipe's order or another one;
        `flip`: half of those for training are flipped.

        Raises:
            ConfigError: as `clip_settings`; if the data set does not say what flips change, or
                frames and detections cannot be joined so.
        """
        dataset = self.dataset
        if recipe.data.frame_join == "ratio" and dataset.form == "segments":
            raise ConfigError(
                f"data.frame_join: wanted time for {dataset.name}, whose segments are parts of "
                "long videos of which not every frame is stored, found ratio"
            )
        settings = clip_settings(recipe, task=dataset.task)
        if flip:
            settings = replace(settings, flipped_A=classes_when_flipped(dataset))
        if frame_order is not None:
            controls = replace(recipe.data.controls, frame_order=frame_order)
            settings = replace(settings, data=replace(recipe.data, controls=controls))
        return ClipDataset(joined.segments, self.clips, self.detections, settings)

    @property
    def detector(self) -> str:
        """What made the shards, in a line."""
        return self.detections.detector.title

    def clip_record(self, segments: Sequence[Segment]) -> ClipRecord:
        """What clips of some segments are made of, whole videos if their times are not known."""
        clips, dataset = self.clips, self.dataset
        seconds = [
            each.stop_seconds - each.start_seconds
            for each in segments
            if each.start_seconds is not None and each.stop_seconds is not None
        ]
        if not seconds:
            looked_at = self.detections.detector.frame_rate or math.inf
            videos = [self.detections.entry(each.video_id) for each in segments]
            seconds = [each.frames / min(each.rate, looked_at) for each in videos if each.frames]
        if isinstance(clips, ClipStore):
            return ClipRecord.of(clips.settings, are_stored=True, seconds=seconds)
        settings = StoreSettings(size=(dataset.clip_height, dataset.clip_width))
        return ClipRecord.of(settings, are_stored=False, seconds=seconds)


def open_sources(dataset: Dataset, paths: DataPaths, *, partial: bool) -> Sources:
    """Clips of a data set: of a clip store, or decoded from its videos where there is none.

    Raises:
        ClipStoreError: if the store cannot be read.
        ShardNotFoundError: if there are no shards.
    """
    clips: DatasetFrames
    if paths.clips is not None:
        clips = ClipStore(paths.clips)
    else:
        settings = StoreSettings(size=(dataset.clip_height, dataset.clip_width))
        clips = DecodedVideos(dataset.videos, root=dataset.root, settings=settings)
    return Sources(
        dataset=dataset, clips=clips, detections=DetectionFolder(paths.shards), partial=partial
    )


def clip_settings(recipe: Recipe, *, task: Task) -> ClipSettings:
    """How the recipe wants clips made, for labels of a kind.

    Raises:
        ConfigError: if the pixels of one batch take more memory than this machine has.
    """
    _check_batch(recipe)
    return ClipSettings(
        data=recipe.data,
        slots=SlotSettings(
            max_objects=recipe.data.max_objects,
            background=recipe.model.background_object,
            mask_size=recipe.model.mask_size,
            feature_cells=recipe.feature_cells,
        ),
        num_activities=recipe.model.num_activities,
        multi_label=task == "multi-label",
        reads_tracks=recipe.model.reads_detections and recipe.model.relation_pairs != "all",
        reads_frames=recipe.model.sees_frames,
        seed=recipe.seed,
    )


def _check_batch(recipe: Recipe) -> None:
    if not recipe.model.sees_frames:
        return
    num_frames, (height, width) = recipe.data.clip_frames, recipe.data.crop
    of_phase, of_all = recipe.phases.object_head_batch_size or 0, recipe.optimiser.batch_size
    num_clips, name = max(
        (of_phase, "phases.object_head_batch_size"), (of_all, "optimiser.batch_size")
    )
    needed, there = num_clips * num_frames * 3 * height * width, machine_memory()
    if needed > there:
        most = there * num_clips // needed
        raise ConfigError(
            f"{name}: wanted a batch that fits this machine's memory of "
            f"{there / 1e9:,.0f} GB, found {counted(num_clips, 'clip')} of "
            f"{counted(num_frames, 'frame')} of {height} x {width}, whose bytes alone take "
            f"{needed / 1e9:,.0f} GB; wanted at most {most}, and far less to train; "
            "optimiser.accumulation averages over batches"
        )


def warn_of_other_data(
    run: Path, clips: DatasetFrames, detections: DetectionFolder, *, video_ids: Iterable[str]
) -> None:
    """Notes what a run begins with; when it goes on, warns of what has changed since, by name.

    Args:
        run: the folder.
        clips: frames; those that are decoded while training are not looked at.
        detections: objects.
        video_ids: of what is trained on.

    Raises:
        PipelineError: if the disk refuses.
    """
    video_ids = tuple(video_ids)
    found = detections.digests(video_ids)
    if isinstance(clips, ClipStore):
        found["clip store"] = clips.digest(video_ids)
    path = run / DATA_NAME
    if not path.is_file():
        write_text(path, json.dumps(found, indent=1) + "\n")
        return
    try:
        began = read_json(path)
        if not isinstance(began, dict):
            raise ConfigError(f"{path}: expected a table, got {described(began)}")
    except PipelineError as err:
        reason = str(err).removeprefix(f"{path}: ")
        logger.warning("%s: does not say what the run began with (%s)", path, reason)
        return
    changed = [name for name in {**began, **found} if began.get(name) != found.get(name)]
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        logger.warning(
            "%s: goes on with other data than it began with: %s%s changed; bring that back, or "
            "train anew in another --run", run, ", ".join(changed[:_NAMED]), more,
        )  # fmt: skip
