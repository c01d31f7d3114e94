"""Motion between two frames, as a map of cells over the whole frame.

Optical flow (DIS), less the motion of the camera (its median), in fractions of the frame's width
and height per second, so that neither resolution nor frame rate changes it. The channels of a cell
are means over its pixels:

    0 .. 7     directions of the flow (right, right and down, down, ...), weighted by its length
    8          fraction of still pixels
    9 .. 16    directions of the gradient of the flow's x component, weighted by its length
    17 .. 24   the same for the y component (motion boundary histograms)
    25 .. 30   x, y, length, squared length, divergence and curl of the flow
    31         1; in a map without motion, this and all other channels are 0

Histograms are square roots, and all channels are scaled to typical values around 1 (`SCALES_C`).

C channels, h w cells, N x N pixels of the flow.
"""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.stage2_train.settings.model_config import MOTION_CELLS, MOTION_CHANNELS

MOST_CELLS = 56
"""N, number of rows and columns of the flow, and most cells in a row or column. With its preset
FAST, DIS computes flow at a quarter of `_SIDE`."""
MotionMaps = NDArray[np.float32]
"""(..., C, h, w) motion."""
_Field = NDArray[Any]
"""(N, N) float32 values of pixels."""

SCALES_C = np.repeat(
    np.array([10, 1, 5, 10, 8, 8, 1.5, 1], np.float32),
    [8, 1, 16, 2, 1, 1, 2, 1],
)
"""(C,) factors of the channels, from root mean squares over the clips of J-HMDB."""

_SIDE = 224
"""Side of the gray pictures between which flow is computed."""
_PIXEL = 1 / MOST_CELLS
"""Side of a pixel of the flow."""
_DIRECTIONS = 8
_STILL, _X, _Y, _MEANS = 8, 9, 17, 25
"""Index of the channel of still pixels, and of the first channel of the histograms of the gradients
and of the plain means."""
_STILL_LENGTH = 0.05
"""Flow shorter than this per second is still."""
_MOST_SPEED = 5.0
"""Largest x and y of the flow per second, because errors of the flow are unlimited."""
_CUT = 0.5
"""Least residual of a cut: mean absolute difference of gray after motion compensation, divided by
the mean absolute deviation of gray. Consecutive frames of J-HMDB's clips have at most 0.25; frames
of different clips have at least 0.6."""
_TILES = 14
"""Number of rows and columns of tiles in which pictures are compared."""
_MOST_NOISE = 1
"""Largest mean absolute difference of gray in a tile, rounded, of a frame and its repetition after
compression (H.264 with CRF 14: at most 1.9, of 6,240 frames 99.9 % at most 1.4). Frames 0.1 s apart
in which something moves differ by 3 or more."""
_LEAST_DEVIATION = 1.0
"""Deviation of gray added to that of flat pictures, which consist of noise."""


