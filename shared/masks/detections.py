"""The detections of one frame: parallel arrays, one row a detection, in pixels of one grid.

N detections, S = 80 COCO classes. The grid is the upright frame for our own detector; imports may
use another one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.checks import check_array
from shared.errors import ShapeError
from shared.masks.coco_classes import NUM_COCO_CLASSES

__all__ = ["FrameDetections"]


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
    labels: NDArray[np.uint8]
    """(N,) uint8, the kept class, an index into `COCO_CLASSES`."""
    class_scores: NDArray[np.float16] | None
    """(N, 80) float16, softmax over the COCO classes (background = 1 - sum); None: not known."""
    masks: tuple[bytes, ...]
    """N masks, COCO compressed run lengths over the whole grid (`shared.masks.rle`)."""

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
        check_array("FrameDetections.boxes", self.boxes, shape=(None, 4), dtype=np.float32)
        num_detections = self.boxes.shape[0]
        check_array(
            "FrameDetections.scores", self.scores, shape=(num_detections,), dtype=np.float32
        )
        check_array("FrameDetections.labels", self.labels, shape=(num_detections,), dtype=np.uint8)
        if self.class_scores is not None:
            check_array(
                "FrameDetections.class_scores",
                self.class_scores,
                shape=(num_detections, NUM_COCO_CLASSES),
                dtype=np.float16,
            )
        if not isinstance(self.masks, tuple) or len(self.masks) != num_detections:
            found = (
                f"{len(self.masks)}" if isinstance(self.masks, tuple) else type(self.masks).__name__
            )
            raise ShapeError(
                f"FrameDetections.masks: wanted a tuple of {num_detections} masks, one a box, "
                f"found {found}"
            )
        if num_detections:
            self._check_values()

    def __len__(self) -> int:
        """The number of detections."""
        return self.boxes.shape[0]

    def _check_values(self) -> None:
        boxes = self.boxes
        if not (np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all()):
            ordered = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
            row = int(np.flatnonzero(~ordered)[0])
            raise ShapeError(
                "FrameDetections.boxes: wanted finite x1 <= x2 and y1 <= y2, "
                f"found {boxes[row].tolist()} in row {row}"
            )
        if self.labels.max() >= NUM_COCO_CLASSES:
            raise ShapeError(
                f"FrameDetections.labels: wanted classes 0..{NUM_COCO_CLASSES - 1}, "
                f"found {self.labels.max()}"
            )
