"""The detections of one frame as the loader keeps them: filtered, best first, masks in pieces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.coco_classes import NUM_COCO_CLASSES
from shared.detections import FrameDetections
from stage2_train.data.mask_pieces import MaskPieces, pieces_of_masks

__all__ = ["BACKGROUND_LABEL", "CLASS_WIDTH", "FrameObjects", "class_vectors", "objects_of_frames"]

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


def objects_of_frames(
    frames: Sequence[FrameDetections], *, score_threshold: float = 0.0
) -> list[FrameObjects]:
    """The detections of each frame with a score of at least `score_threshold`; equal scores keep
    their order.

    Args:
        frames: detections on grids of one height; together they take little longer than one.
        score_threshold: least score.

    Raises:
        ShardFormatError: if a mask is malformed.
    """
    if not frames:
        return []
    chosen = [_best_first(frame, score_threshold) for frame in frames]
    masks: list[bytes] = []
    for frame, rows_n in zip(frames, chosen, strict=True):
        masks += [frame.masks[row] for row in rows_n.tolist()]
    pieces = pieces_of_masks(masks, height=frames[0].height)
    return [
        FrameObjects(
            height=frame.height,
            width=frame.width,
            boxes=frame.boxes[rows_n],
            class_scores=class_vectors(frame)[rows_n],
            labels=frame.labels[rows_n].astype(np.int64),
            pieces=own,
        )
        for frame, rows_n, own in zip(
            frames, chosen, pieces.split([len(rows_n) for rows_n in chosen]), strict=True
        )
    ]


def _best_first(frame: FrameDetections, score_threshold: float) -> NDArray[np.int64]:
    order_n = np.argsort(-frame.scores, kind="stable")
    return order_n[frame.scores[order_n] >= score_threshold]


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
