"""Summarize the importance of pairs over the clips of a run, or over runs with different seeds.

Axes: B clips, S fractions of cliques.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.stage2_train.evaluation.statistics import student_t

SHARES = tuple(step / 10 for step in range(11))
"""Fractions of a clip's cliques that are removed or inserted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFindings:
    """Importance of pairs for one label of a clip."""

    film: str
    """Id of the clip's segment."""
    first: dict[str, dict[str, float]]
    """By question (`_QUESTIONS`) and measure (`_NAMES`): 1 if the most important pair is correct;
    for ties, the fraction that is."""
    deletion: dict[str, list[float]]
    """Probability of the class without the first fractions of the cliques, by order."""
    insertion: dict[str, list[float]]
    """Probability of the class with only the first fractions of the cliques, by order."""


def summary(clips: list[ClipFindings]) -> dict[str, Any]:
    """Return means over all labels of clips, with 95 % intervals over films, because labels of one
    film are not independent."""
    found: dict[str, Any] = {"num_explained": len(clips)}
    if not clips:
        return found
    films = [clip.film for clip in clips]
    for question in clips[0].first:
        found[f"first_{question}"] = {
            name: _means(np.array([[clip.first[question][name]] for clip in clips]), films)[0]
            for name in clips[0].first[question]
        }
    for curve in ("deletion", "insertion"):
        found[curve] = {
            name: _means(np.array([getattr(clip, curve)[name] for clip in clips]), films)
            for name in getattr(clips[0], curve)
        }
    return found


def mean_of_runs(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of the reports of several runs, with intervals over the runs.

    Raises:
        ConfigError: if the runs were evaluated on different clips.
    """
    for key in ("dataset", "split", "num_clips"):
        if len(found := {report[key] for report in reports}) > 1:
            raise ConfigError(
                f"runs: expected the same {key}, got {', '.join(map(str, sorted(found)))}; choose "
                "runs that share it"
            )
    first = reports[0]
    networks = {
        network: _mean_of([report[network] for report in reports])
        for network in ("trained", "random_weights")
    }
    return {**first, "run": [report["run"] for report in reports], **networks}


def _mean_of(found: list[Any]) -> Any:
    """Return a report with the mean of each value over several reports."""
    first = found[0]
    if isinstance(first, list):
        return [_mean_of(list(each)) for each in zip(*found, strict=True)]
    if not isinstance(first, dict):
        return sum(found)
    if "mean" in first:
        runs = range(len(found))
        return _means(np.array([[each["mean"]] for each in found]), runs)[0]
    return {key: _mean_of([each[key] for each in found]) for key in first}


def _means(values_BS: NDArray[np.float64], groups: Sequence[object]) -> list[dict[str, float]]:
    """Return means over rows and half the width of their 95 % confidence intervals, from Student's
    t over groups of dependent rows; 0 for a single group.

    Args:
        values_BS: (B, S) one row per label of a clip, or per run.
        groups: (B,) group of each row.
    """
    _, group_B = np.unique(np.asarray(groups), return_inverse=True)
    num_groups, mean_S = int(group_B.max()) + 1, values_BS.mean(axis=0)
    half_S = np.zeros_like(mean_S)
    if num_groups > 1:
        off_GS = np.zeros((num_groups, len(mean_S)))
        np.add.at(off_GS, group_B, values_BS - mean_S)
        variance_S = num_groups / (num_groups - 1) * (off_GS**2).sum(axis=0) / len(values_BS) ** 2
        half_S = student_t(num_groups - 1) * np.sqrt(variance_S)
    pairs = zip(mean_S.tolist(), half_S.tolist(), strict=True)
    return [{"mean": mean, "half": half} for mean, half in pairs]


def draw_curves(report: dict[str, Any], path: Path) -> None:
    """Draw deletion and insertion curves of the trained network, with 95 % bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, curve in zip(panels, ("deletion", "insertion"), strict=True):
        for name, points in report["trained"][curve].items():
            mean_S, half_S = (np.array([each[key] for each in points]) for key in ("mean", "half"))
            (line,) = axes.plot(SHARES, mean_S, label=_ORDERS[name])
            axes.fill_between(
                SHARES, mean_S - half_S, mean_S + half_S, color=line.get_color(), alpha=0.2
            )
        axes.set_title({"deletion": "pairs removed", "insertion": "pairs inserted"}[curve])
        axes.set_xlabel("fraction of the clip's pairs")
    panels[0].set_ylabel("probability of the class (object head)")
    panels[1].legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def as_report(report: dict[str, Any]) -> Report:
    """Return the report as tables."""
    networks = ("trained", "random_weights")
    rows: list[tuple[str, ...]] = []
    for question, what in _QUESTIONS.items():
        rows.append((f"{what}, %", "", ""))
        for name, by_what in _NAMES.items():
            found = [report[network].get(f"first_{question}", {}).get(name) for network in networks]
            rows.append((f"  {by_what}", *(_percent(each) for each in found)))
    rows.append(("clips", *(str(report[network]["num_explained"]) for network in networks)))
    notes = []
    for curve, what in (("deletion", "without the first"), ("insertion", "with only the first")):
        fifth = {
            name: f"{values[2]['mean']:.3f}" for name, values in report["trained"][curve].items()
        }
        notes.append(
            f"Probability of the class {what} 20 % of the pairs: by logit drop "
            f"{fifth['logit_drop']}, by activation {fifth['activation']}, at random "
            f"{fifth['random']}"
        )
    return Report(
        title=f"{report['dataset']}, {report['split']}: {counted(report['num_clips'], 'clip')}",
        tables=[Table(header=("", "trained", "random weights"), rows=rows)],
        notes=notes,
    )


def _percent(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{100 * found['mean']:.1f} +- {100 * found['half']:.1f}"


_QUESTIONS = {
    "clique_is_true": "first pair is the acting pair",
    "clique_has_one_that_acts": "first pair contains an object of the acting pair",
    "group_is_true": "first pair of classes, over all its pairs, is the acting pair's",
    "object_acts": "first object belongs to the acting pair",
}
_ORDERS = {
    "logit_drop": "largest logit drop first",
    "activation": "largest activation first",
    "random": "random order",
}
_NAMES = {
    "logit_drop": "by logit drop",
    "activation": "by activation of h",
    "score": "by detector score",
    "area": "by mask area",
    "chance": "chance",
}
