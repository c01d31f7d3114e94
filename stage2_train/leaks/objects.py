"""Counts and positions of objects in segments, read from shards, as inputs of linear models.

N segments, T frames of a segment, S detector classes, M cells of a grid over the frame, F features
of a segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import JoinError
from orn.shared.jobs.progress import progress
from orn.shared.manifests.records import Segment
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.reader import DetectionFolder, VideoDetections
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clips.sampling import centre_frames

_MOST_FRAMES = 16
"""Maximum number of frames read from a segment, evenly spaced."""
_CELLS = 8
"""Number of grid cells along each side of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenObjects:
    """Objects in the frames of N segments."""

    segments: tuple[Segment, ...]
    """Segments with at least one frame."""
    num_skipped: int
    """Number of segments without frames."""
    counts_NS: NDArray[np.float32]
    """(N, S) mean number of objects of each class per frame."""
    boxes_NM: NDArray[np.float32]
    """(N, M) mean number of boxes over each grid cell per frame."""
    middle_NF: NDArray[np.float32]
    """(N, S + M) both counts in the middle frame alone."""

    @property
    def seen_NS(self) -> NDArray[np.float32]:
        """(N, S) indicators of the classes that occur in a segment."""
        return (self.counts_NS > 0).astype(np.float32)

    @property
    def both_NF(self) -> NDArray[np.float32]:
        """(N, S + M) both counts averaged over all frames."""
        return np.concatenate([self.counts_NS, self.boxes_NM], axis=1)


def seen_objects(
    segments: Sequence[Segment],
    detections: DetectionFolder,
    *,
    score_threshold: float,
    partial: bool = False,
    task: str = "objects",
) -> SeenObjects:
    """Return the objects in segments, in at most 16 frames of each.

    Args:
        score_threshold: detections with lower scores are ignored.
        partial: whether to omit segments without detections; segments of videos that could not be
            decoded are always omitted.
        task: title of the progress bar.

    Raises:
        JoinError: if segments have no detections and `partial` is false, with their number, or if
            no segment has any.
        ShardFormatError: if a shard is damaged.
    """
    num_classes = len(detections.detector.class_names)
    failed = {video.id for video in detections.failed}
    kept: list[Segment] = []
    absent: list[Segment] = []
    of_all: list[NDArray[np.float32]] = []
    of_middle: list[NDArray[np.float32]] = []
    video: VideoDetections | None = None
    with progress(task, total=len(segments), unit="segments") as bar:
        for segment in segments:
            bar.advance()
            if segment.video_id not in detections:
                absent += [] if segment.video_id in failed else [segment]
                continue
            if video is None or video.video.id != segment.video_id:
                video = detections.video(segment.video_id)
            times = TimeRange(segment.start_seconds, segment.stop_seconds)
            first, last = times.places(video.seconds)
            if first == last:
                absent.append(segment)
                continue
            rows_T = first + _spread(last - first)
            frames = [video.frame(row) for row in rows_T.tolist()]
            kept.append(segment)
            of_all.append(_numbers(frames, num_classes, score_threshold))
            of_middle.append(_numbers([frames[len(frames) // 2]], num_classes, score_threshold))
    if absent and not partial:
        raise JoinError(
            f"{detections.path}: no detections for {len(absent):,} of "
            f"{counted(len(segments), 'segment')} such as {absent[0].id} in video "
            f"{absent[0].video_id}; pass --partial to exclude them, or run `orn detect`"
        )
    if segments and not kept:
        raise JoinError(
            f"{detections.path}: expected detections for at least one of "
            f"{counted(len(segments), 'labelled segment')}, got none; pass --shards of this data "
            "set, or run `orn detect`"
        )
    width = num_classes + _CELLS**2
    all_NF, middle_NF = (np.reshape(each, (-1, width)) for each in (of_all, of_middle))
    return SeenObjects(
        segments=tuple(kept),
        num_skipped=len(segments) - len(kept),
        counts_NS=all_NF[:, :num_classes].astype(np.float32),
        boxes_NM=all_NF[:, num_classes:].astype(np.float32),
        middle_NF=middle_NF.astype(np.float32),
    )


def _spread(num_frames: int) -> NDArray[np.int64]:
    """Return at most `_MOST_FRAMES` evenly spaced indices of frames."""
    if num_frames <= _MOST_FRAMES:
        return np.arange(num_frames)
    return np.asarray(centre_frames(num_frames, _MOST_FRAMES))


def _numbers(
    frames: Sequence[FrameDetections], num_classes: int, score_threshold: float
) -> NDArray[np.float32]:
    """Return (S + M,) mean numbers per frame: objects of each class, then boxes over each cell."""
    kept = [each.scores >= score_threshold for each in frames]
    labels = np.concatenate([each.labels[keep] for each, keep in zip(frames, kept, strict=True)])
    counts_S = np.bincount(labels, minlength=num_classes)
    edges = np.arange(_CELLS + 1) / _CELLS
    shares_N4 = np.concatenate(
        [
            each.boxes[keep] / np.array([each.width, each.height] * 2, np.float32)
            for each, keep in zip(frames, kept, strict=True)
        ]
    )
    columns_NC, rows_NC = (
        np.clip(
            np.minimum(shares_N4[:, end, None], edges[1:])
            - np.maximum(shares_N4[:, start, None], edges[:-1]),
            0,
            None,
        )
        * _CELLS
        for start, end in ((0, 2), (1, 3))
    )
    cells_M = (rows_NC.T @ columns_NC).ravel()
    return np.asarray(np.concatenate([counts_S, cells_M]) / len(frames), np.float32)
