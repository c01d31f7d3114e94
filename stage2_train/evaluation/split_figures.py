"""Metrics of a split with confidence intervals: by head, by class, and on subsets of the segments
that are defined by the publishers of a data set, such as tail classes.

N segments, A activity classes, K parts of a metric, F metrics, R bootstrap draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Metric, Segment, Subset
from orn.stage2_train.evaluation.intervals import (
    CONFIDENCE,
    Figures,
    Proportion,
    at_least,
    bootstrap_figures,
    with_interval,
)
from orn.stage2_train.evaluation.metrics import Tallies, chance_level, confusion_counts, scores_of
from orn.stage2_train.runs.eval_file import UNSURE_NEGATIVE
from orn.stage2_train.runs.predictions import GroupKind, Predictions
from orn.stage2_train.settings.evaluation_names import NUM_FIGURE_DRAWS


def with_groups(
    predictions: Predictions, segments: Sequence[Segment], unsure_NA: NDArray[np.bool_]
) -> Predictions:
    """Return the predictions with the groups and unsure labels needed for confidence intervals.

    Segments are grouped by participant if the data set specifies one for each, or else by group;
    as in splits, a segment without a group belongs to that of its video.
    """
    videos = [segment.video_id for segment in segments]
    kind: GroupKind = "videos"
    groups = videos
    if segments and all(segment.participant is not None for segment in segments):
        kind, groups = "participants", [str(segment.participant) for segment in segments]
    elif any(segment.group is not None for segment in segments):
        kind, groups = "groups", [segment.group or segment.video_id for segment in segments]
    return replace(
        predictions,
        groups=tuple(groups),
        grouped_by=kind,
        videos=None if kind == "videos" else tuple(videos),
        unsure=unsure_NA if unsure_NA.any() else None,
    )


def segments_of_metrics(predictions: Predictions, tallies: Tallies) -> NDArray[np.bool_]:
    """Return (F, N) bool: the segments of each metric of `Tallies`. Those of the metric of a class
    are the segments of this class, without unsure labels."""
    labels = predictions.labels
    every_FN = np.ones((len(tallies.names), len(labels)), np.bool_)
    if labels.ndim == 1:
        of_classes_AN = np.asarray(labels == np.arange(tallies.num_classes)[:, None])
    else:
        of_classes_AN = np.asarray(((labels > 0) & predictions.sure_NA).T)
    return np.concatenate([every_FN, of_classes_AN])


def interval_facts(predictions: Predictions, num_draws: int) -> dict[str, Any]:
    """Return what the intervals of a result are computed over, as a JSON object."""
    return {
        "confidence": CONFIDENCE,
        "over": predictions.grouped_by if predictions.groups else "segments",
        "num_groups": len(set(predictions.groups or predictions.ids)),
        "draws": num_draws,
    }


def measured_values(
    predictions: Predictions,
    classes: Sequence[str],
    metric: Metric,
    *,
    subsets: Sequence[Subset] = (),
) -> dict[str, Any]:
    """Return what an `EvalFile` contains of predictions from `with_groups`: the metrics by head,
    the chance level, `measured_figures` and, for single labels, the confusion counts."""
    labels, unsure_NA = predictions.labels, predictions.unsure
    values: dict[str, Any] = {
        "chance": chance_level(metric, labels, num_classes=len(classes), unsure_NA=unsure_NA)
    }
    for head, logits_NA in predictions.by_head().items():
        metrics = {**scores_of(labels, logits_NA, unsure_NA)}
        if unsure_NA is not None and labels.ndim == 2:
            metrics[UNSURE_NEGATIVE] = scores_of(labels, logits_NA)["map"]
        values[head] = metrics
    values |= measured_figures(predictions, classes, subsets=subsets)
    if labels.ndim == 1:
        labels_N = labels.astype(np.int64)
        values["confusion_counts"] = confusion_counts(predictions.logits, labels_N).tolist()
    return values


def measured_figures(
    predictions: Predictions,
    classes: Sequence[str],
    *,
    subsets: Sequence[Subset] = (),
    num_draws: int = NUM_FIGURE_DRAWS,
) -> dict[str, Any]:
    """Return the metrics for a report with their intervals.

    Intervals over participants or groups are at least as wide as those over videos: with few groups
    of similar accuracy, the draws hardly vary.

    Args:
        predictions: from `with_groups`.
        classes: A names.
        subsets: subsets defined by the data set; see `subset_shares`.

    Returns:
        `interval`, the parameters of the intervals; `figures`, values with the bounds of their
        intervals (null if undefined) by head and name; `per_class`, A rows with name, number of
        segments, score of each head, `intervals` and, for single labels, `average_precision`.
    """
    heads, labels = predictions.by_head(), predictions.labels
    groups = predictions.groups or predictions.ids
    tallies = [Tallies(labels, logits_NA, predictions.unsure) for logits_NA in heads.values()]
    of_tallies = _with_intervals(
        tallies,
        segments_of_metrics(predictions, tallies[0]),
        groups=groups,
        videos=predictions.videos,
        num_draws=num_draws,
    )
    persons = predictions.groups if predictions.grouped_by == "participants" else None
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = [
        {
            "class": name,
            "num_segments": int(
                (labels == place).sum() if labels.ndim == 1 else labels[:, place].sum()
            ),
            **dict.fromkeys(heads),
            "intervals": {},
        }
        for place, name in enumerate(classes)
    ]
    for head, tally, proportions in zip(heads, tallies, of_tallies, strict=True):
        shares = subset_shares(labels, heads[head], subsets, participants=persons)
        figures[head] = dict(zip(tally.names, proportions, strict=False))
        figures[head] |= share_figures(
            shares, groups, videos=predictions.videos, num_draws=num_draws
        )
        for row, figure in zip(rows, proportions[len(tally.names) :], strict=True):
            row[head] = figure["value"]
            ends = [figure["low"], figure["high"]]
            row["intervals"][head] = None if None in ends else ends
        for row, precision in zip(rows, _average_precisions(labels, heads[head]), strict=False):
            row.setdefault("average_precision", {})[head] = precision
    least_over = None if predictions.videos is None else "videos"
    interval = interval_facts(predictions, num_draws) | {"least_over": least_over}
    return {"interval": interval, "figures": figures, "per_class": rows}


def _with_intervals(
    tallies: Sequence[Figures],
    segments_FN: NDArray[np.bool_],
    *,
    groups: Sequence[str],
    videos: Sequence[str] | None,
    num_draws: int,
) -> list[list[Proportion]]:
    """Return the metrics of each tally with their intervals over groups, which are at least as wide
    as those over videos.

    Args:
        tallies: tallies of the same segments.
        segments_FN: segments of each metric, the same for all tallies.
        groups: group of each segment.
        videos: video of each segment; None if these are the groups.
    """
    once = np.ones((len(groups), 1))
    draws = bootstrap_figures(tallies, groups, num_draws=num_draws)
    sizes_F = [len(np.unique(np.asarray(groups)[segments_N])) for segments_N in segments_FN]
    proportions = [
        [
            with_interval(value, draws_R, num_groups=size)
            for value, draws_R, size in zip(
                tally.figures(once)[:, 0].tolist(), draws_FR, sizes_F, strict=True
            )
        ]
        for tally, draws_FR in zip(tallies, draws, strict=True)
    ]
    if videos is None:
        return proportions
    least = _with_intervals(tallies, segments_FN, groups=videos, videos=None, num_draws=num_draws)
    return [
        [at_least(*pair) for pair in zip(*of_tally, strict=True)]
        for of_tally in zip(proportions, least, strict=True)
    ]


def _average_precisions(labels: NDArray[Any], logits_NA: NDArray[np.float32]) -> list[float | None]:
    """Return the average precision of each class; empty for multiple labels (already scored)."""
    if labels.ndim != 1:
        return []
    of_classes = (
        Tallies((labels == place).astype(np.float32)[:, None], logits_NA[:, place, None]).once()[1]
        for place in range(logits_NA.shape[1])
    )
    return [None if math.isnan(value) else float(value) for value in of_classes]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Share:
    """Mean over K parts of the fraction of segments that are correct."""

    right_KN: NDArray[np.bool_]
    """Correct segments, a subset of `of_KN`."""
    of_KN: NDArray[np.bool_]
    """Segments over which the fraction is computed; it is 0 if there are none."""
    in_KN: NDArray[np.bool_]
    """Segments of each part; a part without segments is excluded from the mean."""


def top1_share(right_N: NDArray[np.bool_], in_N: NDArray[np.bool_]) -> Share:
    """Return the fraction of the segments `in_N` that are correct."""
    return Share(right_KN=(right_N & in_N)[None], of_KN=in_N[None], in_KN=in_N[None])


def subset_shares(
    labels: NDArray[Any],
    logits_NA: NDArray[np.float32],
    subsets: Sequence[Subset],
    *,
    participants: Sequence[str] | None,
) -> dict[str, Share]:
    """Return the metrics on subsets of a single-label data set, by name.

    - `top1_unseen`, `top1_tail`: top-1 accuracy on unseen or tail segments (EPIC-KITCHENS-100:
      Damen et al. 2022, and `compute_metrics` of epic-kitchens/C1-Action-Recognition).
    - `many_shot_precision`, `many_shot_recall`: precision and recall of the predicted class,
      averaged over the many-shot classes in the split; the precision of a class that is never
      predicted is 0 (EPIC-KITCHENS-55: Damen et al. 2018, and `compute_metrics` of
      epic-kitchens/epic-kitchens-55-lib).

    Args:
        labels: (N,) classes; for multiple labels the result is empty.
        logits_NA: logits of a head or of the prediction.
        subsets: subsets of the data set.
        participants: N names; None if unknown.
    """
    if labels.ndim != 1:
        return {}
    predicted_N = logits_NA.argmax(axis=1)
    shares: dict[str, Share] = {}
    for subset in subsets:
        if subset.absent is not None:
            continue
        classes_K1 = np.array(subset.classes, np.int64)[:, None]
        true_KN = labels == classes_K1
        if subset.name == "many_shot":
            guessed_KN = predicted_N == classes_K1
            for name, of_KN in (("precision", guessed_KN), ("recall", true_KN)):
                shares[f"many_shot_{name}"] = Share(
                    right_KN=true_KN & guessed_KN, of_KN=of_KN, in_KN=true_KN
                )
            continue
        in_N = true_KN.any(axis=0)
        if subset.name == "unseen":
            in_N = np.isin(np.asarray(participants or ()), subset.participants)
        if len(in_N) == len(predicted_N):
            shares[f"top1_{subset.name}"] = top1_share(predicted_N == labels, in_N)
    return {name: share for name, share in shares.items() if share.in_KN.any()}


class _ShareTallies:
    """Shares as functions of the number of times that each segment is drawn."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = [
            [part.astype(np.float32) for part in (share.right_KN, share.of_KN, share.in_KN)]
            for share in shares
        ]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (F, R) shares; NaN if no part has segments."""
        counts_NR = counts_NR.astype(np.float32, copy=False)
        rows = []
        for share in self._shares:
            right_KR, of_KR, in_KR = (part @ counts_NR for part in share)
            parts_KR = right_KR / np.maximum(of_KR, 1)
            number_R = (in_KR > 0).sum(axis=0)
            with np.errstate(invalid="ignore"):
                total_R = np.where(in_KR > 0, parts_KR, 0).sum(axis=0, dtype=np.float64)
                rows.append(total_R / number_R)
        return np.array(rows)


def share_figures(
    shares: Mapping[str, Share],
    groups: Sequence[str],
    *,
    videos: Sequence[str] | None = None,
    num_draws: int,
) -> dict[str, Proportion]:
    """Return each share with the bounds of its 95 % interval, None if undefined.

    Args:
        shares: shares with at least one part that has segments.
        groups: video or participant of each segment, for the bootstrap.
        videos: video of each segment, for the least width of the intervals.
    """
    if not shares:
        return {}
    (proportions,) = _with_intervals(
        [_ShareTallies([*shares.values()])],
        np.stack([share.in_KN.any(axis=0) for share in shares.values()]),
        groups=groups,
        videos=videos,
        num_draws=num_draws,
    )
    return dict(zip(shares, proportions, strict=True))
