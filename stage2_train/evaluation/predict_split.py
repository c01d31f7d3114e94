"""Compute the predictions for the segments of a split, averaged over their clips.

N segments, A activity classes.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orn.data_manifests.records import Segment
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader, evaluation_requests
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.runs.saved_predictions import Predictions, joined_predictions
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.names import HeadCombination

if TYPE_CHECKING:
    from accelerate import Accelerator


def predict(
    network: nn.Module,
    dataset: ClipDataset,
    settings: LoaderSettings,
    *,
    heads: Heads,
    num_clips: int = 1,
    accelerator: "Accelerator",
    forest: Callable[[Sequence[Segment]], NDArray[np.float32]] | None = None,
    film: Callable[[Sequence[Segment]], NDArray[np.float32]] | None = None,
    advance: Callable[[int], None] = lambda num_clips: None,
) -> Predictions:
    """Return the predictions for all segments, in order.

    With n processes, process r computes segments r, r + n, ...

    Args:
        network: network on the accelerator's device; it remains in evaluation mode afterwards.
        num_clips: number of clips of each segment whose logits are averaged.
        forest: returns the logits of the model's forest for segments; None if it has none.
        film: returns those of its head over time.
        advance: called with the number of clips of each finished batch.
    """
    from accelerate.utils import gather_object

    network.eval()
    own = range(settings.rank, len(dataset), settings.world_size)
    labels: list[NDArray] = []
    sums: dict[tuple[str, int], NDArray[np.float64]] = {}
    means: dict[str, NDArray[np.float32]] = {}
    combination: HeadCombination = "mean"
    batches = evaluation_loader(dataset, settings, num_clips=num_clips)
    asked = evaluation_requests(len(dataset), settings, num_clips=num_clips)
    for requests, batch in zip(asked, batches, strict=True):
        clip, first = requests[0].clip, own.index(requests[0].segment)
        if clip == 0:
            labels.append(batch.labels.numpy())
        with torch.inference_mode(), accelerator.autocast():
            output = network(batch.to(accelerator.device), heads=heads)
        combination = output.combination
        for name, logits_BA in (
            ("activity", output.activity_logits_BA),
            ("object", output.object_logits_BA),
        ):
            if logits_BA is None:
                continue
            total_BA = sums.pop((name, first), 0.0) + logits_BA.double().cpu().numpy()
            if clip < num_clips - 1:
                sums[name, first] = total_BA
                continue
            mean_NA = means.setdefault(name, np.zeros((len(own), total_BA.shape[1]), np.float32))
            mean_NA[first : first + len(batch)] = total_BA / num_clips
        advance(len(batch))
    own_segments = [dataset.segments[index] for index in own]
    part = Predictions(
        ids=tuple(segment.id for segment in own_segments),
        labels=np.concatenate(labels) if labels else _no_labels(dataset),
        activity_logits=means.get("activity"),
        object_logits=means.get("object"),
        forest_logits=forest(own_segments) if forest and own_segments else None,
        film_logits=film(own_segments) if film and own_segments else None,
        combination=combination,
    )
    return gathered(gather_object([part]))


def _no_labels(dataset: ClipDataset) -> NDArray:
    """Return empty labels, for a process without segments."""
    if dataset.settings.multi_label:
        return np.zeros((0, dataset.settings.num_activities), np.float32)
    return np.zeros(0, np.int64)


def gathered(parts: list[Predictions]) -> Predictions:
    """Return the predictions of n processes merged in the order of the segments."""
    if len(parts) == 1:
        return parts[0]
    num_segments = sum(len(part.ids) for part in parts)
    index = np.concatenate(
        [np.arange(rank, num_segments, len(parts)) for rank in range(len(parts))]
    )
    filled = [part for part in parts if part.ids] or parts[:1]
    return joined_predictions(filled).reordered(np.argsort(index))
