"""Reads shards: one file, one video, or a folder of them; joined with a video's frames by time."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.detections import FrameDetections
from shared.errors import JoinError, ShardFormatError, ShardNotFoundError
from shared.shards.chunk_cache import ChunkCache
from shared.shards.schema import ARRAYS, DetectorEntry, FailedVideo, ShardAttributes, VideoEntry
from shared.shards.zarr_zip import ZarrZip, read_attributes

__all__ = ["DetectionFolder", "Shard", "VideoDetections"]

_MAX_OPEN_SHARDS = 64
_TIME_TOLERANCE_SECONDS = 1e-6
"""Times are sums of float64 fractions; a frame exactly half an interval off still counts as near."""


class Shard:
    """One shard; its arrays are read when they are needed, and only the parts that are.

    Args:
        path: the file.
        cache: keeps what was read; a small one of its own by default.

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is damaged, or not of a format version that this release reads.
    """

    def __init__(self, path: Path, cache: ChunkCache | None = None) -> None:
        self.path = path
        self._group = ZarrZip(path, ChunkCache(64 * 2**20) if cache is None else cache)
        self._attributes = ShardAttributes.from_json(self._group.attributes, source=str(path))
        _check_arrays(self._group, class_scores=self._attributes.class_scores)

    @property
    def videos(self) -> tuple[VideoEntry, ...]:
        """The videos, in the order of their frames."""
        return self._attributes.videos

    @property
    def failed(self) -> tuple[FailedVideo, ...]:
        """The videos of the unit that could not be decoded."""
        return self._attributes.failed

    @property
    def detector(self) -> DetectorEntry:
        """What the detections were made with."""
        return self._attributes.detector

    @property
    def has_class_scores(self) -> bool:
        """Whether detections come with the scores of all classes."""
        return self._attributes.class_scores

    @property
    def num_frames(self) -> int:
        """F, frames of all its videos together."""
        return self._group.shape("frame_index")[0]

    @property
    def num_detections(self) -> int:
        """N, detections of all its frames together."""
        return self._group.shape("boxes")[0]

    def frame_video(self) -> NDArray[np.int32]:
        """(F,) int32, for each frame the place of its video in `videos`."""
        return self._group.rows("frame_video", 0, self.num_frames)

    def frame_index(self) -> NDArray[np.int64]:
        """(F,) int64, the frame's place in the decoded stream of its video, from 0."""
        return self._group.rows("frame_index", 0, self.num_frames)

    def frame_seconds(self) -> NDArray[np.float64]:
        """(F,) float64, presentation time of each frame in its video."""
        return self._group.rows("frame_seconds", 0, self.num_frames)

    def frame(self, row: int) -> FrameDetections:
        """The detections of the frame in this row of the shard, from 0.

        Raises:
            ShardFormatError: if there is no such row, or what it holds is damaged.
        """
        if not 0 <= row < self.num_frames:
            raise ShardFormatError(f"{self.path}: has {self.num_frames} frames, asked for row {row}")
        rows = self._group.rows
        video = self.videos[int(rows("frame_video", row, row + 1)[0])]
        start, stop = (int(border) for border in rows("frame_offsets", row, row + 2))
        borders = rows("rle_offsets", start, stop + 1)
        rle = rows("rle", int(borders[0]), int(borders[-1])).tobytes()
        borders = borders - borders[0]
        return FrameDetections(
            height=video.height,
            width=video.width,
            boxes=rows("boxes", start, stop),
            scores=rows("scores", start, stop),
            labels=rows("labels", start, stop),
            class_scores=rows("class_scores", start, stop) if self.has_class_scores else None,
            masks=tuple(rle[a:b] for a, b in zip(borders[:-1], borders[1:], strict=True)),
        )
