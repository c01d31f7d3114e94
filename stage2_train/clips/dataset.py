"""Clips from segments: sampled frames with the objects detected in them; and a check for frames
without objects before clips are used, whose usual cause is the wrong weights of a detector.

`sampling.py` chooses frames, crop and flip. Objects are read through caches of limited size in each
process.

T frames of a clip, F frames of its video, K object slots, H W pixels, A activity classes.
"""

import logging
import operator
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from torch.utils.data import Dataset

from orn.data_manifests.records import Segment
from orn.shared.errors import ConfigError, JoinError, ShardFormatError
from orn.shared.shards.detection_folder import DetectionFolder, VideoDetections
from orn.shared.text import counted, short_repr
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.crop import check_crop
from orn.stage2_train.clip_store.frames_on_demand import DatasetFrames, DecodedVideo
from orn.stage2_train.clips.clip_draws import ClipDraws, ClipRequest, ClipSettings
from orn.stage2_train.clips.object_slots import (
    PERSON,
    ClipSlots,
    FrameObjects,
    fill_slots,
    objects_of_frames,
)
from orn.stage2_train.clips.windows import drawn_windows, num_drawn

logger = logging.getLogger(__name__)
_NUM_CLIPS = 16
"""Clips that are read, evenly spaced; all others are read only if these have no object."""
OBJECTS_BYTES = 256 * 2**20
"""Total cache size for decoded detections, over all processes of a loader."""
_NOT_NEAR = -1
"""Row of a frame without detections near it."""
_TIMES_BYTES = 64 * 2**20
"""Total cache size for times of detections, over all processes; a 10 s clip takes 5 kB and its
shard 20 kB."""


