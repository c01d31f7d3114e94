"""Statistics of a clip over time: of its objects, of its stored feature maps, and of its motion.

N detections, F frames, A detector classes, n frames with an object, D numbers of each, T frames,
C channels, h w cells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frames_on_demand import DatasetFrames, VideoFrames
from orn.stage2_train.clips.clip_draws import center_frames
from orn.stage2_train.model.heads import means_of_parts
from orn.stage2_train.settings.model_config import MOTION_CHANNELS

_TINY = 1e-6
"""Least height and union of boxes by which others are divided."""
_OF_OBJECT, _OF_PAIR = 8, 7
MOST_FOLLOWED = 4
"""Maximum number of classes whose largest object is followed over time."""
_MOST_FRAMES = 128
"""Detected frames of a segment; of longer ones, frames at equal distances are read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipObjects:
    """The N detections in the frames of a clip, ordered by frame."""

    seconds_F: NDArray[np.float64]
    """(F,) float64 times of the frames."""
    frame_N: NDArray[np.int64]
    """(N,) int64, index of the frame."""
    boxes_N4: NDArray[np.float64]
    """(N, 4) float64 x1 y1 x2 y2, fractions of the width and height of the frame."""
    labels_N: NDArray[np.int64]
    """(N,) int64 detected class."""
    scores_N: NDArray[np.float64]
    """(N,) float64 score, 0..1."""


def most_frequent_classes(clips: Iterable[ClipObjects], num_classes: int) -> tuple[int, ...]:
    """Return up to four classes that occur in most frames of clips, the most frequent one first; of
    equally frequent ones, those with lower indices."""
    frames_A = np.zeros(num_classes, np.int64)
    for clip in clips:
        pairs_K2 = np.unique(np.stack([clip.frame_N, clip.labels_N], axis=1), axis=0)
        frames_A += np.bincount(pairs_K2[:, 1], minlength=num_classes)
    return tuple(np.argsort(-frames_A, kind="stable")[:MOST_FOLLOWED].tolist())


def object_statistics(
    clip: ClipObjects, *, num_classes: int, chosen: Sequence[int]
) -> NDArray[np.float64]:
    """Return the (S,) statistics of a clip.

    These are the best and the summed score of each class; then position, size, shape, score and
    lower edge of the largest object of each class in `chosen` in each frame, summarized over time;
    then the second largest object of the first of these classes relative to the largest one:
    distances, sizes, IoU and width of the union.
    """
    best_A, total_A = np.zeros(num_classes), np.zeros(num_classes)
    np.maximum.at(best_A, clip.labels_N, clip.scores_N)
    np.add.at(total_A, clip.labels_N, clip.scores_N)
    boxes_N4, seconds_N = clip.boxes_N4, clip.seconds_F[clip.frame_N]
    parts = [best_A, total_A]
    for label in chosen:
        rows_n, _ = _largest(clip, label)
        objects_nD = _objects(boxes_N4[rows_n], clip.scores_N[rows_n])
        parts.append(over_time(objects_nD, seconds_N[rows_n]))
    _, pairs_n2 = _largest(clip, chosen[0])
    pairs_nD = _pairs(boxes_N4[pairs_n2[:, 0]], boxes_N4[pairs_n2[:, 1]])
    return np.concatenate([*parts, over_time(pairs_nD, seconds_N[pairs_n2[:, 0]])])


def num_object_statistics(num_classes: int, num_followed: int) -> int:
    """Return the number of statistics from `object_statistics`."""
    over_time_of = 7 * _OF_OBJECT + 1
    return 2 * num_classes + num_followed * over_time_of + 7 * _OF_PAIR + 1


