"""Scores of each head of a set of predictions, by the kind of labels that the clips have."""

import numpy as np
from numpy.typing import NDArray

from stage2_train.clips.dataset import ClipDataset
from stage2_train.evaluation.metrics import Scores, multi_label_scores, single_label_scores
from stage2_train.evaluation.predictions import Predictions

__all__ = ["score_heads", "unsure_labels"]


def score_heads(predictions: Predictions, clips: ClipDataset) -> dict[str, Scores]:
    """Scores by head: `two_heads`, `activity_head` and `object_head`, or the one there is.

    Args:
        predictions: of the segments of `clips`, in their order.
        clips: says what kind of labels there are, and which are unsure.
    """
    heads = predictions.by_head()
    if not clips.settings.multi_label:
        labels_N = predictions.labels.astype(np.int64)
        return {name: single_label_scores(logits, labels_N) for name, logits in heads.items()}
    unsure_NA = unsure_labels(clips)
    labels_NA = predictions.labels.astype(np.float32)
    return {
        name: multi_label_scores(logits, labels_NA, unsure_NA=unsure_NA)
        for name, logits in heads.items()
    }


def unsure_labels(clips: ClipDataset) -> NDArray[np.bool_]:
    """(N, A) bool, pairs of segment and class of which annotators could not tell."""
    unsure_NA = np.zeros((len(clips), clips.settings.num_activities), np.bool_)
    for row, segment in enumerate(clips.segments):
        unsure_NA[row, list(segment.unsure)] = True
    return unsure_NA
