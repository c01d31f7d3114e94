"""The detections of one frame: parallel arrays with one row per detection, in grid pixels.

Axes: N detections, C classes. The grid of our own detector is the upright frame; imports may use a
different grid. All boxes in this project are float32 x1 y1 x2 y2, half-open: `x2` is the last
column + 1. Pixel p covers [p, p + 1), so the box [0, 0, 1, 1] is exactly the first pixel.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.errors import ShapeError
from orn.shared.masks import rle
from orn.shared.text import short_repr


def clip_boxes(boxes_N4: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """Clip (N, 4) boxes to a grid; a box outside it becomes empty."""
    limits_4 = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(boxes_N4, np.float32(0), limits_4)


def masks_of_boxes(boxes_N4: NDArray[np.float32], *, height: int, width: int) -> tuple[bytes, ...]:
    """Return masks that fill the boxes, extended to whole pixels, as run lengths."""
    low_N2 = np.floor(boxes_N4[:, :2]).astype(np.int64).clip(0, (width, height))
    high_N2 = np.ceil(boxes_N4[:, 2:]).astype(np.int64).clip(low_N2, (width, height))
    masks = []
    for (left, top), (right, bottom) in zip(low_N2.tolist(), high_N2.tolist(), strict=True):
        columns = np.arange(left, right if top < bottom else left)
        borders_R = (columns[:, None] * height + (top, bottom)).reshape(-1)
        masks.append(rle.encode_borders(borders_R, height=height, width=width))
    return tuple(masks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameDetections:
    """The detections of one frame; `len()` is their number N."""

    height: int
    """Height of the grid of boxes and masks."""
    width: int
    """Width of the grid."""
    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2, half-open, pixels of the grid."""
    scores: NDArray[np.float32]
    """(N,) float32, score of the predicted class, 0..1."""
    labels: NDArray[np.uint16]
    """(N,) uint16, the predicted class, an index into the detector's class names."""
    class_scores: NDArray[np.float16] | None
    """(N, C) float16, softmax over the classes (background = 1 - sum), or sigmoid; None if only the
    score of the predicted class is known."""
    masks: tuple[bytes, ...]
    """N masks, COCO compressed run lengths over the whole grid (`orn.shared.masks.rle`)."""
    tracks: NDArray[np.int64] | None = None
    """(N,) int64, equal for the same object in several frames of a video; -1 if unknown, None if
    unknown for all."""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        """Check shapes, dtypes and ranges.

        Raises:
            ShapeError: if a field is invalid or does not match the number of boxes.
        """
        if self.height < 1 or self.width < 1:
            raise ShapeError(
                where="FrameDetections",
                expected="a grid of at least 1 x 1 pixels",
                got=f"{self.height} x {self.width}",
            )
        _check("boxes", self.boxes, shape=(None, 4), dtype=np.float32)
        num = len(self.boxes)
        _check("scores", self.scores, shape=(num,), dtype=np.float32)
        _check("labels", self.labels, shape=(num,), dtype=np.uint16)
        if self.tracks is not None:
            _check("tracks", self.tracks, shape=(num,), dtype=np.int64)
        num_classes = 2**16
        if self.class_scores is not None:
            _check("class_scores", self.class_scores, shape=(num, None), dtype=np.float16)
            num_classes = self.class_scores.shape[1]
        if not isinstance(self.masks, tuple) or len(self.masks) != num:
            got = len(self.masks) if isinstance(self.masks, tuple) else type(self.masks).__name__
            raise ShapeError(
                where="FrameDetections", expected=f"a tuple of {num} masks, one per box", got=got
            )
        _check_ordered(self.boxes)
        if num and self.labels.max() >= num_classes:
            raise ShapeError(
                where="FrameDetections",
                expected=f"labels below {num_classes}, the number of class scores",
                got=self.labels.max(),
            )

    def __len__(self) -> int:
        """Return N, the number of detections."""
        return len(self.boxes)

    @classmethod
    def from_masks(
        cls,
        masks_NHW: NDArray[np.bool_],
        *,
        labels: ArrayLike,
        scores: ArrayLike,
        class_scores: ArrayLike | None = None,
    ) -> Self:
        """Create detections from masks and their bounding boxes.

        Args:
            masks_NHW: (N, H, W) bool over the whole frame; N may be 0.
            labels: (N,) non-negative integers, indices into the detector's class names.
            scores: (N,) 0..1.
            class_scores: (N, C) softmax or sigmoid over the classes; None if unknown.

        Raises:
            ShapeError: if an array has an invalid shape, type or range.
        """
        masks_NHW = np.asarray(masks_NHW)
        if masks_NHW.ndim != 3 or 0 in masks_NHW.shape[1:] or masks_NHW.dtype != np.bool_:
            raise ShapeError(
                where="FrameDetections",
                expected="masks of shape (N, H, W) bool with pixels",
                got=f"{masks_NHW.shape} {masks_NHW.dtype}",
            )
        number, height, width = masks_NHW.shape
        masks = tuple(rle.encode(mask_HW) for mask_HW in masks_NHW)
        boxes = [rle.bounding_box(mask, height) for mask in masks]
        return cls(
            height=height,
            width=width,
            boxes=np.array(boxes, np.float32).reshape(number, 4),
            masks=masks,
            **_of_classes(labels, scores, class_scores),
        )

    @classmethod
    def from_boxes(
        cls,
        boxes: ArrayLike,
        *,
        height: int,
        width: int,
        labels: ArrayLike,
        scores: ArrayLike,
        class_scores: ArrayLike | None = None,
    ) -> Self:
        """Create detections from boxes and masks that fill them.

        Args:
            boxes: (N, 4) x1 y1 x2 y2, half-open, in pixels of the frame; clipped to it. N may be 0.
            height: height of the frame.
            width: width of the frame.
            labels: (N,) non-negative integers, indices into the detector's class names.
            scores: (N,) 0..1.
            class_scores: (N, C) softmax or sigmoid over the classes; None if unknown.

        Raises:
            ShapeError: see `from_masks`; also if a box is outside the frame.
        """
        given_N4 = np.asarray(boxes, np.float32)
        given_N4 = given_N4 if given_N4.size else given_N4.reshape(0, 4)
        _check("boxes", given_N4, shape=(None, 4), dtype=np.float32)
        _check_ordered(given_N4)
        outside_N = np.any((given_N4[:, 2:] < 0) | (given_N4[:, :2] > (width, height)), axis=1)
        if outside_N.any():
            row = int(np.argmax(outside_N))
            raise ShapeError(
                where="FrameDetections",
                expected=f"boxes that overlap {height} x {width} (height x width) pixels",
                got=f"{given_N4[row].tolist()} in row {row}",
            )
        boxes_N4 = clip_boxes(given_N4, height=height, width=width)
        return cls(
            height=height,
            width=width,
            boxes=boxes_N4,
            masks=masks_of_boxes(boxes_N4, height=height, width=width),
            **_of_classes(labels, scores, class_scores),
        )

    def mask_arrays(self) -> NDArray[np.bool_]:
        """Decode the masks to an (N, H, W) bool array.

        Raises:
            ShardFormatError: if a mask is malformed or has a different grid.
        """
        masks_NHW = np.zeros((len(self), self.height, self.width), np.bool_)
        for row, mask in enumerate(self.masks):
            masks_NHW[row] = rle.decode(mask, height=self.height, width=self.width)
        return masks_NHW


