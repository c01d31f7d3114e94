"""The objects and stored feature maps of segments, summarized for a baseline."""

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.baseline.object_statistics import ClipObjects
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clips.sampling import center_frames

_MOST_FRAMES = 128
"""Detected frames of a segment; of longer ones, frames at equal distances are read."""


def read_objects(
    detections: DetectionFolder, segment: Segment, *, score_threshold: float
) -> ClipObjects:
    """Return the detections in a segment with at least a score; in a segment between two detected
    frames, those of the frame before it."""
    video = detections.video(segment.video_id)
    times = TimeRange(segment.start_seconds, segment.stop_seconds)
    first, last = times.places(video.seconds)
    if first == last:
        first = max(first - 1, 0)
        last = first + 1
    frames = video.frames_at((first + _spread(last - first, _MOST_FRAMES)).tolist())
    frame_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    boxes = [frame.boxes / np.tile([frame.width, frame.height], 2) for frame in frames]
    scores_N = np.concatenate([frame.scores for frame in frames]).astype(np.float64)
    kept_N = scores_N >= score_threshold
    return ClipObjects(
        frame_N=frame_N[kept_N],
        boxes_N4=np.concatenate(boxes)[kept_N],
        labels_N=np.concatenate([frame.labels for frame in frames]).astype(np.int64)[kept_N],
        scores_N=scores_N[kept_N],
    )


def read_maps(store: ClipStore, segment: Segment, *, num_frames: int) -> NDArray[np.float32]:
    """Return the (T, C, h, w) stored maps of at most `num_frames` frames of a segment."""
    video = store.frames(segment.video_id)
    times = TimeRange(segment.start_seconds, segment.stop_seconds)
    first, last = times.places(video.seconds)
    return video.maps(first + _spread(last - first, num_frames)).astype(np.float32)


def map_statistics(maps_TChw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (4 C,): the mean over cells and time; the standard deviation over time of the mean
    over cells; that of each cell, averaged; and the mean absolute difference of neighboring
    maps."""
    maps_TCp = maps_TChw.reshape(*maps_TChw.shape[:2], -1)
    of_frames_TC = maps_TCp.mean(axis=2)
    steps_C = np.zeros(maps_TCp.shape[1], np.float32)
    if len(maps_TCp) > 1:
        steps_C = np.abs(np.diff(maps_TCp, axis=0)).mean(axis=(0, 2))
    return np.concatenate(
        [
            of_frames_TC.mean(axis=0),
            of_frames_TC.std(axis=0),
            maps_TCp.std(axis=0).mean(axis=1),
            steps_C,
        ]
    )


def _spread(number: int, most: int) -> NDArray[np.int64]:
    """Return the indices of `number` frames, or of `most` of them at equal distances."""
    return np.arange(number) if number <= most else center_frames(number, most)
