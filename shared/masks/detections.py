"""The detections of one frame: parallel arrays, one row a detection, in pixels of one grid.

N detections, C classes. The grid is the upright frame for our own detector; imports may use another
one. Boxes are float32 x1 y1 x2 y2, half-open, in the whole project: `x2` is the last column + 1.
Pixel p covers [p, p + 1), so the box [0, 0, 1, 1] is just the first pixel.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.errors import ShapeError
from orn.shared.masks import rle
from orn.shared.short_repr import short_repr


def clip_boxes(boxes_N4: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """(N, 4) the parts of the boxes inside a grid; a box wholly outside becomes empty."""
    limits_4 = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(boxes_N4, np.float32(0), limits_4)


def masks_of_boxes(boxes_N4: NDArray[np.float32], *, height: int, width: int) -> tuple[bytes, ...]:
    """Return masks that fill boxes, widened to whole pixels of the grid, as run lengths."""
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
    """Everything that the detector kept of one frame; `len()` is the number of detections N."""

    height: int
    """Rows of the grid that boxes and masks use."""
    width: int
    """Columns of that grid."""
    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2, half-open, pixels of the grid."""
    scores: NDArray[np.float32]
    """(N,) float32, score of the kept class, 0..1."""
    labels: NDArray[np.uint16]
    """(N,) uint16, the kept class, an index into the detector's class names."""
    class_scores: NDArray[np.float16] | None
    """(N, C) float16, softmax over the classes (background = 1 - sum), or sigmoid; None where only
    the kept class and its score are known."""
    masks: tuple[bytes, ...]
    """N masks, COCO compressed run lengths over the whole grid (`orn.shared.masks.rle`)."""
    tracks: NDArray[np.int32] | None = None
    """(N,) int32, which object of the video each one is; None where that is not known."""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        """Checks shapes, dtypes and ranges.

        Raises:
            ShapeError: if a field does not fit its description or the number of boxes.
        """
        if self.height < 1 or self.width < 1:
            raise ShapeError(
                "FrameDetections: wanted a grid of at least 1 x 1 pixels, "
                f"found {self.height} x {self.width}"
            )
        _check("boxes", self.boxes, shape=(None, 4), dtype=np.float32)
        num = len(self.boxes)
        _check("scores", self.scores, shape=(num,), dtype=np.float32)
        _check("labels", self.labels, shape=(num,), dtype=np.uint16)
        if self.tracks is not None:
            _check("tracks", self.tracks, shape=(num,), dtype=np.int32)
        num_classes = 2**16
        if self.class_scores is not None:
            _check("class_scores", self.class_scores, shape=(num, None), dtype=np.float16)
            num_classes = self.class_scores.shape[1]
        if not isinstance(self.masks, tuple) or len(self.masks) != num:
            found = len(self.masks) if isinstance(self.masks, tuple) else type(self.masks).__name__
            raise ShapeError(
                f"FrameDetections.masks: wanted a tuple of {num} masks, one a box, found {found}"
            )
        _check_ordered(self.boxes)
        if num and self.labels.max() >= num_classes:
            raise ShapeError(
                f"FrameDetections.labels: expected classes 0 to {num_classes - 1}, as there are "
                f"class scores, got {self.labels.max()}"
            )

    def __len__(self) -> int:
        """The number of detections."""
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
        """Return the detections of any detector; boxes are the smallest around the masks.

        Args:
            masks_NHW: (N, H, W) bool, each over the whole frame; N may be 0.
            labels: (N,) whole numbers from 0, indices into the detector's class names.
            scores: (N,) 0..1.
            class_scores: (N, C) softmax or sigmoid over the classes; left out where not known.

        Raises:
            ShapeError: if an array has another shape or type, or a label is not a class.
        """
        masks_NHW = np.asarray(masks_NHW)
        if masks_NHW.ndim != 3 or 0 in masks_NHW.shape[1:] or masks_NHW.dtype != np.bool_:
            raise ShapeError(
                "FrameDetections.from_masks: wanted masks of shape (N, H, W) bool with pixels, "
                f"found {masks_NHW.shape} {masks_NHW.dtype}"
            )
        number, height, width = masks_NHW.shape
        masks = tuple(rle.encode(mask_HW) for mask_HW in masks_NHW)
        boxes = [rle.bounding_box(mask, height) for mask in masks]
        return cls(
            height=height,
            width=width,
            boxes=np.array(boxes, np.float32).reshape(number, 4),
            masks=masks,
            **_of_classes("from_masks", labels, scores, class_scores),
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
        """Return the detections of a detector that gives no masks; each mask fills its box.

        Args:
            boxes: (N, 4) x1 y1 x2 y2, half-open, pixels of the frame; what lies outside it is cut
                off. N may be 0.
            height: rows of the frame.
            width: columns of the frame.
            labels: as `from_masks`, and so are `scores` and `class_scores`.

        Raises:
            ShapeError: as `from_masks`, or if a box lies outside the frame.
        """
        given_N4 = np.asarray(boxes, np.float32)
        given_N4 = given_N4 if given_N4.size else given_N4.reshape(0, 4)
        _check("boxes", given_N4, shape=(None, 4), dtype=np.float32)
        _check_ordered(given_N4)
        outside_N = np.any((given_N4[:, 2:] < 0) | (given_N4[:, :2] > (width, height)), axis=1)
        if outside_N.any():
            row = int(np.argmax(outside_N))
            raise ShapeError(
                f"FrameDetections.from_boxes: expected boxes that reach into {height} x {width} "
                f"(height x width) pixels, got {given_N4[row].tolist()} in row {row}"
            )
        boxes_N4 = clip_boxes(given_N4, height=height, width=width)
        return cls(
            height=height,
            width=width,
            boxes=boxes_N4,
            masks=masks_of_boxes(boxes_N4, height=height, width=width),
            **_of_classes("from_boxes", labels, scores, class_scores),
        )

    def mask_arrays(self) -> NDArray[np.bool_]:
        """(N, H, W) bool, the masks over the whole grid.

        Raises:
            ShardFormatError: if a mask is malformed, or of another grid.
        """
        masks_NHW = np.zeros((len(self), self.height, self.width), np.bool_)
        for row, mask in enumerate(self.masks):
            masks_NHW[row] = rle.decode(mask, height=self.height, width=self.width)
        return masks_NHW


def _of_classes(
    caller: str, labels: ArrayLike, scores: ArrayLike, class_scores: ArrayLike | None
) -> dict[str, Any]:
    """The fields of these names, of their types; raises ShapeError for a label that is no class."""
    labels_N = np.asarray(labels).reshape(-1)
    if labels_N.size and not (
        np.issubdtype(labels_N.dtype, np.integer) and 0 <= labels_N.min() <= labels_N.max() < 2**16
    ):
        is_number = np.issubdtype(labels_N.dtype, np.number)
        found = f"{labels_N.min()} to {labels_N.max()}" if is_number else repr(labels_N[0].item())
        raise ShapeError(
            f"FrameDetections.{caller}: expected labels from 0 to 65535, whole numbers, "
            f"got {found} {labels_N.dtype}"
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
            "FrameDetections.boxes: wanted finite x1 <= x2 and y1 <= y2, "
            f"found {boxes_N4[row].tolist()} in row {row}"
        )


def _check(name: str, array: object, *, shape: tuple[int | None, ...], dtype: type) -> None:
    """Checks a field's type, shape and dtype; None stands for any length of that axis."""
    found = type(array).__name__
    if isinstance(array, np.ndarray):
        lengths = zip(shape, array.shape, strict=False)
        fits = all(wanted in (None, length) for wanted, length in lengths)
        if fits and array.ndim == len(shape) and array.dtype == dtype:
            return
        found = f"{array.shape} {array.dtype}"
    axes = ", ".join("any" if length is None else str(length) for length in shape)
    raise ShapeError(
        f"FrameDetections.{name}: wanted an array of shape ({axes}) {np.dtype(dtype)}, "
        f"found {found}"
    )
