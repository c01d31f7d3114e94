"""The detections of one frame as the loader keeps them: filtered, best first, masks in pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from shared.masks.coco_classes import NUM_COCO_CLASSES
from shared.masks.detections import FrameDetections
from stage2_train.clips.mask_pieces import MaskPieces, pieces_of_masks

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
    chosen_N, lengths = _best_first(frames, score_threshold)
    all_masks = [mask for frame in frames for mask in frame.masks]
    pieces = pieces_of_masks([all_masks[row] for row in chosen_N.tolist()], height=frames[0].height)
    boxes_N4 = np.concatenate([frame.boxes for frame in frames])[chosen_N]
    class_scores_NS = class_vectors(frames)[chosen_N]
    labels_N = np.concatenate([frame.labels for frame in frames])[chosen_N].astype(np.int64)
    spans = [slice(*span) for span in pairwise(accumulate(lengths, initial=0))]
    return [
        FrameObjects(
            height=frame.height,
            width=frame.width,
            boxes=boxes_N4[span].copy(),  # so that the frames can be forgotten one by one
            class_scores=class_scores_NS[span].copy(),
            labels=labels_N[span].copy(),
            pieces=own,
        )
        for frame, span, own in zip(frames, spans, pieces.split(lengths), strict=True)
    ]


def _best_first(
    frames: Sequence[FrameDetections], score_threshold: float
) -> tuple[NDArray[np.int64], list[int]]:
    """Places among the detections of all frames, frame after frame and in each the best first; and
    how many each frame has."""
    scores_N = np.concatenate([frame.scores for frame in frames])
    frame_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    order_N = np.lexsort((-scores_N, frame_N))
    order_N = order_N[scores_N[order_N] >= score_threshold]
    return order_N, np.bincount(frame_N[order_N], minlength=len(frames)).tolist()


def class_vectors(frames: Sequence[FrameDetections]) -> NDArray[np.float32]:
    """(N, 81) float32, of the detections of all frames, frame after frame: the detector's scores
    and, last, what they leave of 1 for the background.

    Where only the kept class and its score are known, the score stands at that class.
    """
    lengths = [len(frame) for frame in frames]
    vectors_NS = np.zeros((sum(lengths), CLASS_WIDTH), np.float32)
    for frame, (first, last) in zip(frames, pairwise(accumulate(lengths, initial=0)), strict=True):
        if frame.class_scores is not None:
            vectors_NS[first:last, :-1] = frame.class_scores
        else:
            vectors_NS[np.arange(first, last), frame.labels] = frame.scores
    vectors_NS[:, -1] = np.maximum(1 - vectors_NS[:, :-1].sum(axis=1), 0)
    return vectors_NS
