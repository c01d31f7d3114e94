"""The job of `orn compare`: compare two runs on the same segments of a split.

N segments, A activity classes.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import FIRST_FOLD
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.text import counted
from orn.shared.text_summary import Summary, Table, percent
from orn.stage2_train.evaluation.bootstrap import paired_differences
from orn.stage2_train.evaluation.compare_films import paired_films
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.evaluation.split_metrics import interval_facts, segments_of_metrics
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.made_from import why_stale
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import BASELINE_MARKER, result_paths, weights_digest
from orn.stage2_train.runs.saved_predictions import Predictions, predictions_of, some_ids
from orn.stage2_train.settings.names import FIGURES, FOLDS, NUM_FIGURE_DRAWS

logger = logging.getLogger(__name__)

_MOST_NAMED = 5


def compare(one: Path, other: Path, *, name: str | None = None) -> dict[str, Any]:
    """Return the paired differences of metrics with intervals, also by class, and segment ids.

    If a label is unsure for one of the runs, average precision ignores it for both.

    Args:
        one: a run.
        other: the run to compare with it; differences are its metrics minus those of `one`.
        name: NAME in eval-NAME.json; None: the folds of two cross-validations, else validation.

    Returns:
        `figures` by name (of long videos, those of found intervals; the lists are then empty);
        `classes`, the largest gain first; `trained_on`, the runs that were trained on the segments;
        `unsure`, the number of ignored labels; and the ids of the segments that only one of the
        runs predicts correctly.
        With multiple labels, this is the run that predicts more labels correctly.

    Raises:
        CheckpointError: if a run was not evaluated, or its evaluation is damaged.
        ConfigError: if the runs have different segments or labels; lists the differences.
    """
    runs = (one, other)
    name = name or _usual_name(runs)
    for run in runs if name != FOLDS else ():  # of which each has its own weights
        with suppress(PipelineError):  # a baseline
            inputs = {"weights": weights_digest(run)}
            if why := why_stale(result_paths(run, name)[1], inputs):
                logger.warning("%s: %s since it was evaluated; run `orn eval` again", run, why)
    if any(_is_of_films(run, name) for run in runs):
        return _compared_films(runs, name)
    class_names, _ = (_class_names(run, name) for run in runs)
    pair = _same_segments(runs, name)
    first = pair[0]
    groups = first.groups or first.ids
    one_tally, other_tally = (Tallies(own.labels, own.logits, own.unsure) for own in pair)
    names, segments_FN = one_tally.names, segments_of_metrics(first, one_tally)
    rows = paired_differences(
        one_tally.figures, other_tally.figures, groups, segments_FN=segments_FN
    )
    classes = [
        {"class": class_name, **row}
        for class_name, row in zip(class_names, rows[len(names) :], strict=True)
        if row["difference"] is not None
    ]
    gain_N = _num_right(pair[1]) - _num_right(pair[0])
    return {
        "one": str(one),
        "other": str(other),
        "measurement": name,
        "num_segments": len(first.ids),
        "interval": interval_facts(first, NUM_FIGURE_DRAWS),
        "trained_on": [
            str(run)
            for run in runs
            if (path := result_paths(run, name)[0]).exists() and read_eval(path).trained_on
        ],
        "unsure": int((~first.sure_NA).sum()),
        "figures": dict(zip(names, rows, strict=False)),
        "classes": sorted(classes, key=lambda row: -row["difference"]),
        "only_one_right": [first.ids[row] for row in np.flatnonzero(gain_N < 0)],
        "only_other_right": [first.ids[row] for row in np.flatnonzero(gain_N > 0)],
    }


def _is_of_films(run: Path, name: str) -> bool:
    path = result_paths(run, name)[0]
    return path.exists() and read_eval(path).films is not None


def _compared_films(runs: tuple[Path, Path], name: str) -> dict[str, Any]:
    """Return the differences of `compare` for evaluations of long videos."""
    files = [read_eval(result_paths(run, name)[0]) for run in runs]
    films = next(file.films for file in files if file.films is not None)
    return {
        "one": str(runs[0]),
        "other": str(runs[1]),
        "measurement": name,
        "num_segments": files[0].num_segments,
        "num_films": len(films.films),
        "interval": {**files[0].drawn.model_dump(), "num_groups": films.num_groups},
        "trained_on": [str(run) for run, file in zip(runs, files, strict=True) if file.trained_on],
        "unsure": 0,
        "figures": paired_films(runs, name),
        "classes": [],
        "only_one_right": [],
        "only_other_right": [],
    }


def interval_title(interval: Mapping[str, Any]) -> str:
    """Return `interval_facts` as the end of a title."""
    groups = counted(interval["num_groups"], interval["over"].removesuffix("s"))
    return f"percent with 95 % intervals over {groups}"


def _usual_name(runs: tuple[Path, Path]) -> str:
    """Return the evaluation to compare by default.

    Raises:
        ConfigError: if only one of the runs is a cross-validation.
    """
    are_folds = [(run / f"eval-{FOLDS}.json").exists() for run in runs]
    if len(set(are_folds)) > 1:
        folded, single = runs if are_folds[0] else runs[::-1]
        raise ConfigError(
            f"compare {folded} {single}: expected two cross-validated runs or none, got one, "
            f"{folded}; compare {folded / FIRST_FOLD} instead with --on test, if both have the "
            "same test videos"
        )
    return FOLDS if all(are_folds) else "validation"


def _class_names(run: Path, name: str) -> tuple[str, ...]:
    """Return the names of the classes of a run, or of a baseline."""
    if BASELINE_MARKER.is_in(run):
        return read_eval(run / f"eval-{name}.json").classes
    return read_config(run / FIRST_FOLD if name == FOLDS else run).dataset.classes


def _same_segments(runs: tuple[Path, Path], name: str) -> tuple[Predictions, Predictions]:
    """Return the predictions of both runs in the same order, without the labels that either of them
    ignores."""
    where, remedy = f"compare {runs[0]} {runs[1]}", "evaluate both on the same data"
    one, other = (predictions_of(run, name) for run in runs)
    if name == FOLDS and one.labels.ndim > 1:
        raise ConfigError(
            f"{where}: average precision cannot rank the segments of different networks; compare "
            "the runs of each fold with --on test"
        )
    other = other.in_order_of(one.ids, run=runs[1], reference=str(runs[0]))
    if one.logits.shape != other.logits.shape or one.labels.ndim != other.labels.ndim:
        raise ConfigError(
            f"{where}: expected the same classes, got {one.logits.shape[1]} and "
            f"{other.logits.shape[1]}; {remedy}"
        )
    differ_N = (one.labels != other.labels).reshape(len(one.ids), -1).any(axis=1)
    if differ_N.any():
        names = some_ids([one.ids[row] for row in np.flatnonzero(differ_N)])
        raise ConfigError(f"{where}: labels differ for {names}; {remedy}")
    unsure_NA = ~(one.sure_NA & other.sure_NA)
    return replace(one, unsure=unsure_NA), replace(other, unsure=unsure_NA)


def _num_right(predictions: Predictions) -> NDArray[np.int64]:
    """Return the (N,) numbers of correct labels; with multiple labels, logits above 0 count."""
    labels = predictions.labels
    if labels.ndim == 1:
        return (predictions.logits.argmax(axis=1) == labels).astype(np.int64)
    right_NA = (predictions.logits > 0) == (labels > 0)
    return np.asarray((right_NA & predictions.sure_NA).sum(axis=1), np.int64)


def as_summary(result: dict[str, Any]) -> Summary:
    """Return the result as text, with the classes that gain and lose most."""
    notes = []
    if by := " and ".join(result["trained_on"]):
        notes.append(f"Trained on these segments: {by}. Evaluate it on other segments, too.")
    if number := result["unsure"]:
        notes.append(f"Unsure labels ({number:,}) are ignored for both runs.")
    for key, run in (("only_one_right", "one"), ("only_other_right", "other")):
        if ids := result[key]:
            notes.append(f"right only in {result[run]}: {len(ids)} ({some_ids(ids, _MOST_NAMED)})")
    classes = result["classes"]
    gained = [row for row in classes if row["difference"] > 0][:_MOST_NAMED]
    lost = [row for row in reversed(classes) if row["difference"] < 0][:_MOST_NAMED]
    of_classes = [
        *((f"gains {row['class']}", row) for row in gained),
        *((f"loses {row['class']}", row) for row in lost),
    ]
    what = counted(result["num_segments"], "segment")
    if "num_films" in result:
        what = f"intervals in {counted(result['num_films'], 'film')}"
    return Summary(
        title=f"{result['other']} against {result['one']}: {result['measurement']}, "
        f"{what}, {interval_title(result['interval'])}",
        tables=[
            Table(
                header=("", Path(result["one"]).name, Path(result["other"]).name, "difference"),
                rows=[
                    _cells(FIGURES.get(figure, figure), row)
                    for figure, row in [*result["figures"].items(), *of_classes]
                ],
            )
        ],
        notes=notes,
    )


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    difference = percent(row["difference"], row["low"], row["high"], "+.2f")
    known = row["difference"] is not None
    return name, *(percent(row[side] if known else None) for side in ("one", "other")), difference
