"""A data set opened with its clip store and shards: the commands that create missing ones, its
clips for a recipe, and a check whether the data of a run has changed."""

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset, Segment, Task
from orn.shared.data_files import json_digest
from orn.shared.errors import ConfigError, PipelineError, ShardNotFoundError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import default_folder, differences
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_folder import shard_paths
from orn.shared.shards.time_join import frame_interval
from orn.shared.text import command_line, counted
from orn.shared.text_summary import Outcome
from orn.stage2_train.clip_store.clip_store import ClipStore, is_clip_store
from orn.stage2_train.clip_store.clips_config import ClipsConfig, clips_for
from orn.stage2_train.clip_store.frame_maps import map_settings
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import (
    RECORDED_SETTINGS,
    MapSettings,
    StoreSettings,
)
from orn.stage2_train.clips.clip_draws import ClipSettings, FrameInput, classes_when_flipped
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.clips.usable_segments import (
    JoinedSplit,
    check_detections,
    check_rates,
    join_split,
)
from orn.stage2_train.clips.windows import (
    end_of_video,
    observed_parts,
    window_seconds,
    windows_per_drawn,
    with_windows,
)
from orn.stage2_train.model.backbones import map_shape
from orn.stage2_train.model.build import feature_cells
from orn.stage2_train.runs.made_from import MadeFrom, recorded_inputs, why_stale
from orn.stage2_train.runs.run_config import ClipRecord
from orn.stage2_train.runs.run_folder import MADE_FROM_NAME
from orn.stage2_train.settings.model_config import MOTION, MOTION_CELLS
from orn.stage2_train.settings.recipe import Recipe
from orn.stage2_train.settings.resources import DataAndDevice, DataPaths

logger = logging.getLogger(__name__)