def gray_picture(image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture of an (H, W, 3) uint8 RGB frame from which flow is computed."""
    gray_HW = cv2.cvtColor(np.ascontiguousarray(image_HW3), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray_HW, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def is_similar(gray: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Return whether two gray pictures differ by no more than compression of the same picture."""
    difference = cv2.absdiff(gray, other)
    tiles = cv2.resize(difference, (_TILES, _TILES), interpolation=cv2.INTER_AREA)
    return int(tiles.max()) <= _MOST_NOISE


class MotionBetween:
    """Computes the motion between two pictures."""

    def __init__(self, cells: tuple[int, int] = MOTION_CELLS) -> None:
        """Initialize for maps of (h, w) cells.

        Raises:
            ConfigError: if there are more cells than pixels of the flow.
        """
        if not 1 <= min(cells) <= max(cells) <= MOST_CELLS:
            raise ConfigError(
                f"motion: expected 1x1 to {MOST_CELLS}x{MOST_CELLS} cells, got "
                f"{'{}x{}'.format(*cells)}; choose an image network with a coarser map"
            )
        self.none: MotionMaps = np.zeros((MOTION_CHANNELS, *cells), np.float32)
        """The map where motion is unknown."""
        self._cells = cells
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(
        self, before: NDArray[np.uint8], after: NDArray[np.uint8], seconds: float
    ) -> MotionMaps:
        """Return the (C, h, w) motion between two gray pictures at a distance of `seconds`, which
        is `none` if there is a cut between them."""
        flow_NN2 = self._dis.calc(before, after, None)  # type: ignore[call-overload]
        flow_NN2 = _small(flow_NN2) / np.float32(_SIDE)
        if _is_cut(_small(before), _small(after), flow_NN2):
            return self.none
        x_NN, y_NN = (_of_objects(flow_NN2[..., axis], seconds) for axis in (0, 1))
        return map_of_flow(x_NN, y_NN, self._cells)


def reversed_motion(maps: MotionMaps) -> MotionMaps:
    """Return the (..., C, h, w) motion of the reversed video, except that its moving parts are
    displaced by one frame: all directions are turned by 180 degrees, and x, y, divergence and curl
    are negated."""
    source_C, sign_C = _reversal()
    return maps[..., source_C, :, :] * sign_C[:, None, None].astype(maps.dtype)


@cache
def _reversal() -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    source_C, sign_C = np.arange(MOTION_CHANNELS), np.ones(MOTION_CHANNELS, np.int8)
    for first in (0, _X, _Y):
        histogram = slice(first, first + _DIRECTIONS)
        source_C[histogram] = np.roll(source_C[histogram], _DIRECTIONS // 2)
    sign_C[[25, 26, 29, 30]] = -1
    return source_C, sign_C


def _small(picture: NDArray[Any]) -> _Field:
    """Return a picture or flow with N x N pixels."""
    size = (MOST_CELLS, MOST_CELLS)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _is_cut(before_NN: _Field, after_NN: _Field, flow_NN2: _Field) -> bool:
    position_NN2 = _positions() + flow_NN2 * np.float32(MOST_CELLS)
    x_NN, y_NN = cv2.split(position_NN2)
    moved_NN = cv2.remap(after_NN, x_NN, y_NN, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    deviation = sum(np.abs(gray - gray.mean()).mean() for gray in (before_NN, after_NN)) / 2
    return bool(np.abs(before_NN - moved_NN).mean() > _CUT * (deviation + _LEAST_DEVIATION))


@cache
def _positions() -> _Field:
    """Return (N, N, 2) the x and y of each pixel."""
    return np.stack(np.meshgrid(*[np.arange(MOST_CELLS, dtype=np.float32)] * 2), axis=-1)


def _of_objects(component_NN: _Field, seconds: float) -> _Field:
    """Return a component of the flow per second, without the motion of the camera."""
    speed_NN = (component_NN - np.median(component_NN)) / np.float32(seconds)
    return np.clip(speed_NN, -_MOST_SPEED, _MOST_SPEED)


def map_of_flow(x_NN: _Field, y_NN: _Field, cells: tuple[int, int]) -> MotionMaps:
    """Return the (C, h, w) map of a flow with these components per second, of N x N pixels."""
    length_NN, direction_NN = _polar(x_NN, y_NN)
    is_still_NN = length_NN < _STILL_LENGTH
    x_by_y_NN, x_by_x_NN = np.gradient(x_NN, _PIXEL)
    y_by_y_NN, y_by_x_NN = np.gradient(y_NN, _PIXEL)
    x_change_NN, x_side_NN = _polar(x_by_x_NN, x_by_y_NN)
    y_change_NN, y_side_NN = _polar(y_by_x_NN, y_by_y_NN)
    means = (x_NN, y_NN, length_NN, length_NN**2, x_by_x_NN + y_by_y_NN, y_by_x_NN - x_by_y_NN)
    values = np.stack(
        [np.where(is_still_NN, 1, length_NN), x_change_NN, y_change_NN, *means], dtype=np.float32
    )
    channels = np.empty(values.shape, np.int64)
    channels[:3] = np.where(is_still_NN, _STILL, direction_NN), x_side_NN + _X, y_side_NN + _Y
    channels[3:] = np.arange(_MEANS, _MEANS + len(means))[:, None, None]
    maps_Chw = _means_of_cells(channels, values, cells)
    maps_Chw[:_MEANS] **= 0.5
    maps_Chw[-1] = 1
    return maps_Chw * SCALES_C[:, None, None]


def _polar(x_NN: _Field, y_NN: _Field) -> tuple[_Field, NDArray[np.int64]]:
    """Return the length of each vector, and the index of its direction."""
    length_NN, angle_NN = cv2.cartToPolar(x_NN, y_NN)
    eighths_NN = np.asarray(angle_NN) * (_DIRECTIONS / (2 * np.pi))
    return np.asarray(length_NN), np.rint(eighths_NN).astype(np.int64) % _DIRECTIONS


def _means_of_cells(
    channels: NDArray[np.int64], values: NDArray[np.float32], cells: tuple[int, int]
) -> MotionMaps:
    """Return (C, h, w): the sums of the values of pixels in the given channels, divided by the
    number of pixels of each cell."""
    cells_NN = _cells_of_pixels(cells)
    number, shape = cells[0] * cells[1], (MOTION_CHANNELS, *cells)
    bins = (channels * number + cells_NN).ravel()
    sums = np.bincount(bins, values.ravel(), minlength=MOTION_CHANNELS * number).reshape(shape)
    return (sums / np.bincount(cells_NN.ravel()).reshape(cells)).astype(np.float32)


@cache
def _cells_of_pixels(cells: tuple[int, int]) -> NDArray[np.int64]:
    """Return (N, N) the index of the cell of each pixel."""
    rows_N, columns_N = (np.arange(MOST_CELLS) * number // MOST_CELLS for number in cells)
    return rows_N[:, None] * cells[1] + columns_N
