"""Metrics of a split with confidence intervals: by head, by class, and on some of the segments.

N segments, A activity classes, F metrics, R bootstrap draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Metric, Segment
from orn.stage2_train.evaluation.bootstrap import (
    CONFIDENCE,
    Figures,
    Proportion,
    at_least,
    bootstrap_figures,
    with_interval,
)
from orn.stage2_train.evaluation.metrics import Tallies, chance_level, confusion_counts, scores_of
from orn.stage2_train.runs.eval_file import UNSURE_NEGATIVE
from orn.stage2_train.runs.saved_predictions import GroupKind, Predictions
from orn.stage2_train.settings.names import NUM_FIGURE_DRAWS


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
    num_draws: int = NUM_FIGURE_DRAWS,
) -> dict[str, Any]:
    """Return what an `EvalFile` contains of predictions.

    Intervals over participants or groups are at least as wide as those over videos: with few groups
    of similar accuracy, the draws hardly vary.

    Args:
        predictions: from `with_groups`.
        classes: A names.
        metric: name of the metric.
        num_draws: bootstrap draws for an interval.

    Returns:
        The metrics by head; `chance`; for single labels, `confusion_counts`; `interval`, the
        parameters of the intervals; `figures`, values with the bounds of their intervals (null if
        undefined) by head and name; and `per_class`, A rows with name, number of segments, score of
        each head and `intervals`.
    """
    heads, labels, unsure_NA = predictions.by_head(), predictions.labels, predictions.unsure
    is_single = labels.ndim == 1
    values: dict[str, Any] = {
        "chance": chance_level(metric, labels, num_classes=len(classes), unsure_NA=unsure_NA)
    }
    for head, logits_NA in heads.items():
        values[head] = {**scores_of(labels, logits_NA, unsure_NA)}
        if unsure_NA is not None and not is_single:
            values[head][UNSURE_NEGATIVE] = scores_of(labels, logits_NA)["map"]
    if is_single:
        labels_N = labels.astype(np.int64)
        values["confusion_counts"] = confusion_counts(predictions.logits, labels_N).tolist()
    tallies = [Tallies(labels, logits_NA, unsure_NA) for logits_NA in heads.values()]
    of_tallies = _with_intervals(
        [tally.figures for tally in tallies],
        segments_of_metrics(predictions, tallies[0]),
        groups=predictions.groups or predictions.ids,
        videos=predictions.videos,
        num_draws=num_draws,
    )
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = [
        {
            "class": name,
            "num_segments": int((labels == index).sum() if is_single else labels[:, index].sum()),
            **dict.fromkeys(heads),
            "intervals": {},
        }
        for index, name in enumerate(classes)
    ]
    for head, tally, proportions in zip(heads, tallies, of_tallies, strict=True):
        figures[head] = dict(zip(tally.names, proportions, strict=False))
        for row, figure in zip(rows, proportions[len(tally.names) :], strict=True):
            row[head] = figure["value"]
            ends = [figure["low"], figure["high"]]
            row["intervals"][head] = None if None in ends else ends
    least_over = None if predictions.videos is None else "videos"
    interval = interval_facts(predictions, num_draws) | {"least_over": least_over}
    return values | {"interval": interval, "figures": figures, "per_class": rows}


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
                tally(once)[:, 0].tolist(), draws_FR, sizes_F, strict=True
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


def share_figures(
    shares: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    groups: Sequence[str],
    *,
    videos: Sequence[str] | None = None,
    num_draws: int,
) -> dict[str, Proportion]:
    """Return fractions of segments that are correct, with the bounds of their 95 % intervals, None
    if undefined.

    Args:
        shares: whether each segment is correct, and the segments of each fraction, at least one.
        groups: video or participant of each segment, for the bootstrap.
        videos: video of each segment, for the least width of the intervals.
    """
    in_FN = np.stack([in_N for _, in_N in shares.values()])
    right_FN = np.stack([right_N for right_N, _ in shares.values()]) & in_FN
    right, of = right_FN.astype(np.float32), in_FN.astype(np.float32)

    def figures(counts_NR: NDArray) -> NDArray[np.float64]:
        counts_NR = counts_NR.astype(np.float32, copy=False)
        with np.errstate(invalid="ignore"):
            fraction_FR: NDArray[np.float64] = (right @ counts_NR).astype(np.float64) / (
                of @ counts_NR
            )
        return fraction_FR

    (proportions,) = _with_intervals(
        [figures], in_FN, groups=groups, videos=videos, num_draws=num_draws
    )
    return dict(zip(shares, proportions, strict=True))
