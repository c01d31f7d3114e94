"""Clips from segments: sampled frames with the objects detected in them.

All random numbers for a clip come from a generator seeded with (seed, epoch, segment), so that a
clip does not depend on the worker that loads it, on the order of clips, or on resumption.

T frames, K object slots, H W pixels, A activity classes.
"""

import logging
import math
import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, SupportsIndex

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from torch.utils.data import Dataset

from orn.shared.errors import ConfigError, JoinError, ShardFormatError
from orn.shared.manifests.records import Segment
from orn.shared.text import short_repr
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.crop import CropWindow, center_window, placed_window, random_window
from orn.stage2_train.clips.interfaces import (
    ClipDetections,
    ClipPictures,
    DetectionSource,
    FrameSource,
)
from orn.stage2_train.clips.join import rows_by_ratio
from orn.stage2_train.clips.objects import (
    PERSON,
    ClipSlots,
    FrameObjects,
    fill_slots,
    objects_of_frames,
    with_persons_first,
)
from orn.stage2_train.clips.sampling import (
    authors_frames,
    center_frames,
    clip_generator,
    frame_permutation,
    random_frames,
)
from orn.stage2_train.clips.settings import ClipSettings
from orn.stage2_train.clips.views import ClipRequest, ResolvedSegment

logger = logging.getLogger(__name__)

_CACHE_BYTES = 256 * 2**20
"""Total cache size for decoded detections, over all processes of a loader."""
_TIMES_BYTES = 64 * 2**20
"""Total cache size for times of detections, over all processes; a 10 s clip takes 5 kB and its
shard 20 kB."""
_PICTURES_BYTES = 64 * 2**20
"""Cache size per process for whole frames of clips that are cropped several times."""
_MIN_AREA_FRACTION = 0.5
"""A crop that covers a smaller fraction of a stored frame causes a warning."""
_STREAMS = {"control": 1, "order": 2, "flip": 3}
"""Random streams that are separate from the stream for frames and crops."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipSample:
    """One clip."""

    id: str
    """Id of the segment."""
    frames: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB."""
    seconds: NDArray[np.float64]
    """(T,) float64 presentation times in the video."""
    slots: ClipSlots
    label: NDArray[np.float32] | int
    """The activity, or (A,) float32: 0, 1, or -1 for classes that the loss ignores."""

    __repr__ = short_repr

    def flipped(self) -> "ClipSample":
        """Return the clip flipped left to right, with the same label."""
        return replace(
            self,
            frames=np.ascontiguousarray(self.frames[:, :, ::-1]),
            slots=self.slots.flipped(self.frames.shape[2]),
        )


