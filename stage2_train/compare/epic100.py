"""Metrics of the EPIC-KITCHENS-100 recognition challenge, from a verb run and a noun run.

The definitions follow Damen et al. 2022 (Rescaling Egocentric Vision, section on action
recognition) and `compute_metrics` in epic-kitchens/C1-Action-Recognition. An action is a pair of a
verb and a noun; its score is the product of their softmax scores, each over the classes of one
segment. The publishers' code takes one softmax over all segments: it agrees for log-probabilities,
which the submission contains, and not for raw logits. For unseen participants and tail
classes, the challenge reports only top-1; this module adds top-5.

N segments.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.load import load_listing, load_manifest
from orn.data_manifests.manifest import Epic100Labels, EpicTarget
from orn.data_manifests.records import Listing
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.stage2_train.compare.epic100_request import Epic100Request
from orn.stage2_train.evaluation.intervals import Share, share_figures, top1_share
from orn.stage2_train.evaluation.statistics import CONFIDENCE
from orn.stage2_train.runs.predictions import Predictions, predictions_of
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.trained import paths_of_run
from orn.stage2_train.settings.resources import Resources

_TOP_K = 5


def _listing(run: Path, target: EpicTarget, data_root: Path | None) -> Listing:
    """Return the label tables of a run.

    Raises:
        ConfigError: if the run was trained on a different data set, or on other labels of this one.
        DataRootError: if there is no data root.
    """
    config = read_config(run)
    paths = paths_of_run(run, config, Resources(data_root=data_root))
    manifest = load_manifest(paths.manifest)
    labels = manifest.labels
    is_one = isinstance(labels, Epic100Labels) and labels.target == target
    if not is_one or manifest.task != "single-label":
        name = "epic100" if target == "verb" else "epic100-nouns"
        raise ConfigError(
            f"{run}: expected a run on the {target}s of EPIC-KITCHENS-100, got a run on "
            f"{config.dataset.name}; pass the verb run first, then the noun run; train a missing "
            f"run with `orn train {name}`"
        )
    listing = load_listing(manifest, paths.data_root, partial=True)
    if listing.classes != config.dataset.classes:
        raise ConfigError(
            f"{run}: expected a run on the {len(listing.classes)} {target}s of {paths.data_root}, "
            f"got a run on {len(config.dataset.classes)} other classes; pass --data with the "
            "tables used for training"
        )
    return listing


def measure_epic100(request: Epic100Request) -> dict[str, Any]:
    """Return the metrics of the challenge, computed from the logits saved by `orn eval`.

    Returns:
        Nested mapping: part (`overall`, `unseen`, `tail`), target, metric (`top1`, `top5`), value
        with the bounds of its 95 % interval (null if undefined); and `num_segments` of each part.

    Raises:
        CheckpointError: if a run was not evaluated.
        ConfigError: if the runs are not a verb run and a noun run, or have different segments.
        DataRootError: if a list of unseen participants or tail classes is missing.
    """
    runs = request.verb_run, request.noun_run
    pair = [
        _listing(runs[0], "verb", request.data_root),
        _listing(runs[1], "noun", request.data_root),
    ]
    verbs, nouns = (predictions_of(run, request.name) for run in runs)
    nouns = nouns.in_order_of(verbs.ids, run=request.noun_run, reference=str(request.verb_run))
    labels = {"verb": verbs.labels.astype(np.int64), "noun": nouns.labels.astype(np.int64)}
    logits = {"verb": verbs.logits, "noun": nouns.logits}
    right = {kind: _hits(_first(logits[kind]) == labels[kind][:, None]) for kind in labels}
    right["action"] = _right_actions(logits["verb"], logits["noun"], labels["verb"], labels["noun"])
    groups, parts = verbs.groups or verbs.ids, _parts(pair, verbs, labels)
    shares: dict[str, Share] = {
        f"{part} {kind} {figure}": top1_share(right[kind][figure], in_N)
        for part, by_kind in parts.items()
        for kind, in_N in by_kind.items()
        for figure in right[kind]
        if in_N.any()
    }
    figures = share_figures(shares, groups, videos=verbs.videos, num_draws=request.num_draws)
    return {
        "verb_run": str(request.verb_run),
        "noun_run": str(request.noun_run),
        "measurement": request.name,
        "interval": {
            "confidence": CONFIDENCE,
            "over": verbs.grouped_by if verbs.groups else "segments",
            "num_groups": len(set(groups)),
            "draws": request.num_draws,
        },
        "num_segments": {
            part: {kind: int(in_N.sum()) for kind, in_N in by_kind.items()}
            for part, by_kind in parts.items()
        },
        **{
            part: {
                kind: {figure: figures.get(f"{part} {kind} {figure}") for figure in right[kind]}
                for kind in by_kind
            }
            for part, by_kind in parts.items()
        },
    }


def _parts(
    pair: Sequence[Listing], verbs: Predictions, labels: Mapping[str, NDArray[np.int64]]
) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return the segments in each part, by target."""
    tails: dict[str, NDArray[np.bool_]] = {}
    for kind, listing in zip(("verb", "noun"), pair, strict=True):
        subsets = {subset.name: subset for subset in listing.subsets}
        for subset in subsets.values():
            if subset.absent is not None:
                raise DataRootError(
                    f"{subset.absent}: file not found, but the challenge metrics require it; "
                    "download it from epic-kitchens-100-annotations"
                )
        tails[kind] = np.isin(labels[kind], subsets["tail"].classes)
        unseen = subsets["unseen"].participants
    person = {segment.id: segment.participant for segment in pair[0].segments}
    unseen_N = np.isin([person.get(name) or "" for name in verbs.ids], unseen)
    tails["action"] = tails["verb"] | tails["noun"]
    kinds = ("verb", "noun", "action")
    return {
        "overall": dict.fromkeys(kinds, np.ones(len(verbs.ids), np.bool_)),
        "unseen": dict.fromkeys(kinds, unseen_N),
        "tail": {kind: tails[kind] for kind in kinds},
    }


