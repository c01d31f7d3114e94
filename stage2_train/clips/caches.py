"""Objects and whole frames of clips, read through caches of limited size in each process.

T frames of a clip, F frames of its video, H W pixels.
"""

from contextlib import suppress
from copy import copy
from operator import attrgetter
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.interfaces import (
    ClipDetections,
    ClipPictures,
    ClipRequest,
    DetectionSource,
)
from orn.stage2_train.clips.join import rows_by_ratio
from orn.stage2_train.clips.objects import FrameObjects, objects_of_frames
from orn.stage2_train.settings.recipe import DataRecipe

OBJECTS_BYTES = 256 * 2**20
"""Total cache size for decoded detections, over all processes of a loader."""
_TIMES_BYTES = 64 * 2**20
"""Total cache size for times of detections, over all processes; a 10 s clip takes 5 kB and its
shard 20 kB."""
_PICTURES_BYTES = 64 * 2**20
"""Cache size per process for whole frames of clips that are cropped several times."""


class ObjectCache:
    """The objects of frames, from detections; a pickled cache is empty."""

    def __init__(self, source: DetectionSource, objects_bytes: int) -> None:
        self.source = source
        self._objects_bytes, self._times_bytes = objects_bytes, _TIMES_BYTES
        self._clear()

    def _clear(self) -> None:
        """Create empty caches: detections by video, objects by video and row."""
        size = attrgetter("size_bytes")
        self._videos: LRUCache[str, ClipDetections] = LRUCache(self._times_bytes, size)
        self._objects: LRUCache[tuple[str, int], FrameObjects] = LRUCache(self._objects_bytes, size)

    def __getstate__(self) -> dict[str, Any]:
        read = ("_videos", "_objects")
        return {name: value for name, value in self.__dict__.items() if name not in read}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear()

    def for_workers(self, number: int) -> "ObjectCache":
        """Return a copy for each of `number` worker processes, with its share of the sizes."""
        worker = copy(self)
        worker.source = self.source.for_workers(number)
        worker._objects_bytes //= number
        worker._times_bytes //= number
        worker._clear()
        return worker

    def objects(
        self,
        request: ClipRequest,
        video_id: str,
        seconds_F: NDArray[np.float64],
        frames_T: NDArray[np.int64],
        data: DataRecipe,
    ) -> list[FrameObjects]:
        """Return the objects that belong to T frames of a video, joined as set in the recipe."""
        detections = self._detections(request, video_id)
        if data.frame_join == "ratio" and detections.num_frames:
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
                frames, self.source.rules, score_threshold=data.score_threshold
            )
        except ShardFormatError:
            detections.check_frames(missing)  # its error message identifies the frame
            raise
        for row, objects in zip(missing, made, strict=True):
            found[row] = objects
            with suppress(ValueError):  # may be larger than the cache
                self._objects[video_id, row] = objects
        return [found[row] for row in rows]

    def _detections(self, request: ClipRequest, video_id: str) -> ClipDetections:
        detections = self._videos.get(video_id)
        if detections is None:
            places = None if request.resolved is None else request.resolved.places
            detections = self.source.video(video_id, places)
            with suppress(ValueError):  # may be larger than the cache
                self._videos[video_id] = detections
        return detections


class PictureCache:
    """Crops of frames; with several crops of a clip, whole frames are cached for the next ones."""

    def __init__(self) -> None:
        self._frames: LRUCache[tuple[int, int], NDArray[np.uint8]]
        self._frames = LRUCache(_PICTURES_BYTES, getsizeof=attrgetter("nbytes"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle no frames; a copy in another process reads them again."""
        return PictureCache, ()

    def read(
        self,
        request: ClipRequest,
        video: ClipPictures,
        frames_T: NDArray[np.int64],
        window: CropWindow,
    ) -> NDArray[np.uint8]:
        """Return (T, H, W, 3) crops of frames."""
        if request.epoch is not None:
            return video.read(frames_T, window)
        clip = request.segment, request.view.clip
        whole = self._frames.get(clip)
        if whole is None and request.view.crop == "first":
            whole = video.read(frames_T)
            with suppress(ValueError):  # may be larger than the cache
                self._frames[clip] = whole
        return video.read(frames_T, window) if whole is None else window.cut(whole)
