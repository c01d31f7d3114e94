"""The detections of one frame as the loader keeps them: filtered, best first, masks in pieces."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.coco_classes import NUM_COCO_CLASSES
from shared.detections import FrameDetections
from stage2_train.data.mask_pieces import MaskPieces, pieces_of_masks

__all__ = ["BACKGROUND_LABEL", "CLASS_WIDTH", "FrameObjects", "class_vectors", "frame_objects"]

BACKGROUND_LABEL = NUM_COCO_CLASSES
"""Place of the background in a class vector: the last one."""
CLASS_WIDTH = NUM_COCO_CLASSES + 1
"""Length of a class vector: the detector's classes and the background."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameObjects:
    """The N detections of one frame that pass the score threshold, highest score first."""

    height: int
    """Rows of the grid of boxes and masks."""
    width: int
    """Columns of that grid."""
    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2, pixels of the grid."""
    class_scores: NDArray[np.float32]
    """(N, 81) float32 distribution over the classes and the background."""
    labels: NDArray[np.int64]
    """(N,) int64 kept class, 0..79."""
    pieces: MaskPieces
    """The masks; owners are rows of the other fields."""

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def size_bytes(self) -> int:
        """Memory that the arrays take."""
        return (
            self.boxes.nbytes
            + self.class_scores.nbytes
            + self.labels.nbytes
            + self.pieces.size_bytes
        )


def frame_objects(detections: FrameDetections, *, score_threshold: float = 0.0) -> FrameObjects:
    """The detections with a score of at least `score_threshold`; equal scores keep their order.

    Raises:
        ShardFormatError: if a mask is malformed.
    """
    order_n = np.argsort(-detections.scores, kind="stable")
    order_n = order_n[detections.scores[order_n] >= score_threshold]
    masks = tuple(detections.masks[row] for row in order_n.tolist())
    return FrameObjects(
        height=detections.height,
        width=detections.width,
        boxes=detections.boxes[order_n],
        class_scores=class_vectors(detections)[order_n],
        labels=detections.labels[order_n].astype(np.int64),
        pieces=pieces_of_masks(masks, height=detections.height),
    )


def class_vectors(detections: FrameDetections) -> NDArray[np.float32]:
    """(N, 81) float32: the detector's scores and, last, what they leave of 1 for the background.

    Where only the kept class and its score are known, the score stands at that class.
    """
    num_detections = len(detections)
    scores = np.zeros((num_detections, CLASS_WIDTH), np.float32)
    if detections.class_scores is not None:
        scores[:, :-1] = detections.class_scores
    else:
        scores[np.arange(num_detections), detections.labels] = detections.scores
    scores[:, -1] = np.maximum(1 - scores[:, :-1].sum(axis=1), 0)
    return scores
