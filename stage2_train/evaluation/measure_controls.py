"""Measure what a network uses: predictions for changed clips, and what they are worth.

N segments of a split, n of them in a batch, A activity classes, P controls.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orn.stage2_train.clips.batches import LoaderSettings, loader_of_segments
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.sampling import clip_generator
from orn.stage2_train.evaluation.controls import controls
from orn.stage2_train.evaluation.intervals import paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.runs.control_results import CHANGES, MOST_CLIPS
from orn.stage2_train.runs.predictions import Predictions
from orn.stage2_train.settings.model_config import Heads

if TYPE_CHECKING:
    from accelerate import Accelerator

_MOST_PAIRS = 3
_NUM_DRAWS = 400
"""Bootstrap draws, which determine the width of an interval to about 4 %; with more, average
precision takes minutes for ten thousand segments."""
Changed = Mapping[str, NDArray[np.float32]]
"""(N, A) logits of changed clips by name in `CHANGES`; NaN for segments that were not changed."""


def shuffled_batches(clips: ClipDataset, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the indices of the segments to change, in batches of two or more, in random order that
    depends only on the ids: at most `MOST_CLIPS` if frames are read, otherwise all."""
    ids = [segment.id for segment in clips.segments]
    order_N = clip_generator("\0".join(ids), 0).permutation(len(ids))
    if "frames" in clips.settings.reads:
        order_N = order_N[:MOST_CLIPS]
    number = min(-(-len(order_N) // batch_size), len(order_N) // 2)
    return np.array_split(order_N, max(number, 1))


def predict_changed(
    network: nn.Module,
    clips: ClipDataset,
    settings: LoaderSettings,
    *,
    heads: Heads,
    reads_objects: bool,
    accelerator: "Accelerator",
    advance: Callable[[int], None] = lambda num_clips: None,
) -> dict[str, NDArray[np.float32]]:
    """Return the `Changed` logits of the prediction; each clip is read once.

    Args:
        network: network on the accelerator's device; it remains in evaluation mode afterwards.
        reads_objects: whether the network reads objects; otherwise only frames are changed. They
            are also not changed for a split of one segment.
        advance: called with the number of clips of each finished batch.
    """
    from accelerate.utils import gather_object

    network.eval()
    changes = controls(
        reads_objects=reads_objects and len(clips) > 1,
        has_background=clips.settings.slots.background,
    )
    batches = shuffled_batches(clips, settings.batch_size)[settings.rank :: settings.world_size]
    parts: list[tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]] = []
    for rows_n, batch in zip(batches, loader_of_segments(clips, settings, batches), strict=True):
        logits = {}
        for name, change in changes.items():
            with torch.inference_mode(), accelerator.autocast():
                inputs = change(batch).to(accelerator.device)
                logits[name] = network(inputs, heads=heads).logits_BA.float().cpu().numpy()
        parts.append((rows_n, logits))
        advance(len(batch))
    shape = len(clips), clips.settings.num_activities
    changed = {name: np.full(shape, np.nan, np.float32) for name in changes}
    for rows_n, logits in gather_object(parts):
        for name, logits_nA in logits.items():
            changed[name][rows_n] = logits_nA
    return changed


def classes_when_changed(changed: Changed) -> NDArray[np.int64]:
    """Return (N, P) the predicted class of each segment when changed as in `CHANGES`; -1 if it was
    not."""
    num_segments = len(next(iter(changed.values())))
    predicted_NP = np.full((num_segments, len(CHANGES)), -1)
    for place, name in enumerate(CHANGES):
        if name in changed:
            known_N = ~np.isnan(changed[name]).any(axis=1)
            predicted_NP[known_N, place] = changed[name][known_N].argmax(axis=1)
    return predicted_NP


def logits_of_classes(predicted_NP: NDArray[np.int64], num_classes: int) -> Changed:
    """Return logits, 0 and 1, with which `control_values` gives the results of these classes."""
    is_class_PNA = predicted_NP.T[..., None] == np.arange(num_classes)
    unknown_PN1 = (predicted_NP.T < 0)[..., None]
    logits_PNA = np.where(unknown_PN1, np.nan, is_class_PNA).astype(np.float32)
    of_changes = zip(CHANGES, logits_PNA, strict=True)
    return {name: logits for name, logits in of_changes if not np.isnan(logits).all()}


def control_values(
    predictions: Predictions, changed: Changed, classes: Sequence[str]
) -> dict[str, Any]:
    """Return the fields of `ControlResults`.

    Args:
        predictions: predictions for all segments as they are, from `with_groups`.
        changed: logits when changed.
        classes: A names.
    """
    results: dict[str, Any] = {}
    for name, logits_NA in changed.items():
        rows = np.flatnonzero(~np.isnan(logits_NA).any(axis=1))
        own = predictions.reordered(rows)
        now, then = (
            Tallies(own.labels, each, own.unsure) for each in (own.network_logits, logits_NA[rows])
        )
        groups = own.groups or own.ids
        results[name] = paired_differences(now, then, groups, num_draws=_NUM_DRAWS)[0]
    rows = np.flatnonzero(~np.isnan(changed["reversed"]).any(axis=1))
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
        "exchanged": _exchanged(predictions.reordered(rows), changed["reversed"][rows], classes),
    }


def _exchanged(
    predictions: Predictions, reversed_NA: NDArray[np.float32], classes: Sequence[str]
) -> list[tuple[str, str, int]]:
    """Return pairs of classes, the more frequent direction first, with numbers of segments that are
    predicted correctly as one, and reversed as the other."""
    if predictions.labels.ndim > 1:
        return []
    now_N, then_N = predictions.network_logits.argmax(axis=1), reversed_NA.argmax(axis=1)
    is_turned_N = (now_N == predictions.labels) & (then_N != now_N)
    turns = Counter(zip(now_N[is_turned_N].tolist(), then_N[is_turned_N].tolist(), strict=True))
    pairs: Counter[tuple[int, int]] = Counter()
    for (one, other), number in turns.most_common():
        pairs[(other, one) if (other, one) in pairs else (one, other)] += number
    most = pairs.most_common(_MOST_PAIRS)
    return [(classes[one], classes[other], number) for (one, other), number in most]
