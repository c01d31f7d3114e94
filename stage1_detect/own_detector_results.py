"""Convert the result of a user's detector for one frame. Results of supervision and torchvision are
recognized by their fields, so that neither package is imported.

Axes: N detections of a frame, H W pixels of a frame.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.validate import widened_boxes
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS, MOST_FRAME_MASK_BYTES

_MASK_THRESHOLD = 0.5
"""A pixel with a higher probability belongs to the object, as in torchvision's examples."""


def frame_detections(
    result: Any, *, height: int, width: int, score_threshold: float
) -> FrameDetections:
    """Return the detections of a frame with a score above the threshold.

    Boxes are clipped to the frame and extended to include their masks; without masks, each mask
    fills its box. A score that is NaN is kept, and refused by the rules of a shard.

    Args:
        result: `supervision.Detections` (`xyxy`, `confidence`, `class_id`, `mask`, `tracker_id`,
            `data["class_scores"]`); a dict as torchvision returns it (`boxes`, `scores`, `labels`,
            `masks`, also `tracks` and `class_scores`); or `FrameDetections`.
        height: height of the frame.
        width: width of the frame.
        score_threshold: minimum score of a detection, 0..1.

    Raises:
        DetectorError: if the result has another form, shape or type.
        ShapeError: if a field does not match the boxes.
    """
    is_ours = isinstance(result, FrameDetections)
    frame = result if is_ours else _converted(_fields_of(result), height=height, width=width)
    frame = _above(frame, score_threshold)
    num_bytes = sum(map(len, frame.masks))
    if len(frame) > MOST_FRAME_DETECTIONS or num_bytes > MOST_FRAME_MASK_BYTES:
        raise DetectorError(
            f"expected at most {MOST_FRAME_DETECTIONS:,} objects and {MOST_FRAME_MASK_BYTES:,} "
            f"bytes of masks in a frame, got {len(frame):,} and {num_bytes:,}; raise "
            "--score-threshold"
        )
    return frame


def _fields_of(result: Any) -> Mapping[str, Any]:
    """Return the fields of a result by their names in torchvision."""
    if isinstance(result, Mapping) and {"boxes", "labels", "scores"} <= result.keys():
        return result
    if all(hasattr(result, name) for name in ("xyxy", "confidence", "class_id")):
        return {
            "boxes": result.xyxy,
            "scores": result.confidence,
            "labels": result.class_id,
            "masks": getattr(result, "mask", None),
            "tracks": getattr(result, "tracker_id", None),
            **(getattr(result, "data", None) or {}),
        }
    raise DetectorError(
        "expected supervision.Detections, a dict with boxes, labels and scores, or FrameDetections "
        f"for each frame, got {type(result).__name__}"
    )


def _converted(fields: Mapping[str, Any], *, height: int, width: int) -> FrameDetections:
    boxes_N4 = np.asarray(_array(fields["boxes"]), np.float32).reshape(-1, 4)
    scores, masks, tracks, class_scores = (
        None if (value := fields.get(name)) is None else _array(value)
        for name in ("scores", "masks", "tracks", "class_scores")
    )
    frame = FrameDetections.from_boxes(
        clip_boxes(boxes_N4, height=height, width=width),
        height=height,
        width=width,
        labels=_array(fields["labels"]),
        scores=np.ones(len(boxes_N4)) if scores is None else scores,
        class_scores=class_scores,
    )
    if tracks is not None:
        frame = replace(frame, tracks=tracks.astype(np.int64))
    if masks is None:
        return frame
    encoded = _encoded(masks, (len(frame), height, width))
    return replace(frame, masks=encoded, boxes=widened_boxes(frame.boxes, encoded, height=height))


def _array(value: Any) -> NDArray[Any]:
    """Return an array; a tensor may be on a GPU and require gradients."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _encoded(masks: NDArray[Any], shape: tuple[int, int, int]) -> tuple[bytes, ...]:
    """Return masks as run lengths: true, not 0, or probabilities above one half.

    Raises:
        DetectorError: if the masks have another shape, or values that are neither.
    """
    masks_NHW = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
    if masks_NHW.shape != shape and shape[0]:
        raise DetectorError(
            "expected masks over the whole frame, (objects, height, width) = "
            f"{shape}, got {masks.shape}"
        )
    if masks.dtype != np.bool_ and masks.size:
        least_value, most = masks.min(), masks.max()
        if not (least_value >= 0 and most <= (1 if masks.dtype.kind == "f" else 255)):
            raise DetectorError(
                "expected masks of true and false, of whole numbers from 0 to 255, or of "
                f"probabilities, got values from {least_value} to {most}"
            )
    least = _MASK_THRESHOLD if np.issubdtype(masks.dtype, np.floating) else 0
    return tuple(rle.encode(mask_HW > least) for mask_HW in masks_NHW)


def _above(frame: FrameDetections, threshold: float) -> FrameDetections:
    """Return the detections whose score is not at most the threshold."""
    kept_N = ~(frame.scores <= threshold)
    if kept_N.all():
        return frame
    names = ("boxes", "scores", "labels", "class_scores", "tracks")
    arrays = {name: array for name in names if (array := getattr(frame, name)) is not None}
    masks = tuple(frame.masks[row] for row in np.flatnonzero(kept_N))
    kept = {name: array[kept_N] for name, array in arrays.items()}
    return replace(frame, masks=masks, **kept)