def expected_maps(
    recipe: Recipe, *, weights: Path | None = None, recorded: MapSettings | None = None
) -> MapSettings | None:
    """Return the maps that a frozen network computes; None for a network that reads frames.

    Args:
        recipe: recipe of the network.
        weights: file with its weights; None for the published ones.
        recorded: maps of a run whose weights are used instead.
    """
    model = recipe.model
    if not model.has_frozen_maps:
        return None
    if recorded is not None:
        shape = map_shape(model.backbone, recipe.data.crop)
        return replace(recorded, shape=shape)
    return map_settings(model.backbone, recipe.data.crop, weights=weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData:
    """A data set with its frames and objects."""

    dataset: Dataset
    """Segments and labels."""
    clips: ClipStore
    """Frames."""
    detections: DetectionFolder
    """Objects."""
    partial: bool = False
    """Whether segments of missing videos are omitted."""

    def join(self, split: str, recipe: Recipe) -> JoinedSplit:
        """Return the usable segments in a split, joined as set in the recipe; see `join_split`."""
        return join_split(
            self.segmented(recipe.data.clip_frames, (split,)),
            split,
            self.clips,
            self.detections,
            partial=self.partial,
            by_time=recipe.model.variant != "authors",
        )

    def segmented(self, clip_frames: int, splits: Collection[str]) -> Dataset:
        """Return the data set with the segments that are clips: those of its table or, of intervals
        of long videos, the windows in some splits."""
        if self.dataset.films is None:
            return self.dataset

        def end_of(video_id: str) -> float | None:
            if video_id not in self.clips:
                return None
            return end_of_video(self.clips.frames(video_id).seconds, video_id)

        return with_windows(self.dataset, clip_frames, end_of, splits)

    def _draws_one_of(self, clip_frames: int) -> int | None:
        if (films := self.dataset.films) is None:
            return None
        return windows_per_drawn(window_seconds(self.dataset, clip_frames), films.rate)

    def clip_dataset(
        self,
        joined: JoinedSplit,
        recipe: Recipe,
        *,
        flip: bool = False,
    ) -> ClipDataset:
        """Return the clips of usable segments.

        Args:
            joined: the segments.
            recipe: settings for clips.
            flip: whether training clips are flipped at random. Stored maps are then not read,
                because a mirrored map is not the map of a mirrored frame.

        Raises:
            ConfigError: if the data set does not specify how flips change classes, or its segments
                are parts of videos, whose frames are not matched as in the authors' code.
        """
        dataset = self.dataset
        model = recipe.model
        if model.variant == "authors" and dataset.form == "segments":
            raise ConfigError(
                f"model.variant: expected paper for {dataset.name}, whose segments are parts of "
                "videos that may be stored partially, got authors; omit it"
            )
        if (model.reads_motion or model.reads_windows) and flip:
            raise ConfigError(
                "data.flip: motion and windows of frames cannot be flipped; pass --set "
                "data.flip=false"
            )
        has_one_clip = self.clips.settings.clip_frames is not None
        if has_one_clip:
            _check_center_frames(self.clips, recipe)
        has_stored = self.clips.settings.maps is not None
        settings = replace(
            clip_settings(recipe, task=dataset.task, has_maps=has_stored and not flip),
            flipped_A=classes_when_flipped(dataset) if flip else None,
            may_lack_objects=dataset.films is not None,
            has_one_clip=has_one_clip,
            draws_one_of=self._draws_one_of(recipe.data.clip_frames),
        )
        return ClipDataset(joined.segments, self.clips, self.detections, settings)

    def clip_record(self, segments: Sequence[Segment]) -> ClipRecord:
        """Return the record for clips of some segments; without times, use the durations covered by
        detections."""
        clips = self.clips
        seconds = [
            segment.stop_seconds - segment.start_seconds
            for segment in segments
            if segment.start_seconds is not None and segment.stop_seconds is not None
        ]
        if not seconds:
            times = self.detections.seconds_of(segment.video_id for segment in segments)
            seconds = [
                float(seconds_D[-1] - seconds_D[0])
                + frame_interval(seconds_D, otherwise=1 / self.detections.entry(video_id).rate)
                for video_id, seconds_D in times.items()
            ]
        return ClipRecord(
            frames=clips.settings,
            window_seconds=median(seconds) if seconds else None,
            longest_seconds=max(seconds, default=None),
        )


def open_paths(
    dataset: Dataset,
    paths: DataPaths,
    *,
    partial: bool,
    recipe: Recipe | None = None,
    maps: MapSettings | None = None,
) -> OpenedData:
    """Open the clip store and the shards of a data set.

    Args:
        dataset: the data set.
        paths: paths of its data.
        partial: whether segments of missing videos are omitted.
        recipe: recipe of the network; None if no network reads the clips.
        maps: maps of an image network that it reads; None for a network that reads frames.

    Raises:
        ClipStoreError: if the store is missing or corrupt.
        ConfigError: if the store does not contain the maps and the motion that the network reads.
        ShardNotFoundError: if there are no shards.
        JoinError: if a folder of JPEGs has another frame rate in the shards.
    """
    clips = ClipStore(paths.clips)
    if recipe is not None:
        cells = MOTION_CELLS if maps is None else maps.shape[1:]
        motion = motion_settings(cells) if recipe.model.reads_motion else None
        settings = StoreSettings(size=recipe.data.crop, maps=maps, motion=motion)
        _check_maps(clips, settings, recipe, manifest=paths.manifest)
    detections = DetectionFolder(paths.shards)
    check_rates(dataset.videos, detections)
    return OpenedData(dataset=dataset, clips=clips, detections=detections, partial=partial)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsCheck:
    """The segments that `check_objects_of_segments` checks."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    """Folder of all data sets."""
    shards: Path | None
    """Folder of shards; None for that of the data set."""
    splits: Sequence[str]
    """Names of the splits that are read."""
    clip_frames: int | None
    """Number of center frames that are stored of each segment; None for all frames."""


def check_objects_of_segments(config: ObjectsCheck, _: Reporter = SILENT) -> Outcome:
    """Check that segments have objects, before frames are stored.

    Raises:
        JoinError: if objects are missing.
    """
    dataset = load_dataset(config.manifest, config.data_root)
    if dataset.films is not None:
        dataset = observed_parts(dataset)
    detections = DetectionFolder(config.shards or default_folder("shards", dataset.name))
    check_detections(dataset, config.splits, detections, clip_frames=config.clip_frames)
    number = sum(segment.split in config.splits for segment in dataset.segments)
    said = f"all of {counted(number, 'segment')} have objects"
    return Outcome({"num_segments": number}, lambda _: said)


def lacks_store(dataset_name: str, resources: DataAndDevice) -> bool:
    """Return whether there is no clip store of a data set."""
    return not is_clip_store(resources.clips_of(dataset_name))


def refuse_missing(
    manifest: str, dataset_name: str, resources: DataAndDevice, *, store: ClipsConfig | None
) -> None:
    """Raise PipelineError if there are no shards or no clip store, with the commands that create
    them.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        store: config that creates the clip store; None if it may be missing.
    """
    missing: dict[str, str] = {}
    shards = resources.shards_of(dataset_name)
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        given = {"data": resources.data_root, "out": resources.shards}
        missing[f"shards in {shards}"] = command_line("orn", "detect", manifest, **given)
    if store is not None and lacks_store(dataset_name, resources):
        missing[f"clip store {resources.clips_of(dataset_name)}"] = store.command()
    if missing:
        expected, commands = " and ".join(missing), " && ".join(missing.values())
        raise PipelineError(
            f"{dataset_name}: expected {expected}, got none; run `{commands}` first"
        )


def _check_maps(
    store: ClipStore, expected: StoreSettings, recipe: Recipe, *, manifest: str
) -> None:
    """Raise ConfigError unless a store has the expected maps of frames of the expected size, and
    the expected motion."""
    names = {"size", "maps"} if expected.maps is not None else set()
    names |= {"motion"} if expected.motion is not None else set()
    recorded, requested = (
        RECORDED_SETTINGS.dump_python(own, mode="json", include=names)
        for own in (store.settings, expected)
    )
    words = ("in the store", "for the network")
    if different := differences(recorded, requested, words=words):
        command = clips_for(recipe, manifest=manifest, out=Path("FOLDER")).command()
        raise ConfigError(
            f"{store.path}: the maps differ: {'; '.join(different)}; store them with `{command}` "
            "and pass --clips FOLDER"
        )


def _check_center_frames(clips: ClipStore, recipe: Recipe) -> None:
    """Raise ConfigError if the clips of a recipe have other frames than the center frames of each
    segment, which alone are stored."""
    data, model, number = recipe.data, recipe.model, clips.settings.clip_frames
    reads_pixels = model.reads_frames and not (model.has_frozen_maps or model.backbone == MOTION)
    for setting, differs in (
        (f"data.clip_frames is {data.clip_frames}", data.clip_frames != number),
        ("model.variant is authors", model.variant == "authors"),
        (f"{model.backbone} is trained on random frames", reads_pixels),
    ):
        if differs:
            raise ConfigError(
                f"{clips.name}: it has {number} center frames of each segment, but {setting}; "
                "store more with `orn clips ... --rate RATE --out FOLDER` and pass --clips FOLDER"
            )


def clip_settings(recipe: Recipe, *, task: Task, has_maps: bool = False) -> ClipSettings:
    """Return the clip settings for a recipe and a type of labels; `has_maps`: whether maps of
    frames are stored."""
    model = recipe.model
    reads: set[FrameInput] = set()
    if has_maps and model.has_frozen_maps:
        reads.add("maps")
    elif model.reads_windows:
        reads.add("windows")
    elif model.reads_frames and model.backbone != MOTION:
        reads.add("frames")
    if model.reads_motion:
        reads.add("motion")
    return ClipSettings(
        data=recipe.data,
        slots=SlotSettings(
            max_objects=recipe.data.max_objects,
            background=model.background_object,
            mask_size=model.mask_size,
            feature_cells=feature_cells(model, recipe.data.crop),
        ),
        num_activities=model.num_activities,
        multi_label=task == "multi-label",
        as_authors=model.variant == "authors",
        reads=frozenset(reads),
        seed=recipe.seed,
    )


def data_inputs(opened: OpenedData, segments: Iterable[Segment]) -> dict[str, str]:
    """Return the digests, for a record `made_from`, of the objects and frames of segments."""
    video_ids = {segment.video_id for segment in segments}
    return {
        "objects": json_digest(opened.detections.digests(video_ids)),
        "frames": opened.clips.digest(video_ids),
    }


def record_inputs(run: Path, inputs: MadeFrom) -> None:
    """Record what a new run is made from, or warn if the objects or frames of a resumed run have
    changed.

    Raises:
        PipelineError: if the record cannot be written.
    """
    recorded = recorded_inputs(run) or {}
    known = {
        kind: inputs[kind]
        for kind in ("objects", "frames")
        if {kind} & recorded.keys() & inputs.keys()
    }
    if why := recorded and why_stale(run, known):
        logger.warning(
            "%s: %s since the run was started, and the network stays as it is; restore the data, "
            "or pass a new --run to train on them",
            *(run, why),
        )
    write_text(run / MADE_FROM_NAME, json.dumps({**inputs, **recorded}, indent=1) + "\n")