def _first(logits_NA: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the (N, 5 or A) classes with the highest logits, sorted; ties by class."""
    return np.argsort(-logits_NA, axis=1, kind="stable")[:, :_TOP_K]


def _hits(hit_NK: NDArray[np.bool_]) -> dict[str, NDArray]:
    return {"top1": hit_NK[:, 0], "top5": np.asarray(hit_NK.any(axis=1))}


def _right_actions(
    verb_logits_NA: NDArray[np.float32],
    noun_logits_NA: NDArray[np.float32],
    verbs_N: NDArray[np.int64],
    nouns_N: NDArray[np.int64],
) -> dict[str, NDArray]:
    """Return whether the true action has the highest score, and whether it is among the five best.

    Products of softmax scores have the same order as sums of logits. The five best pairs consist of
    the five best verbs and nouns. These are sorted by class so that ties are broken by class.
    """
    verbs_NK, nouns_NK = (
        np.sort(_first(each), axis=1) for each in (verb_logits_NA, noun_logits_NA)
    )
    tops = [
        np.take_along_axis(logits, first, axis=1).astype(np.float64)
        for logits, first in ((verb_logits_NA, verbs_NK), (noun_logits_NA, nouns_NK))
    ]
    sums_NKK = tops[0][:, :, None] + tops[1][:, None, :]
    is_own_NKK = (verbs_NK == verbs_N[:, None])[:, :, None] & (nouns_NK == nouns_N[:, None])[
        :, None, :
    ]
    order_NK = _first(sums_NKK.reshape(len(sums_NKK), -1))
    return _hits(np.take_along_axis(is_own_NKK.reshape(len(sums_NKK), -1), order_NK, axis=1))


def as_report(report: Mapping[str, Any]) -> Report:
    """Return the metrics in printable form, in percent."""
    made = report["interval"]
    rows: list[tuple[str, ...]] = []
    for part, numbers in report["num_segments"].items():
        each = sorted(set(numbers.values()))
        of_part = f"{each[0]:,}" if len(each) == 1 else " / ".join(
            f"{number:,}" for number in numbers.values()
        )  # fmt: skip
        for figure in ("top1", "top5"):
            cells = (_cell(own[figure]) for own in report[part].values())
            rows.append((part, figure, *cells, of_part))
    return Report(
        title=f"EPIC-KITCHENS-100, {report['measurement']}, percent with 95 % intervals over "
        f"{counted(made['num_groups'], made['over'].removesuffix('s'))}",
        tables=[Table(header=("", "", "verb", "noun", "action", "segments"), rows=rows)],
    )


def _cell(figure: Mapping[str, float | None] | None) -> str:
    if figure is None or figure["value"] is None:
        return "-"
    text = f"{100 * figure['value']:.2f}"
    if figure["low"] is None or figure["high"] is None:
        return text
    return f"{text} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