def over_time(
    values_nD: NDArray[np.float64], seconds_n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (7 D + 1,): mean, standard deviation, minimum, maximum, mean step, total change and
    trend of n frames, and n; zeros without a frame."""
    number, width = values_nD.shape
    if not number:
        return np.zeros(7 * width + 1)
    steps_nD = np.abs(np.diff(values_nD, axis=0)) if number > 1 else np.zeros((1, width))
    return np.concatenate(
        [
            values_nD.mean(axis=0),
            values_nD.std(axis=0),
            values_nD.min(axis=0),
            values_nD.max(axis=0),
            steps_nD.mean(axis=0),
            values_nD[-1] - values_nD[0],
            trend(values_nD, seconds_n),
            [number],
        ]
    )


def trend(values_nD: NDArray[Any], seconds_n: NDArray[np.float64]) -> NDArray[Any]:
    """Return (D,): the covariance of values with the times of n frames, divided by the standard
    deviation of the times; zeros if all times are equal."""
    since_n = seconds_n - seconds_n.mean()
    spread = since_n.std()
    if spread == 0:
        return np.zeros_like(values_nD[0])
    weight_n = (since_n / (spread * len(since_n))).astype(values_nD.dtype)
    return np.tensordot(weight_n, values_nD - values_nD.mean(axis=0), axes=1)


def _largest(clip: ClipObjects, chosen: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (n,) largest object of a class in each frame that has one, and the (n, 2) two
    largest of each frame that has two; of equal ones, the first."""
    rows_N = np.flatnonzero(clip.labels_N == chosen)
    area_N = _area(clip.boxes_N4[rows_N])
    rows_N = rows_N[np.lexsort((-area_N, clip.frame_N[rows_N]))]
    _, first_n, number_n = np.unique(clip.frame_N[rows_N], return_index=True, return_counts=True)
    of_two_n = first_n[number_n > 1]
    return rows_N[first_n], np.stack([rows_N[of_two_n], rows_N[of_two_n + 1]], axis=1)


def _objects(boxes_n4: NDArray[np.float64], scores_n: NDArray[np.float64]) -> NDArray[np.float64]:
    centers_n2, sizes_n2 = _centers(boxes_n4), _sizes(boxes_n4)
    width_n, height_n = sizes_n2.T
    shape_n = width_n / (height_n + _TINY)
    columns = (*centers_n2.T, width_n, height_n, shape_n, _area(boxes_n4), scores_n, boxes_n4[:, 3])
    return np.stack(columns, axis=1).reshape(-1, _OF_OBJECT)


def _pairs(one_n4: NDArray[np.float64], two_n4: NDArray[np.float64]) -> NDArray[np.float64]:
    across_n, down_n = (_centers(two_n4) - _centers(one_n4)).T
    low_n2 = np.maximum(one_n4[:, :2], two_n4[:, :2])
    high_n2 = np.minimum(one_n4[:, 2:], two_n4[:, 2:])
    common_n = np.prod(np.maximum(high_n2 - low_n2, 0), axis=1)
    union_n = _area(one_n4) + _area(two_n4) - common_n
    width_n = np.maximum(one_n4[:, 2], two_n4[:, 2]) - np.minimum(one_n4[:, 0], two_n4[:, 0])
    iou_n = common_n / np.maximum(union_n, _TINY)
    columns = (np.abs(across_n), down_n, _area(two_n4), iou_n, *_sizes(two_n4).T, width_n)
    return np.stack(columns, axis=1).reshape(-1, _OF_PAIR)


def _centers(boxes_n4: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes_n4[:, :2] + boxes_n4[:, 2:]) / 2


def _sizes(boxes_n4: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes_n4[:, 2:] - boxes_n4[:, :2]


def _area(boxes_n4: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(_sizes(boxes_n4), axis=1)


def read_objects(
    detections: DetectionFolder, segment: Segment, *, score_threshold: float
) -> ClipObjects:
    """Return the detections in a segment with at least a score; in a segment between two detected
    frames, those of the frame before it."""
    video = detections.video(segment.video_id)
    times = TimeRange(segment.start_seconds, segment.stop_seconds)
    first, last = times.rows(video.seconds)
    if first == last:
        first = max(first - 1, 0)
        last = first + 1
    rows_F = first + _spread(last - first, _MOST_FRAMES)
    frames = [video.frame(row) for row in rows_F.tolist()]
    frame_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    boxes = [frame.boxes / np.tile([frame.width, frame.height], 2) for frame in frames]
    scores_N = np.concatenate([frame.scores for frame in frames]).astype(np.float64)
    kept_N = scores_N >= score_threshold
    return ClipObjects(
        seconds_F=video.seconds[rows_F],
        frame_N=frame_N[kept_N],
        boxes_N4=np.concatenate(boxes)[kept_N],
        labels_N=np.concatenate([frame.labels for frame in frames]).astype(np.int64)[kept_N],
        scores_N=scores_N[kept_N],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipMaps:
    """The stored maps of a clip of T frames."""

    seconds_T: NDArray[np.float64]
    """(T,) float64 times of the frames."""
    maps_TChw: NDArray[np.float32] | None
    """(T, C, h, w) maps of an image network; None if they are not stored."""
    motion_TChw: NDArray[np.float32] | None
    """(T, C, h, w) motion; None if it is not stored."""


def read_maps(store: ClipStore, segment: Segment, *, num_frames: int) -> ClipMaps:
    """Return the stored maps of at most `num_frames` frames of a segment."""
    video, settings = store.frames(segment.video_id), store.settings
    frames_T = _frames_of(video, segment, num_frames)
    maps = video.maps(frames_T).astype(np.float32) if settings.maps else None
    motion = video.motion(frames_T).astype(np.float32) if settings.motion else None
    return ClipMaps(seconds_T=video.seconds[frames_T], maps_TChw=maps, motion_TChw=motion)


def read_motion(frames: DatasetFrames, segment: Segment, *, num_frames: int) -> ClipMaps:
    """Return the motion in at most `num_frames` frames of a segment, stored or computed."""
    video = frames.frames(segment.video_id)
    frames_T = _frames_of(video, segment, num_frames)
    motion = video.motion(frames_T).astype(np.float32)
    return ClipMaps(seconds_T=video.seconds[frames_T], maps_TChw=None, motion_TChw=motion)


def _frames_of(video: VideoFrames, segment: Segment, most: int) -> NDArray[np.int64]:
    """Return the indices of at most `most` frames of a segment, at equal distances."""
    frames = video.indices_in(TimeRange(segment.start_seconds, segment.stop_seconds))
    return frames[_spread(len(frames), most)]


def map_statistics(clip: ClipMaps) -> NDArray[np.float32]:
    """Return (S,): of each channel of an image network, mean, deviation and trend over time of the
    mean over cells; the deviation of each cell, averaged; and the mean absolute difference of
    neighboring maps. Then, of motion, mean, deviation and trend over time of the means over each of
    3 x 3 parts of the frame."""
    parts: list[NDArray[np.float32]] = []
    if clip.maps_TChw is not None:
        maps_TCp = clip.maps_TChw.reshape(*clip.maps_TChw.shape[:2], -1)
        steps_C = np.zeros(maps_TCp.shape[1], np.float32)
        if len(maps_TCp) > 1:
            steps_C = np.abs(np.diff(maps_TCp, axis=0)).mean(axis=(0, 2))
        parts += [*_mean_deviation_trend(maps_TCp.mean(axis=2), clip.seconds_T)]
        parts += [maps_TCp.std(axis=0).mean(axis=1), steps_C]
    if clip.motion_TChw is not None:
        of_parts_TX = means_of_parts(torch.from_numpy(clip.motion_TChw)).numpy()
        parts += [*_mean_deviation_trend(of_parts_TX, clip.seconds_T)]
    return np.concatenate(parts)


def motion_statistics(clip: ClipMaps) -> NDArray[np.float32]:
    """Return (3 C,): mean, deviation and trend over time of the means of motion over all cells;
    empty if motion is not stored."""
    if clip.motion_TChw is None:
        return np.zeros(0, np.float32)
    means_TC = clip.motion_TChw.mean(axis=(2, 3))
    return np.concatenate([*_mean_deviation_trend(means_TC, clip.seconds_T)])


def num_motion_statistics() -> int:
    """Return the number of statistics from `motion_statistics`."""
    return 3 * MOTION_CHANNELS


def _mean_deviation_trend(
    values_TD: NDArray[np.float32], seconds_T: NDArray[np.float64]
) -> tuple[NDArray[np.float32], ...]:
    return values_TD.mean(axis=0), values_TD.std(axis=0), trend(values_TD, seconds_T)


def _spread(number: int, most: int) -> NDArray[np.int64]:
    """Return the indices of `number` frames, or of `most` of them at equal distances."""
    return np.arange(number) if number <= most else center_frames(number, most)
