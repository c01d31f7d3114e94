"""Features of a film at its described times: of its maps, of its motion, and of the largest object
of each followed class, with the motion inside its mask.

Relations of objects are what short activities show first: the handle moves with the hand. Maps and
motion are read in blocks, so that memory does not grow with the length of the film but for the
features themselves, in float16.

T times, C channels, h w cells, M motion channels, K followed classes, S features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import VideoDetections
from orn.stage2_train.clip_store.decoded import VideoFrames
from orn.stage2_train.model.heads import MOTION_PARTS, means_of_parts
from orn.stage2_train.settings.model_config import MOTION_CHANNELS

MOST_FOLLOWED = 10
"""Classes whose largest object is followed, at most."""
BLOCK = 64
"""Times whose maps are in memory together."""
_CHANGE_SECONDS = 0.4
"""Change of boxes from this time before to this time after."""
_OF_BOX, _OF_PAIR = 6, 3
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
        pairs = number * (number - 1) // 2
        return self.map_channels + motion + number * (2 * _OF_BOX - 1) + pairs * _OF_PAIR

    def of_film(self, frames: VideoFrames, detections: VideoDetections) -> NDArray[np.float16]:
        """Return the (T, S) features of a film at the times of its frames.

        Raises:
            PipelineError: if its objects, maps or motion cannot be read.
        """
        blocks = [*self.blocks(frames, detections)]
        return self.with_changes(np.concatenate(blocks))

    def blocks(
        self, frames: VideoFrames, detections: VideoDetections
    ) -> Iterator[NDArray[np.float16]]:
        """Yield the features of blocks of times, without changes of boxes."""
        seconds_T = frames.seconds
        rows_T = detections.nearest_rows(seconds_T, video_F=seconds_T)
        shapes = _Shapes(detections, self)
        for first in range(0, len(seconds_T), BLOCK):
            own = np.arange(first, min(first + BLOCK, len(seconds_T)))
            yield self._block(frames, own, shapes, rows_T[own])

    def _block(
        self,
        frames: VideoFrames,
        own: NDArray[np.int64],
        shapes: "_Shapes",
        rows_T: NDArray[np.int64],
    ) -> NDArray[np.float16]:
        boxes_TKX = np.stack([shapes.boxes(row) for row in rows_T.tolist()])
        parts = [boxes_TKX.reshape(len(own), -1), _pairs(boxes_TKX)]
        if self.map_channels:
            parts.append(frames.maps(own).astype(np.float32).mean(axis=(2, 3)))
        if self.reads_motion:
            motion_TMhw = frames.motion(own).astype(np.float32)
            parts.append(means_of_parts(torch.from_numpy(motion_TMhw)).numpy())
            cells = motion_TMhw.shape[2:]
            shares = np.stack([shapes.shares(row, cells) for row in rows_T.tolist()])
            inside_TKM = np.einsum("tmhw,tkhw->tkm", motion_TMhw, shares)
            parts.append(inside_TKM.reshape(len(own), -1))
        return np.concatenate(parts, axis=1).astype(np.float16)

    def with_changes(self, features_TX: NDArray[np.float16]) -> NDArray[np.float16]:
        """Return the (T, S) features of a film from those of all its blocks."""
        steps = max(round(_CHANGE_SECONDS * self.rate), 1)
        width = len(self.followed) * _OF_BOX
        boxes_TKX = features_TX[:, :width].reshape(len(features_TX), -1, _OF_BOX)
        positions_TX = boxes_TKX[:, :, :-1].reshape(len(features_TX), -1)
        padded = np.pad(positions_TX, ((steps, steps), (0, 0)), mode="edge")
        return np.concatenate([features_TX, padded[2 * steps :] - padded[: -2 * steps]], axis=1)


class _Shapes:
    """The followed objects in the rows of detections, of which the last row is kept."""

    def __init__(self, detections: VideoDetections, inputs: FilmInputs) -> None:
        self._detections, self._inputs = detections, inputs
        self._row = -1
        self._shares_Khw: NDArray[np.float32] | None = None

    def boxes(self, row: int) -> NDArray[np.float32]:
        """Return (K, 6): whether there is an object, the center, width and height of its box as
        fractions, and its score; zeros without one."""
        self._read(row)
        return self._boxes_KX

    def shares(self, row: int, cells: tuple[int, int]) -> NDArray[np.float32]:
        """Return (K, h, w): the share of each object's mask in each cell; they sum to 1, or to 0
        without a mask."""
        self._read(row)
        shares_Khw = self._shares_Khw
        if shares_Khw is None:
            shares_Khw = np.zeros((len(self._inputs.followed), *cells), np.float32)
            for place, index in self._largest.items():
                shares_Khw[place] = _share_of_cells(self._frame, index, cells)
            self._shares_Khw = shares_Khw
        return shares_Khw

    def _read(self, row: int) -> None:
        if row == self._row:
            return
        self._row, self._frame = row, self._detections.frame(row)
        self._largest = largest_objects(
            self._frame, self._inputs.followed, score_threshold=self._inputs.score_threshold
        )
        self._boxes_KX = np.zeros((len(self._inputs.followed), _OF_BOX), np.float32)
        for place, index in self._largest.items():
            self._boxes_KX[place] = _box(self._frame, index)
        self._shares_Khw = None


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


def most_frequent_classes(
    films: Sequence[VideoDetections], num_classes: int, *, score_threshold: float
) -> tuple[int, ...]:
    """Return the classes of the detector that are in most detected frames of films, the most
    frequent one first; of equally frequent ones, those with lower indices."""
    frames_A = np.zeros(num_classes, np.int64)
    for film in films:
        for row in range(film.num_frames):
            frame = film.frame(row)
            frames_A[np.unique(frame.labels[frame.scores >= score_threshold])] += 1
    order = np.argsort(-frames_A, kind="stable")[:MOST_FOLLOWED].tolist()
    return tuple(label for label in order if frames_A[label])


def _box(frame: FrameDetections, index: int) -> NDArray[np.float32]:
    left, top, right, bottom = frame.boxes[index].tolist()
    across, down = (left + right) / 2 / frame.width, (top + bottom) / 2 / frame.height
    width, height = (right - left) / frame.width, (bottom - top) / frame.height
    return np.array([1, across, down, width, height, frame.scores[index]], np.float32)


def _share_of_cells(
    frame: FrameDetections, index: int, cells: tuple[int, int]
) -> NDArray[np.float32]:
    mask_HW = rle.decode(frame.masks[index], height=frame.height, width=frame.width)
    covered_11hw = functional.adaptive_avg_pool2d(
        torch.from_numpy(mask_HW.astype(np.float32))[None, None], cells
    )
    share_hw: NDArray[np.float32] = covered_11hw[0, 0].numpy()
    return share_hw / max(float(share_hw.sum()), _TINY)


def _pairs(boxes_TKX: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (T, 3 K (K - 1) / 2): of each pair of objects that are both there, the distances of
    their centers across, down and in a straight line."""
    number = boxes_TKX.shape[1]
    columns = [np.zeros((len(boxes_TKX), 0), np.float32)]
    for one, other in combinations(range(number), 2):
        both_T1 = boxes_TKX[:, one, :1] * boxes_TKX[:, other, :1]
        apart_T2 = (boxes_TKX[:, other, 1:3] - boxes_TKX[:, one, 1:3]) * both_T1
        columns += [apart_T2, np.linalg.norm(apart_T2, axis=1, keepdims=True)]
    return np.concatenate(columns, axis=1)
