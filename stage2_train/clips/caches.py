"""Objects of clips, read through caches of limited size in each process.

T frames of a clip, F frames of its video.
"""

from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.shards.detection_folder import DetectionFolder, VideoDetections
from orn.stage2_train.clip_store.decoded import ProcessCache
from orn.stage2_train.clips.interfaces import (
    ClipRequest,
    ClipSettings,
)
from orn.stage2_train.clips.objects import FrameObjects, objects_of_frames

OBJECTS_BYTES = 256 * 2**20
"""Total cache size for decoded detections, over all processes of a loader."""
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
        self._videos = ProcessCache(times_bytes, size)
        self._objects = ProcessCache(objects_bytes, size)

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
        """Return the objects that belong to T frames of a video."""
        detections = self._detections(request, video_id)
        if settings.as_authors and detections.num_frames:
            rows = (frames_T * detections.num_frames // len(seconds_F)).tolist()
        else:
            rows = detections.nearest_rows(seconds_F[frames_T], video_F=seconds_F).tolist()
        kept: dict[int, Any] = {row: self._objects.get((video_id, row)) for row in rows}
        missing = [row for row, objects in kept.items() if objects is None]
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
            self._objects.keep((video_id, row), objects)
        return [kept[row] for row in rows]

    def _detections(self, request: ClipRequest, video_id: str) -> VideoDetections:
        detections: VideoDetections | None = self._videos.get(video_id)
        if detections is None:
            shards = None if request.resolved is None else request.resolved[1]
            detections = self.detections.video(video_id, shards)
            self._videos.keep(video_id, detections)
        return detections
