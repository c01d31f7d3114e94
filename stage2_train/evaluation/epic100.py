"""Metrics of the EPIC-KITCHENS-100 recognition challenge, from a verb run and a noun run.

The definitions follow Damen et al. 2022 (Rescaling Egocentric Vision, section on action
recognition) and `compute_metrics` in epic-kitchens/C1-Action-Recognition. An action is a pair of a
verb and a noun; its score is the product of their softmax scores, each over the classes of one
segment. The publishers' code takes one softmax over all segments: it agrees for log-probabilities,
which the submission contains, and not for raw logits. For unseen participants and tail
classes, the challenge reports only top-1; this module adds top-5.

N segments.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.load import load_listing, load_manifest
from orn.data_manifests.manifest import Epic100Labels, EpicTarget
from orn.data_manifests.records import Listing
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.text_summary import Summary, Table, percent
from orn.stage2_train.evaluation.compare import interval_title
from orn.stage2_train.evaluation.split_metrics import (
    interval_facts,
    share_figures,
)
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.saved_predictions import Predictions, predictions_of
from orn.stage2_train.runs.trained import paths_of_run
from orn.stage2_train.settings.names import NUM_FIGURE_DRAWS
from orn.stage2_train.settings.resources import DataAndDevice

_TOP_K = 5


def _listing(run: Path, target: EpicTarget, data_root: Path | None) -> Listing:
    """Return the label tables of a run.

    Raises:
        ConfigError: if the run was trained on a different data set, or on other labels of this one.
        DataRootError: if there is no data root.
    """
    config = read_config(run)
    paths = paths_of_run(run, config, DataAndDevice(data_root=data_root))
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


def measure_epic100(
    verb_run: Path,
    noun_run: Path,
    *,
    name: str = "validation",
    data_root: Path | None = None,
    num_draws: int = NUM_FIGURE_DRAWS,
) -> dict[str, Any]:
    """Return the metrics of the challenge, computed from the logits saved by `orn eval`.

    Args:
        verb_run: run on the verbs.
        noun_run: run on the nouns.
        name: evaluation to use, NAME in eval-NAME.json.
        data_root: folder of all data sets; None: that of the runs.
        num_draws: number of bootstrap draws.

    Returns:
        Nested mapping: part (`overall`, `unseen`, `tail`), target, metric (`top1`, `top5`), value
        with the bounds of its 95 % interval (null if undefined); and `num_segments` of each part.

    Raises:
        CheckpointError: if a run was not evaluated.
        ConfigError: if the runs are not a verb run and a noun run, or have different segments.
        DataRootError: if a list of unseen participants or tail classes is missing.
    """
    listings = _listing(verb_run, "verb", data_root), _listing(noun_run, "noun", data_root)
    verbs, nouns = (predictions_of(run, name) for run in (verb_run, noun_run))
    nouns = nouns.in_order_of(verbs.ids, run=noun_run, reference=str(verb_run))
    labels = {"verb": verbs.labels.astype(np.int64), "noun": nouns.labels.astype(np.int64)}
    logits = {"verb": verbs.logits, "noun": nouns.logits}
    right = {kind: _hits(_first(logits[kind]) == labels[kind][:, None]) for kind in labels}
    right["action"] = _right_actions(logits["verb"], logits["noun"], labels["verb"], labels["noun"])
    parts = _parts(listings, verbs, labels)
    shares = {
        f"{part} {kind} {figure}": (right[kind][figure], in_N)
        for part, by_kind in parts.items()
        for kind, in_N in by_kind.items()
        for figure in right[kind]
        if in_N.any()
    }
    groups = verbs.groups or verbs.ids
    figures = share_figures(shares, groups, videos=verbs.videos, num_draws=num_draws)
    return {
        "verb_run": str(verb_run),
        "noun_run": str(noun_run),
        "measurement": name,
        "interval": interval_facts(verbs, num_draws),
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
    listings: tuple[Listing, Listing], verbs: Predictions, labels: Mapping[str, NDArray[np.int64]]
) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return the segments in each part, by target."""
    for subset in (*listings[0].subsets, *listings[1].subsets):
        if subset.absent is not None:
            raise DataRootError(
                f"{subset.absent}: file not found, but the challenge metrics require it; "
                "download it from epic-kitchens-100-annotations"
            )
    (verb_tail, unseen), (noun_tail, _) = (
        [{subset.name: subset for subset in listing.subsets}[name] for name in ("tail", "unseen")]
        for listing in listings
    )
    tails = {
        "verb": np.isin(labels["verb"], verb_tail.classes),
        "noun": np.isin(labels["noun"], noun_tail.classes),
    }
    tails["action"] = tails["verb"] | tails["noun"]
    person = {segment.id: segment.participant for segment in listings[0].segments}
    unseen_N = np.isin([person.get(name) or "" for name in verbs.ids], unseen.participants)
    return {
        "overall": dict.fromkeys(tails, np.ones(len(verbs.ids), np.bool_)),
        "unseen": dict.fromkeys(tails, unseen_N),
        "tail": tails,
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
    verbs_NK, nouns_NK = (np.sort(_first(own)) for own in (verb_logits_NA, noun_logits_NA))
    verb_tops_NK = np.take_along_axis(verb_logits_NA, verbs_NK, axis=1).astype(np.float64)
    noun_tops_NK = np.take_along_axis(noun_logits_NA, nouns_NK, axis=1).astype(np.float64)
    sums_NKK = verb_tops_NK[:, :, None] + noun_tops_NK[:, None, :]
    is_verb_NK, is_noun_NK = verbs_NK == verbs_N[:, None], nouns_NK == nouns_N[:, None]
    is_own_NKK = is_verb_NK[:, :, None] & is_noun_NK[:, None, :]
    num_segments = len(verbs_N)
    order_NK = _first(sums_NKK.reshape(num_segments, -1))
    return _hits(np.take_along_axis(is_own_NKK.reshape(num_segments, -1), order_NK, axis=1))


def as_summary(result: Mapping[str, Any]) -> Summary:
    """Return the metrics in printable form, in percent."""
    rows: list[tuple[str, ...]] = []
    for part, numbers in result["num_segments"].items():
        counts = [f"{number:,}" for number in numbers.values()]
        of_part = " / ".join(counts if len({*counts}) > 1 else counts[:1])
        for figure in ("top1", "top5"):
            shown = [own[figure] for own in result[part].values()]
            cells = (percent(**share) if share else "-" for share in shown)
            rows.append((part, figure, *cells, of_part))
    return Summary(
        title=f"EPIC-KITCHENS-100, {result['measurement']}, {interval_title(result['interval'])}",
        tables=[Table(header=("", "", "verb", "noun", "action", "segments"), rows=rows)],
    )
