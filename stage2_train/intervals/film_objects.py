"""The largest object of each followed class at the described times of a film, and what short
activities show of them: where they are, how they move, and how near they are to the two most
frequent ones, such as a handle to a hand.

Between detected frames, boxes move evenly: with the nearest box alone, positions would be stairs
and their changes wrong.

T times, F detected frames, K followed classes, S features or statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder, VideoDetections
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.stage2_train.clip_store.frames_on_demand import DatasetFrames, VideoFrames
from orn.stage2_train.clips.windows import middle_of

MOST_FOLLOWED = 10
"""Classes whose largest object is followed, at most."""
_SHARE_OF_WINDOW = 0.25
"""Share of a window that the statistics of a time summarize: half a median interval."""
_REFERENCES = 2
"""Number of most frequent classes to which distances are described."""
_OF_OBJECT, _OF_PAIR = 5, 5
_BLOCK = 1024
"""Times whose neighbors are in memory together."""


def most_frequent_classes(
    films: Sequence[VideoDetections], num_classes: int, *, score_threshold: float
) -> tuple[int, ...]:
    """Return the classes of the detector that are in most detected frames of films, the most
    frequent one first; of equally frequent ones, those with lower indices. At least one is
    returned, at most ten."""
    frames_A = np.zeros(num_classes, np.int64)
    for film in films:
        for row in range(film.num_frames):
            frame = film.frame(row)
            frames_A[np.unique(frame.labels[frame.scores >= score_threshold])] += 1
    order = np.argsort(-frames_A, kind="stable")[:MOST_FOLLOWED].tolist()
    return tuple(label for label in order if frames_A[label]) or (order[0],)


def largest_objects(
    frame: FrameDetections, followed: Sequence[int], *, score_threshold: float
) -> dict[int, int]:
    """Return the index of the detection with the largest box of each followed class, by the place
    of the class; of equal ones, the first."""
    sizes_N2 = frame.boxes[:, 2:] - frame.boxes[:, :2]
    area_N = np.where(frame.scores >= score_threshold, sizes_N2.prod(axis=1), -1.0)
    largest = {}
    for place, label in enumerate(followed):
        own = np.flatnonzero((frame.labels == label) & (area_N >= 0))
        if len(own):
            largest[place] = int(own[area_N[own].argmax()])
    return largest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowedObjects:
    """The largest object of each followed class at T times."""

    boxes: NDArray[np.float64]
    """(T, K, 5) x1 y1 x2 y2 as fractions of the frame, and the share of it that the mask covers."""
    is_there: NDArray[np.bool_]
    """(T, K) whether the detected frame near the time has one."""

    def features(self, rate: float) -> NDArray[np.float32]:
        """Return the (T, S) features of all objects.

        These are boxes, areas and presence; the changes of boxes and areas in a second; and to the
        largest object of each of the two most frequent classes the distances of centers across,
        down and in a straight line, the gap between boxes, and the change of the distance in a
        second. All of them are 0 for an object that is not there.

        Args:
            rate: times per second.
        """
        number, there_TK1 = len(self.boxes), self.is_there[..., None]
        parts = [self.boxes * there_TK1, there_TK1, _change(self.boxes, rate) * there_TK1]
        centers_TK2 = (self.boxes[..., :2] + self.boxes[..., 2:4]) / 2
        for other in range(_REFERENCES):
            if other >= self.boxes.shape[1]:
                parts.append(np.zeros((number, self.boxes.shape[1], _OF_PAIR)))
                continue
            apart_TK2 = centers_TK2 - centers_TK2[:, other : other + 1]
            distance_TK1 = np.linalg.norm(apart_TK2, axis=2, keepdims=True)
            gap_TK1 = _gaps(self.boxes, self.boxes[:, other : other + 1])
            pairs = [apart_TK2, distance_TK1, gap_TK1, _change(distance_TK1, rate)]
            both_TK1 = there_TK1 & there_TK1[:, other : other + 1]
            parts.append(np.concatenate(pairs, axis=2) * both_TK1)
        flat = [np.asarray(part, np.float32).reshape(number, -1) for part in parts]
        return np.concatenate(flat, axis=1)


def num_object_features(num_followed: int) -> int:
    """Return S of `FollowedObjects.features`."""
    return num_followed * (2 * _OF_OBJECT + 1 + _REFERENCES * _OF_PAIR)


def followed_objects(
    detections: VideoDetections,
    seconds_T: NDArray[np.float64],
    rows_T: NDArray[np.int64],
    followed: Sequence[int],
    *,
    score_threshold: float,
) -> FollowedObjects:
    """Return the largest object of each followed class at the times of a film.

    Boxes are interpolated linearly between the detected frames that have an object of the class;
    before the first and after the last one, they stay.

    Args:
        detections: the objects of the film.
        seconds_T: the times.
        rows_T: the detected frame near each, -1 where none is near.
        followed: the K classes.
        score_threshold: least score of an object, 0..1.
    """
    known_FK5 = np.full((detections.num_frames, len(followed), _OF_OBJECT), np.nan)
    for row in np.unique(rows_T[rows_T >= 0]).tolist():
        frame = detections.frame(row)
        largest = largest_objects(frame, followed, score_threshold=score_threshold)
        for place, index in largest.items():
            known_FK5[row, place] = _described(frame, index)
    is_known_FK = ~np.isnan(known_FK5[..., 0])
    boxes_TK5 = np.zeros((len(seconds_T), len(followed), _OF_OBJECT))
    for place, is_known_F in enumerate(is_known_FK.T):
        for column in range(_OF_OBJECT) if is_known_F.any() else ():
            values_F = known_FK5[is_known_F, place, column]
            known_at_F = detections.seconds[is_known_F]
            boxes_TK5[:, place, column] = np.interp(seconds_T, known_at_F, values_F)
    is_there_TK = is_known_FK[rows_T] & (rows_T >= 0)[:, None]
    return FollowedObjects(boxes=boxes_TK5, is_there=is_there_TK)


def statistics_over_time(
    features_TS: NDArray[np.float32], reach: int, at_N: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return (N, 3 S) the mean, the deviation, and the mean of the last third minus that of the
    first third (at least one time each) of the features from `reach` times before to `reach` times
    after N of the T times; beyond both ends of the film, the first and the last features are
    repeated."""
    padded_TS = np.pad(features_TS, ((reach, reach), (0, 0)), mode="edge")
    near_TSw = np.lib.stride_tricks.sliding_window_view(padded_TS, 2 * reach + 1, axis=0)
    third = max((2 * reach + 1) // 3, 1)
    statistics_NX = np.empty((len(at_N), 3 * features_TS.shape[1]), np.float32)
    for first in range(0, len(at_N), _BLOCK):
        own_nSw = near_TSw[at_N[first : first + _BLOCK]]
        change_nS = own_nSw[..., -third:].mean(axis=-1) - own_nSw[..., :third].mean(axis=-1)
        parts = [own_nSw.mean(axis=-1), own_nSw.std(axis=-1), change_nS]
        statistics_NX[first : first + _BLOCK] = np.concatenate(parts, axis=1)
    return statistics_NX


def frames_of_windows(windows: Sequence[Segment], video: VideoFrames) -> NDArray[np.int64]:
    """Return the (N,) indices of the frames nearest to the middles of windows of a video."""
    middles_N, seconds_T = np.array([middle_of(own) for own in windows]), video.seconds
    interval = frame_interval(seconds_T, otherwise=1.0)
    return nearest_frames(seconds_T, middles_N, interval=interval).rows_n


def rows_by_video(windows: Sequence[Segment]) -> dict[str, list[int]]:
    """Return the indices of windows by their video."""
    rows_of: dict[str, list[int]] = {}
    for row, window in enumerate(windows):
        rows_of.setdefault(window.video_id, []).append(row)
    return rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmStatistics:
    """What a forest reads at the middle of a window of a film."""

    num_object_classes: int
    """Number of the detector's classes."""
    followed: tuple[int, ...]
    """Classes whose largest object is followed, the most frequent one first."""
    score_threshold: float
    """Least score of an object, 0..1."""
    rate: float
    """Described times per second."""
    window_seconds: float
    """Duration of windows; a quarter of it is summarized, at least three times."""

    @property
    def num_statistics(self) -> int:
        """S."""
        return 3 * num_object_features(len(self.followed))

    def of_segments(
        self, windows: Sequence[Segment], detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float32]:
        """Return the (N, S) statistics at the middles of windows.

        Raises:
            PipelineError: if objects cannot be read.
        """
        statistics_NS = np.zeros((len(windows), self.num_statistics), np.float32)
        reach = max(int(_SHARE_OF_WINDOW * self.window_seconds * self.rate / 2), 1)
        for video_id, rows in rows_by_video(windows).items():
            video, objects = frames.frames(video_id), detections.video(video_id)
            followed = followed_objects(
                objects,
                video.seconds,
                objects.near_rows(video.seconds, video_F=video.seconds),
                self.followed,
                score_threshold=self.score_threshold,
            )
            own = frames_of_windows([windows[row] for row in rows], video)
            statistics_NS[rows] = statistics_over_time(followed.features(self.rate), reach, own)
        return statistics_NS


def _described(frame: FrameDetections, index: int) -> list[float]:
    left, top, right, bottom = frame.boxes[index].tolist()
    width, height = frame.width, frame.height
    covered = rle.area(frame.masks[index]) / (width * height)
    return [left / width, top / height, right / width, bottom / height, covered]


def _change(values_TKX: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return the change of values in a second; 0 of a single time."""
    if len(values_TKX) < 2:
        return np.zeros_like(values_TKX)
    change_TKX: NDArray[np.float64] = np.gradient(values_TKX, axis=0) * rate
    return change_TKX


def _gaps(one_TK5: NDArray[np.float64], other_T15: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T, K, 1): the gaps between boxes across and down, added; 0 where they overlap."""
    right_TK2 = one_TK5[..., :2] - other_T15[..., 2:4]
    left_TK2 = other_T15[..., :2] - one_TK5[..., 2:4]
    return np.maximum(np.maximum(right_TK2, left_TK2), 0).sum(axis=2, keepdims=True)