class ObjectCache:
    """The objects of frames, from detections; a pickled cache is empty."""

    def __init__(
        self, detections: DetectionFolder, objects_bytes: int, times_bytes: int = _TIMES_BYTES
    ) -> None:
        """Create empty caches: detections by video, objects by video and row."""
        self.detections = detections
        size = attrgetter("size_bytes")
        self._videos: LRUCache[Any, Any] = LRUCache(times_bytes, size)
        self._objects: LRUCache[Any, Any] = LRUCache(objects_bytes, size)

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectCache, (self.detections, self._objects.maxsize, self._videos.maxsize)

    def for_workers(self, number: int) -> "ObjectCache":
        """Return a copy for each of `number` worker processes, with its share of the sizes."""
        sizes = (int(cache.maxsize) // number for cache in (self._objects, self._videos))
        return ObjectCache(self.detections.for_workers(number), *sizes)

    def objects(
        self,
        request: ClipRequest,
        video_id: str,
        seconds_F: NDArray[np.float64],
        frames_T: NDArray[np.int64],
        settings: ClipSettings,
    ) -> list[FrameObjects]:
        """Return the objects that belong to T frames of a video, which are none where
        `settings.may_lack_objects` and no detections are near."""
        detections = self._detections(request, video_id)
        if settings.as_authors and detections.num_frames:
            rows = (frames_T * detections.num_frames // len(seconds_F)).tolist()
        else:
            near = detections.near_rows if settings.may_lack_objects else detections.nearest_rows
            rows = near(seconds_F[frames_T], video_F=seconds_F).tolist()
        kept: dict[int, Any] = {row: self._objects.get((video_id, row)) for row in rows}
        missing = [row for row, objects in kept.items() if objects is None and row >= 0]
        frames = [detections.frame(row) for row in missing]
        try:
            made = objects_of_frames(
                frames, self.detections.rules, score_threshold=settings.data.score_threshold
            )
        except ShardFormatError:
            detections.check_frames(missing)  # its error message identifies the frame
            raise
        for row, objects in zip(missing, made, strict=True):
            kept[row] = objects
            _keep(self._objects, (video_id, row), objects)
        if _NOT_NEAR in kept:
            any_frame, rules = detections.frame(0), self.detections.rules
            (kept[_NOT_NEAR],) = objects_of_frames([any_frame], rules, score_threshold=np.inf)
        return [kept[row] for row in rows]

    def _detections(self, request: ClipRequest, video_id: str) -> VideoDetections:
        detections: VideoDetections | None = self._videos.get(video_id)
        if detections is None:
            shards = None if request.resolved is None else request.resolved[1]
            detections = self.detections.video(video_id, shards)
            _keep(self._videos, video_id, detections)
        return detections


def _keep(cache: LRUCache[Any, Any], key: Any, value: Any) -> None:
    """Add a value to a cache, unless it is larger than the cache."""
    with suppress(ValueError):
        cache[key] = value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipSample:
    """One clip."""

    id: str
    """Id of the segment."""
    crop: tuple[int, int]
    """(H, W), the size of the crop in pixels."""
    frames: NDArray[np.uint8] | None = None
    """(T, H, W, 3) uint8 RGB; like the next three, None if they are not read."""
    maps: NDArray[np.float16] | None = None
    """(T, C, h, w) float16 feature maps of whole frames."""
    motion: NDArray[np.float16] | None = None
    """(T, C, h, w) float16 motion maps of whole frames."""
    windows: NDArray[np.uint8] | None = None
    """(T, N, H, W, 3) uint8 RGB windows around the frames, for a video network."""
    seconds: NDArray[np.float64]
    """(T,) float64 presentation times in the video."""
    slots: ClipSlots
    label: NDArray[np.float32] | int
    """The activity, or (A,) float32: 0, 1, or -1 for classes that the loss ignores."""

    __repr__ = short_repr

    def flipped(self) -> "ClipSample":
        """Return the clip flipped left to right, with the same label; it must have no maps, since a
        mirrored map is not the map of a mirrored frame."""
        assert self.maps is None and self.motion is None and self.windows is None
        frames = (
            self.frames if self.frames is None else np.ascontiguousarray(self.frames[:, :, ::-1])
        )
        return replace(self, frames=frames, slots=self.slots.flipped(self.crop[1]))


class ClipDataset(Dataset[ClipSample]):
    """Map-style dataset of clips, indexed by segment or by `ClipRequest`. Can be pickled.

    Clips differ in their number of slots; pass `orn.stage2_train.clips.batches.collate` to a
    `DataLoader`.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        clips: DatasetFrames,
        detections: DetectionFolder,
        settings: ClipSettings,
        *,
        cache_bytes: int = OBJECTS_BYTES,
    ) -> None:
        """Initialize without reading data; `cache_bytes` limits the cache for detections.

        Raises:
            ConfigError: if the crop is larger than the frames, or the clips of the authors' code
                lack the detector class `person`.
        """
        self.segments = tuple(segments)
        self.settings = settings
        names = detections.detector.class_names
        if settings.as_authors and PERSON not in names:
            raise ConfigError(
                f"model.variant: authors requires a detector with the class {PERSON}; omit it"
            )
        self._clips = clips
        self._objects = ObjectCache(detections, cache_bytes)
        self._is_background_N: NDArray[np.bool_] | None = None
        if settings.draws_one_of is not None:
            none = () if settings.multi_label else (settings.num_activities - 1,)
            self._is_background_N = np.array([own.labels == none for own in segments], np.bool_)
        check_crop(clips.stored_size, settings.data.crop)

    def without_frames(self) -> "ClipDataset":
        """Return the clips with objects alone, for heads that are not computed from frames."""
        clips = copy(self)
        clips.settings = replace(self.settings, reads=frozenset())
        return clips

    def drawn(self, generator: np.random.Generator) -> list[int]:
        """Return the segments for an epoch of training in random order: all, or a share of the
        windows of long videos, as many of background as of activities."""
        if (one_of := self.settings.draws_one_of) is None or self._is_background_N is None:
            return generator.permutation(len(self)).tolist()
        return drawn_windows(self._is_background_N, one_of, generator).tolist()

    @property
    def num_drawn(self) -> int:
        """Number of segments for an epoch of training."""
        if (one_of := self.settings.draws_one_of) is None or self._is_background_N is None:
            return len(self)
        return num_drawn(self._is_background_N, one_of)

    def for_workers(self, number: int) -> "ClipDataset":
        """Return a copy for each of `number` worker processes, with its share of the cache sizes.
        To keep it small, the copy has no segments; it accepts requests from `resolve`."""
        worker = copy(self)
        worker.segments = ()
        worker._objects = self._objects.for_workers(number)
        return worker

    def resolve(self, request: ClipRequest) -> ClipRequest:
        """Return the request with all the data needed by a process without segments."""
        segment = self.segments[request.segment]
        return replace(
            request, resolved=(segment, self._objects.detections.video_shards(segment.video_id))
        )

    def __repr__(self) -> str:
        return f"<ClipDataset: {len(self)} clips of {self.settings.data.clip_frames} frames>"

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.segments)

    def __getitem__(self, request: ClipRequest | SupportsIndex) -> ClipSample:
        """Return a clip; an integer index selects the centered clip of that segment.

        Raises:
            IndexError: if the segment does not exist.
            JoinError: if the segment has no frames, or a frame has no detections near its time.
            ClipStoreError: if a stored frame is corrupt.
            VideoDecodeError: if a frame of a video cannot be decoded.
            ShardFormatError: if detections are corrupt.
        """
        if not isinstance(request, ClipRequest):
            request = ClipRequest(range(len(self))[operator.index(request)])
        segment = (
            self.segments[request.segment] if request.resolved is None else request.resolved[0]
        )
        settings = self.settings
        video = self._clips.frames(segment.video_id)
        seconds_F = video.seconds
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        own_n = video.indices_in(times)
        if not len(own_n):
            raise JoinError(
                f"segment {segment.id}: no frame in its time range, video {segment.video_id} in "
                f"{self._clips.name}"
            )
        draws = ClipDraws(request, segment, settings)
        frames_T = own_n[draws.frames(seconds_F[own_n])]
        window = draws.window(self._clips.stored_size)
        objects = self._objects.objects(request, segment.video_id, seconds_F, frames_T, settings)
        if settings.as_authors:
            person = self._objects.detections.detector.class_names.index(PERSON)
            objects = draws.persons_first(objects, person=person)
        is_flipped = draws.is_flipped()
        maps = windows = None
        if "maps" in settings.reads:
            maps = video.maps(frames_T)
        if "windows" in settings.reads:
            assert isinstance(video, DecodedVideo), "a clip store has no windows"
            windows = video.windows(frames_T)
        sample = ClipSample(
            id=segment.id,
            crop=settings.data.crop,
            frames=video.read(frames_T, window) if "frames" in settings.reads else None,
            maps=maps,
            motion=video.motion(frames_T) if "motion" in settings.reads else None,
            windows=windows,
            seconds=seconds_F[frames_T],
            slots=fill_slots(objects, window, settings.slots),
            label=self.label(segment, is_training=draws.is_training, is_flipped=is_flipped),
        )
        return sample.flipped() if is_flipped else sample

    def label(
        self, segment: Segment, *, is_training: bool = False, is_flipped: bool = False
    ) -> NDArray[np.float32] | int:
        """Return the label of a segment, or of its mirrored class for a flipped training clip."""
        becomes = self.settings.flipped_A if is_training and is_flipped else None
        if not self.settings.multi_label:
            return segment.labels[0] if becomes is None else becomes[segment.labels[0]]
        label_A = np.zeros(self.settings.num_activities, np.float32)
        label_A[list(segment.labels)] = 1
        if is_training and self.settings.data.unsure_labels == "ignored":
            label_A[list(segment.unsure)] = -1
        return label_A if becomes is None else label_A[list(becomes)]


def check_objects(clips: ClipDataset, *, shards: Path, are_required: bool, warn: bool) -> None:
    """Check that the frames of clips have objects besides the background.

    Args:
        clips: the clips; with `max_objects = 0` nothing is checked.
        shards: folder of the shards, for messages.
        are_required: whether there must be an object in any of the clips.
        warn: whether to log a warning if more than half of the frames have none.

    Raises:
        ConfigError: if there must be an object, but there is none.
    """
    data = clips.settings.data
    if data.max_objects == 0 or not len(clips):
        return
    objects = clips.without_frames()
    rows = range(0, len(clips), -(-len(clips) // _NUM_CLIPS))
    empty_N = np.concatenate([_empty_frames(objects, row) for row in rows])
    is_any = not empty_N.all() or not all(
        _empty_frames(objects, row).all() for row in range(len(clips))
    )
    expected = f"objects in the crop with a score of at least {data.score_threshold:g}"
    if are_required and not is_any:
        raise ConfigError(
            f"{shards}: expected {expected} (data.score_threshold) in "
            f"{counted(len(clips), 'clip')}, got none; detect with the right weights, or pass a "
            "larger --set data.crop or a lower --set data.score_threshold, or --set "
            "data.max_objects=0 to use the whole frame alone"
        )
    if warn and 2 * empty_N.sum() > len(empty_N):
        logger.warning(
            "%s: %.0f %% of frames (%s of %s read) have no %s (data.score_threshold); check the "
            "weights of the detector with `orn inspect`, or choose a larger data.crop or a lower "
            "threshold",
            *(shards, 100 * empty_N.mean(), empty_N.sum(), len(empty_N), expected),
        )


def _empty_frames(clips: ClipDataset, row: int) -> NDArray[np.bool_]:
    """Return (T,) whether each frame of a clip has no object besides the background."""
    slots = clips[row].slots
    background = slots.class_scores.shape[2] - 1
    return ~(slots.valid & (slots.labels != background)).any(axis=1)
