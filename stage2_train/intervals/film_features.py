"""Features of a film at its described times: of its maps, of its motion, and of the largest object
of each followed class, with the motion inside its mask.

Maps and motion are read in blocks, so that memory does not grow with the length of the film but for
the features themselves, in float16.

T times, C channels, h w cells, M motion channels, K followed classes, S features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import VideoDetections
from orn.stage2_train.clip_store.frames_on_demand import VideoFrames
from orn.stage2_train.intervals.film_objects import (
    followed_objects,
    largest_objects,
    num_object_features,
)
from orn.stage2_train.model.heads import MOTION_PARTS, means_of_parts
from orn.stage2_train.settings.model_config import MOTION_CHANNELS

BLOCK = 64
"""Times whose maps are in memory together."""
_TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmInputs:
    """What the features of a film are computed from."""

    followed: tuple[int, ...]
    """The K classes of the detector, the most frequent one first."""
    score_threshold: float
    """Least score of an object, 0..1."""
    rate: float
    """Described times per second."""
    map_channels: int
    """C; 0 without maps."""
    reads_motion: bool

    @property
    def num_features(self) -> int:
        """S."""
        number = len(self.followed)
        motion = MOTION_CHANNELS * (MOTION_PARTS**2 + number) if self.reads_motion else 0
        return self.map_channels + motion + num_object_features(number)

    def of_film(self, frames: VideoFrames, detections: VideoDetections) -> NDArray[np.float16]:
        """Return the (T, S) features of a film at the times of its frames.

        Raises:
            PipelineError: if its objects, maps or motion cannot be read.
        """
        return np.concatenate([*self.blocks(frames, detections)])

    def blocks(
        self, frames: VideoFrames, detections: VideoDetections
    ) -> Iterator[NDArray[np.float16]]:
        """Yield the features of blocks of times."""
        seconds_T = frames.seconds
        rows_T = detections.near_rows(seconds_T, video_F=seconds_T)
        objects_TX = followed_objects(
            *(detections, seconds_T, rows_T, self.followed),
            score_threshold=self.score_threshold,
        ).features(self.rate)
        shares = _Shares(detections, self)
        for first in range(0, len(seconds_T), BLOCK):
            own = np.arange(first, min(first + BLOCK, len(seconds_T)))
            parts = [objects_TX[own]]
            if self.map_channels:
                parts.append(frames.maps(own).astype(np.float32).mean(axis=(2, 3)))
            if self.reads_motion:
                motion_TMhw = frames.motion(own).astype(np.float32)
                parts.append(means_of_parts(torch.from_numpy(motion_TMhw)).numpy())
                cells = motion_TMhw.shape[2:]
                shares_TKhw = np.stack([shares.of_row(row, cells) for row in rows_T[own].tolist()])
                inside_TKM = np.einsum("tmhw,tkhw->tkm", motion_TMhw, shares_TKhw)
                parts.append(inside_TKM.reshape(len(own), -1))
            yield np.concatenate(parts, axis=1).astype(np.float16)


class _Shares:
    """Where the masks of the followed objects are, of which those of the last row are kept."""

    def __init__(self, detections: VideoDetections, inputs: FilmInputs) -> None:
        self._detections, self._inputs = detections, inputs
        self._row: int | None = None

    def of_row(self, row: int, cells: tuple[int, int]) -> NDArray[np.float32]:
        """Return (K, h, w): the share of each object's mask in each cell; they sum to 1, or to 0
        without a mask, or for a row of -1."""
        if row != self._row:
            followed, threshold = self._inputs.followed, self._inputs.score_threshold
            self._row, self._shares_Khw = row, np.zeros((len(followed), *cells), np.float32)
            if row < 0:
                return self._shares_Khw
            frame = self._detections.frame(row)
            largest = largest_objects(frame, followed, score_threshold=threshold)
            for place, index in largest.items():
                self._shares_Khw[place] = _share_of_cells(frame, index, cells)
        return self._shares_Khw


def _share_of_cells(
    frame: FrameDetections, index: int, cells: tuple[int, int]
) -> NDArray[np.float32]:
    mask_HW = rle.decode(frame.masks[index], height=frame.height, width=frame.width)
    covered_11hw = functional.adaptive_avg_pool2d(
        torch.from_numpy(mask_HW.astype(np.float32))[None, None], cells
    )
    share_hw: NDArray[np.float32] = covered_11hw[0, 0].numpy()
    return share_hw / max(float(share_hw.sum()), _TINY)