def _of_classes(
    labels: ArrayLike, scores: ArrayLike, class_scores: ArrayLike | None
) -> dict[str, Any]:
    """Return the converted fields; raise ShapeError for invalid labels."""
    labels_N = np.asarray(labels).reshape(-1)
    if labels_N.size and not (
        np.issubdtype(labels_N.dtype, np.integer) and 0 <= labels_N.min() <= labels_N.max() < 2**16
    ):
        is_number = np.issubdtype(labels_N.dtype, np.number)
        got = f"{labels_N.min()} to {labels_N.max()}" if is_number else repr(labels_N[0].item())
        raise ShapeError(
            where="FrameDetections",
            expected="integer labels from 0 to 65535",
            got=f"{got} {labels_N.dtype}",
        )
    return {
        "labels": labels_N.astype(np.uint16),
        "scores": np.array(scores, np.float32).reshape(-1),
        "class_scores": None if class_scores is None else np.array(class_scores, np.float16),
    }


def _check_ordered(boxes_N4: NDArray[np.float32]) -> None:
    ordered_N = np.isfinite(boxes_N4).all(axis=1)
    ordered_N &= (boxes_N4[:, 2:] >= boxes_N4[:, :2]).all(axis=1)
    if not ordered_N.all():
        row = int(np.argmin(ordered_N))
        raise ShapeError(
            where="FrameDetections",
            expected="boxes with finite x1 <= x2 and y1 <= y2",
            got=f"{boxes_N4[row].tolist()} in row {row}",
        )


def _check(name: str, array: object, *, shape: tuple[int | None, ...], dtype: type) -> None:
    """Check a field's type, shape and dtype; None stands for an axis of any length."""
    got = type(array).__name__
    if isinstance(array, np.ndarray):
        lengths = zip(shape, array.shape, strict=False)
        fits = all(expected in (None, length) for expected, length in lengths)
        if fits and array.ndim == len(shape) and array.dtype == dtype:
            return
        got = f"{array.shape} {array.dtype}"
    axes = ", ".join("any" if length is None else str(length) for length in shape)
    raise ShapeError(
        where="FrameDetections",
        expected=f"{name} of shape ({axes}) {np.dtype(dtype)}",
        got=got,
    )
