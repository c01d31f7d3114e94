"""In which order detections fill the slots of a frame: by their scores, or the persons first.

N detections of a frame.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.stage2_train.clips.mask_pieces import MaskPieces
from orn.stage2_train.clips.objects import FrameObjects

ObjectOrder = Literal["score", "person_first"]

_PERSON = COCO_CLASSES.index("person")


def with_persons_first(objects: FrameObjects, generator: np.random.Generator) -> FrameObjects:
    """The detections of a frame, persons first as they were, then the others in a random order."""
    is_person_N = objects.labels == _PERSON
    others = generator.permutation(np.flatnonzero(~is_person_N))
    order_N = np.concatenate([np.flatnonzero(is_person_N), others])
    return replace(
        objects,
        boxes=objects.boxes[order_N],
        class_scores=objects.class_scores[order_N],
        labels=objects.labels[order_N],
        pieces=_reordered(objects.pieces, order_N),
    )


def _reordered(pieces: MaskPieces, order_N: NDArray[np.int64]) -> MaskPieces:
    """The pieces of masks that stand in another order, those of a mask side by side as before."""
    place_N = np.argsort(order_N).astype(np.int32)
    owner_R = place_N[pieces.owner_R]
    rows_4R = pieces.owned_by(owner_R).rows_4R[:, np.argsort(owner_R, kind="stable")]
    return MaskPieces(rows_4R=rows_4R)
