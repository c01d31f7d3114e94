"""What a network uses: its predictions for clips whose frames or objects are changed, and what they
are worth.

B clips, T frames per clip, K object slots, N segments of a split, A activity classes, P changes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from orn.stage2_train.clip_store.motion import reversed_motion
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader
from orn.stage2_train.clips.clip_draws import clip_generator
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.evaluation.bootstrap import paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.model.inputs import ClipBatch, map_tensors
from orn.stage2_train.runs.saved_predictions import Predictions
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.names import CHANGES, MOST_CHANGED

if TYPE_CHECKING:
    from accelerate import Accelerator

_OBJECTS = (
    "masks_BTKhw",
    "coverage_BTKhw",
    "boxes_BTK4",
    "class_scores_BTKS",
    "detector_labels_BTK",
    "valid_BTK",
)
_MOST_PAIRS = 3
_NUM_DRAWS = 400
"""Bootstrap draws, which determine the width of an interval to about 4 %."""


def reversed_frames(batch: ClipBatch) -> ClipBatch:
    """Return the clips played backwards: with mirrored times and reversed motion."""
    clips = _with_frames(batch, torch.arange(batch.num_frames).flip(0))
    seconds_BT, motion_BTChw = clips.seconds_BT, clips.motion_BTChw
    if motion_BTChw is not None:
        motion_BTChw = torch.from_numpy(reversed_motion(motion_BTChw.numpy()))
    mirrored_BT = seconds_BT.amax(dim=1, keepdim=True) - seconds_BT.flip(1)
    return replace(clips, seconds_BT=mirrored_BT, motion_BTChw=motion_BTChw)


def one_frame(batch: ClipBatch) -> ClipBatch:
    """Return the clips with the middle frame in place of every frame; times stay."""
    return _with_frames(batch, torch.full((batch.num_frames,), batch.num_frames // 2))


def without_objects(batch: ClipBatch, *, has_background: bool) -> ClipBatch:
    """Return the clips with one slot in each frame, which is empty or has the background object,
    which covers the whole crop."""
    empty: dict[str, Any] = {
        name: torch.zeros_like(getattr(batch, name)[:, :, :1]) for name in _OBJECTS
    }
    clips = replace(batch, **empty)
    if has_background:
        for name in ("masks_BTKhw", "coverage_BTKhw", "valid_BTK"):
            getattr(clips, name).fill_(1)
        clips.boxes_BTK4[..., 3], clips.boxes_BTK4[..., 2] = batch.crop
        clips.class_scores_BTKS[..., -1] = 1
        clips.detector_labels_BTK.fill_(batch.class_scores_BTKS.shape[3] - 1)
    return clips


def _with_frames(batch: ClipBatch, frames_T: Tensor) -> ClipBatch:
    """Return the clips with these frames, but the times as they are."""
    moved = map_tensors(
        batch, lambda tensor: tensor if tensor is batch.labels else tensor[:, frames_T]
    )
    return replace(moved, seconds_BT=batch.seconds_BT)


def changed_segments(clips: ClipDataset) -> NDArray[np.int64]:
    """Return the indices of the segments to change: at most `MOST_CHANGED`, drawn by their ids, if
    frames are read, otherwise all."""
    ids = [segment.id for segment in clips.segments]
    if "frames" not in clips.settings.reads or len(ids) <= MOST_CHANGED:
        return np.arange(len(ids))
    return clip_generator("\0".join(ids), 0).permutation(len(ids))[:MOST_CHANGED]


def predict_changed(
    network: nn.Module,
    clips: ClipDataset,
    settings: LoaderSettings,
    *,
    heads: Heads,
    reads_objects: bool,
    accelerator: "Accelerator",
    advance: Callable[[int], None] = lambda num_clips: None,
) -> NDArray[np.int64]:
    """Return (N, P) the predicted class of each segment when changed as in `CHANGES`, -1 if it was
    not; each clip is read once.

    Args:
        network: network on the accelerator's device; it remains in evaluation mode afterwards.
        reads_objects: whether the network reads objects; otherwise only frames are changed.
        advance: called with the number of clips of each finished batch.
    """
    from accelerate.utils import gather_object

    network.eval()
    changes: list[Callable[[ClipBatch], ClipBatch]] = [reversed_frames, one_frame]
    if reads_objects:
        background = clips.settings.slots.background
        changes.append(lambda batch: without_objects(batch, has_background=background))
    rows, chosen = changed_segments(clips), copy(clips)
    chosen.segments = tuple(clips.segments[row] for row in rows)
    left = rows[settings.rank :: settings.world_size]
    predicted_NP = np.full((len(clips), len(CHANGES)), -1)
    for batch in evaluation_loader(chosen, settings):
        rows_n, left = left[: len(batch)], left[len(batch) :]
        for index, change in enumerate(changes):
            with torch.inference_mode(), accelerator.autocast():
                inputs = change(batch).to(accelerator.device)
                logits_nA = network(inputs, heads=heads).logits_BA.float()
                predicted_NP[rows_n, index] = logits_nA.argmax(dim=1).cpu().numpy()
        advance(len(batch))
    of_processes: NDArray[np.int64] = np.max(gather_object([predicted_NP]), axis=0)
    return of_processes


def control_values(predictions: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `ControlResults`.

    Args:
        predictions: predictions from `with_groups`, with `when_changed`.
        classes: A names.
    """
    predicted_NP, results = predictions.when_changed, dict[str, dict[str, Any]]()
    assert predicted_NP is not None
    for index, name in enumerate(CHANGES):
        rows = np.flatnonzero(predicted_NP[:, index] >= 0)
        if len(rows):
            own = predictions.reordered(rows)
            then_NA = np.eye(len(classes), dtype=np.float32)[predicted_NP[rows, index]]
            now, then = (
                Tallies(own.labels, each).figures for each in (own.network_logits, then_NA)
            )
            groups = own.groups or own.ids
            results[name] = paired_differences(now, then, groups, num_draws=_NUM_DRAWS)[0]
    rows = np.flatnonzero(predicted_NP[:, 0] >= 0)
    return {
        "num_segments": len(rows),
        "unchanged": results["reversed"]["one"],
        "changes": {
            name: {
                "value": row["other"],
                **{key: row[key] for key in ("difference", "low", "high")},
            }
            for name, row in results.items()
        },
        "exchanged": _exchanged(predictions.reordered(rows), predicted_NP[rows, 0], classes),
    }


def _exchanged(
    predictions: Predictions, then_N: NDArray[np.int64], classes: Sequence[str]
) -> list[tuple[str, str, int]]:
    """Return pairs of classes, the more frequent direction first, with numbers of segments that are
    predicted correctly as one, and reversed as the other."""
    now_N = predictions.network_logits.argmax(axis=1)
    is_turned_N = (now_N == predictions.labels) & (then_N != now_N)
    turns = Counter(zip(now_N[is_turned_N].tolist(), then_N[is_turned_N].tolist(), strict=True))
    pairs: Counter[tuple[int, int]] = Counter()
    for (one, other), number in turns.most_common():
        pairs[(other, one) if (other, one) in pairs else (one, other)] += number
    most = pairs.most_common(_MOST_PAIRS)
    return [(classes[one], classes[other], number) for (one, other), number in most]