class ClipDataset(Dataset[ClipSample]):
    """Map-style dataset of clips, indexed by segment or by `ClipRequest`. Can be pickled.

    Clips differ in their number of slots; pass `orn.stage2_train.clips.batches.collate` to a
    `DataLoader`.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        clips: FrameSource,
        detections: DetectionSource,
        settings: ClipSettings,
        *,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        """Initialize without reading data; `cache_bytes` limits the cache for detections.

        Raises:
            ConfigError: if the crop is larger than the frames of a video, or `person_first` is used
                without the detector class `person`.
        """
        self.segments = tuple(segments)
        self.settings = settings
        names = detections.detector.class_names
        if settings.data.object_order == "person_first" and PERSON not in names:
            raise ConfigError(
                f"data.object_order: person_first requires a detector with the class {PERSON}; "
                "omit it"
            )
        self._clips = clips
        self._detections = detections
        self._cache_bytes, self._times_bytes = cache_bytes, _TIMES_BYTES
        self._clear_caches()
        check_crop(self.segments, clips, settings.data.crop)

    def _clear_caches(self) -> None:
        """Create empty caches: detections by video, objects by video and row, frames by segment and
        clip."""
        size = attrgetter("size_bytes")
        self._videos: LRUCache[str, ClipDetections] = LRUCache(self._times_bytes, size)
        self._objects: LRUCache[tuple[str, int], FrameObjects] = LRUCache(self._cache_bytes, size)
        self._frames: LRUCache[tuple[int, int], NDArray[np.uint8]]
        self._frames = LRUCache(_PICTURES_BYTES, getsizeof=attrgetter("nbytes"))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without caches; a copy in another process reads the data again."""
        read = ("_videos", "_objects", "_frames")
        return {name: value for name, value in self.__dict__.items() if name not in read}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear_caches()

    def for_workers(self, number: int) -> "ClipDataset":
        """Return a copy for each of `number` worker processes, with its share of the cache sizes.
        To keep it small, the copy has no segments; it accepts requests from `resolve`."""
        worker = copy(self)
        worker.segments = ()
        worker._detections = self._detections.for_workers(number)
        worker._cache_bytes //= number
        worker._times_bytes //= number
        worker._clear_caches()
        return worker

    def resolve(self, request: ClipRequest) -> ClipRequest:
        """Return the request with all the data needed by a process without segments."""
        segment = self.segments[request.segment]
        places = self._detections.places(segment.video_id)
        return replace(request, resolved=ResolvedSegment(segment, places))

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
            request = ClipRequest(self._place(request))
        segment, data = self._segment(request), self.settings.data
        video = self._clips.frames(segment.video_id)
        seconds_F = video.seconds
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        first, last = times.places(seconds_F)
        if first == last:
            raise JoinError(
                f"segment {segment.id}: no frame in its time range, video {segment.video_id} in "
                f"{self._clips.name}"
            )
        stored = self._clips.stored_size(segment.video_id)
        generator = self._generator(request)
        frames_T = first + self._clip_frames(request, seconds_F[first:last], generator)
        window = None
        if request.epoch is not None:
            window = random_window(stored, data.crop, generator)
        detections = self._detections_of(request)
        objects = self._frame_objects(segment.video_id, detections, seconds_F, frames_T)
        if window is None:
            grid = objects[0].height, objects[0].width
            window = placed_window(stored, data.crop, request.view.crop, grid=grid)
        if data.object_order == "person_first":
            order = self._generator(request, of="order")
            person = self._detections.detector.class_names.index(PERSON)
            objects = [with_persons_first(each, order, person=person) for each in objects]
        order_T = np.arange(data.clip_frames)
        if self.settings.frame_order != "forward":
            control = self._generator(request, of="control")
            order_T = frame_permutation(data.clip_frames, self.settings.frame_order, control)
        frames_T = frames_T[order_T]
        is_flipped = self._is_flipped(request)
        is_training = request.epoch is not None
        sample = ClipSample(
            id=segment.id,
            frames=self._pictures(request, video, frames_T, window),
            seconds=seconds_F[frames_T],
            slots=fill_slots([objects[place] for place in order_T], window, self.settings.slots),
            label=self._label(segment, is_training=is_training, is_flipped=is_flipped),
        )
        return sample.flipped() if is_flipped else sample

    def _clip_frames(
        self,
        request: ClipRequest,
        seconds_F: NDArray[np.float64],
        generator: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Return the (T,) indices of a clip's frames within its segment."""
        data = self.settings.data
        is_centered = request.epoch is None and request.view.clip == 0
        if data.clip_sampling == "authors":
            return authors_frames(seconds_F, data.clip_frames, generator, is_centered=is_centered)
        if is_centered:
            return center_frames(len(seconds_F), data.clip_frames)
        return random_frames(len(seconds_F), data.clip_frames, generator)

    def _place(self, index: SupportsIndex) -> int:
        place, number = operator.index(index), len(self)
        if not -number <= place < number:
            raise IndexError(f"clips: expected {-number} to {number - 1}, got {place}")
        return place % number

    def _is_flipped(self, request: ClipRequest) -> bool:
        if request.epoch is None:
            return request.view.flip
        if self.settings.flipped_A is None:
            return False
        return bool(self._generator(request, of="flip").integers(2))

    def _segment(self, request: ClipRequest) -> Segment:
        resolved = request.resolved
        return self.segments[request.segment] if resolved is None else resolved.segment

    def _generator(self, request: ClipRequest, *, of: str | None = None) -> np.random.Generator:
        """Return the random generator for a clip, or for one of its `_STREAMS`."""
        if request.epoch is not None:
            seeds = (self.settings.seed, request.epoch, request.segment)
            return np.random.default_rng(seeds if of is None else (*seeds, _STREAMS[of]))
        name = self._segment(request).id
        return clip_generator(name if of is None else f"{name}\0{of}", request.view.clip)

    def _pictures(
        self,
        request: ClipRequest,
        video: ClipPictures,
        frames_T: NDArray[np.int64],
        window: CropWindow,
    ) -> NDArray[np.uint8]:
        """Return (T, H, W, 3) crops of frames, black if the network reads no frames. With several
        crops, whole frames are cached for the next crops."""
        if not self.settings.reads_frames:
            return np.zeros((len(frames_T), window.height, window.width, 3), np.uint8)
        if request.epoch is not None:
            return video.read(frames_T, window)
        clip = request.segment, request.view.clip
        whole = self._frames.get(clip)
        if whole is None and request.view.crop == "first":
            whole = video.read(frames_T)
            with suppress(ValueError):  # may be larger than the cache
                self._frames[clip] = whole
        return video.read(frames_T, window) if whole is None else window.cut(whole)

    def _detections_of(self, request: ClipRequest) -> ClipDetections:
        video_id = self._segment(request).video_id
        detections = self._videos.get(video_id)
        if detections is None:
            places = None if request.resolved is None else request.resolved.places
            detections = self._detections.video(video_id, places)
            with suppress(ValueError):  # may be larger than the cache
                self._videos[video_id] = detections
        return detections

    def _frame_objects(
        self,
        video_id: str,
        detections: ClipDetections,
        seconds_F: NDArray[np.float64],
        frames_T: NDArray[np.int64],
    ) -> list[FrameObjects]:
        """Return the objects that belong to T frames of a video."""
        if self.settings.data.frame_join == "ratio" and detections.num_frames:
            num_rows = detections.num_frames
            rows_T = rows_by_ratio(frames_T, num_frames=len(seconds_F), num_rows=num_rows)
        else:
            rows_T = detections.nearest_rows(seconds_F[frames_T], video_F=seconds_F)
        rows = rows_T.tolist()
        kept = {row: self._objects.get((video_id, row)) for row in rows}
        found = {row: objects for row, objects in kept.items() if objects is not None}
        missing = [row for row in kept if row not in found]
        frames = detections.frames_at(missing)
        try:
            made = objects_of_frames(
                frames,
                self._detections.rules,
                score_threshold=self.settings.data.score_threshold,
            )
        except ShardFormatError:
            detections.check_frames(missing)  # its error message identifies the frame
            raise
        for row, objects in zip(missing, made, strict=True):
            found[row] = objects
            with suppress(ValueError):  # may be larger than the cache
                self._objects[video_id, row] = objects
        return [found[row] for row in rows]

    def _label(
        self, segment: Segment, *, is_training: bool, is_flipped: bool
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


def check_crop(segments: Iterable[Segment], clips: FrameSource, crop: tuple[int, int]) -> None:
    """Raise ConfigError, with the segment and the video, if the crop (height, width) is larger than
    the frames of a video."""
    for video_id, segment_id in {each.video_id: each.id for each in segments}.items():
        try:
            center_window(clips.stored_size(video_id), crop)
        except ConfigError as err:
            raise ConfigError(f"segment {segment_id!r}, video {video_id!r}: {err}") from err


def warn_of_small_crop(
    segments: Iterable[Segment], clips: FrameSource, crop: tuple[int, int], *, stride: int
) -> None:
    """Warn if the crop covers less than half of the area of a video's stored frames.

    Args:
        segments: the segments in use (at least one).
        clips: source of their frames.
        crop: (height, width).
        stride: number of pixels of which the height and width of a crop must be multiples.
    """
    sizes = {each.video_id: clips.stored_size(each.video_id) for each in segments}
    video_id, (height, width) = max(sizes.items(), key=lambda item: math.prod(item[1]))
    share = math.prod(crop) / (height * width)
    if share < _MIN_AREA_FRACTION:
        least = map(min, zip(*sizes.values(), strict=True))  # the crop must fit into all videos
        larger = [max((side - 1) // stride, 1) * stride for side in least]
        logger.warning(
            "data.crop: %d x %d covers %.0f %% of the %d x %d pixels of a stored frame (video "
            "%s); the rest is not used; set a larger crop, such as --set data.crop=[%d,%d], or "
            "store smaller frames with `orn clips --size`",
            *(*crop, 100 * share, height, width, video_id, *larger),
        )
