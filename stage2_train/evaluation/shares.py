"""Figures that are shares of some of the segments, such as the accuracy on tail classes, with their
intervals: what the publishers of a data set measure by itself.

N segments, A activity classes, K parts of a figure, F figures, R draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.manifests.records import Subset
from orn.stage2_train.evaluation.bootstrap import figure_interval, redrawn_figures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Share:
    """The mean over K parts of how many of some segments are right."""

    right_KN: NDArray[np.bool_]
    """Those that are right; each is also one of `of_KN`."""
    of_KN: NDArray[np.bool_]
    """Those of which the share is; 0 where none counts."""
    in_KN: NDArray[np.bool_]
    """Without any of these, a part is left out of the mean."""


def top1_share(right_N: NDArray[np.bool_], in_N: NDArray[np.bool_]) -> Share:
    """How many of the segments of one part are right."""
    return Share(right_KN=(right_N & in_N)[None], of_KN=in_N[None], in_KN=in_N[None])


def subset_shares(
    labels: NDArray[Any],
    logits_NA: NDArray[np.float32],
    subsets: Sequence[Subset],
    *,
    participants: Sequence[str] | None,
) -> dict[str, Share]:
    """What is measured of the subsets of a single-label data set, by the figure's name.

    - `top1_unseen`, `top1_tail`: top-1 accuracy on those segments (EPIC Kitchens 100: Damen et al.
      2022, and `compute_metrics` of epic-kitchens/C1-Action-Recognition).
    - `many_shot_precision`, `many_shot_recall`: of the highest logit, meaned over the many-shot
      classes that the split has; the precision of one that is never predicted is 0 (EPIC Kitchens
      55: Damen et al. 2018, and `compute_metrics` of epic-kitchens/epic-kitchens-55-lib).

    Args:
        labels: (N,) classes; of several a segment nothing is measured.
        logits_NA: of a head, or of the prediction.
        subsets: of the data set.
        participants: N names; None where they are not known.
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


class _Tallies:
    """The figures as functions of how often each segment counts."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = [
            [each.astype(np.float32) for each in (share.right_KN, share.of_KN, share.in_KN)]
            for share in shares
        ]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """(F, R); NaN where no part is in."""
        counts_NR = counts_NR.astype(np.float32, copy=False)
        rows = []
        for share in self._shares:
            right_KR, of_KR, in_KR = (each @ counts_NR for each in share)
            parts_KR = right_KR / np.maximum(of_KR, 1)
            number_R = (in_KR > 0).sum(axis=0)
            with np.errstate(invalid="ignore"):
                total_R = np.where(in_KR > 0, parts_KR, 0).sum(axis=0, dtype=np.float64)
                rows.append(total_R / number_R)
        return np.array(rows)


def share_figures(
    shares: Mapping[str, Share], groups: Sequence[str], *, num_draws: int
) -> dict[str, dict[str, float | None]]:
    """Of each figure its value and the ends of its 95 % interval, None where they cannot be told.

    Args:
        shares: each with a part that is in.
        groups: video or person of each segment; they are drawn anew as for any other figure.
    """
    if not shares:
        return {}
    tallies = _Tallies([*shares.values()])
    values_F = tallies.figures(np.ones((len(groups), 1)))[:, 0]
    (draws_FR,) = redrawn_figures([tallies], groups, num_draws=num_draws)
    names_N = np.asarray(groups)
    found: dict[str, Any] = {}
    for (name, share), value, draws_R in zip(shares.items(), values_F, draws_FR, strict=True):
        num_groups = len(np.unique(names_N[share.in_KN.any(axis=0)]))
        ends = figure_interval(float(value), draws_R, num_groups=num_groups)
        low, high = ends or (None, None)
        found[name] = {"value": float(value), "low": low, "high": high}
    return found
