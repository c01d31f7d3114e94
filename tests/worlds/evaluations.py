"""Results as `orn eval` writes them, of predictions that are right where it is said."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.data_manifests.records import Segment
from orn.shared.data_files import json_digest
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import split_file
from orn.stage2_train.evaluation.split_metrics import with_groups
from orn.stage2_train.runs.eval_file import EvalFile
from orn.stage2_train.runs.saved_predictions import Predictions, probabilities, save_predictions
from tests.worlds.films import TINY_RECIPE, make_dataset


def predicted(right: str) -> Predictions:
    """Predictions of two classes in turn, one video a segment; `+` is right."""
    labels_N = np.arange(len(right)) % 2
    is_right_N = np.array([mark == "+" for mark in right])
    logits_NA = np.eye(2, dtype=np.float32)[np.where(is_right_N, labels_N, 1 - labels_N)]
    ids = [f"segment {row}" for row in range(len(right))]
    return predictions_of(ids, labels_N, activity_logits=logits_NA, object_logits=logits_NA)


def predictions_of(
    ids: Iterable[str],
    labels: ArrayLike,
    *,
    activity_logits: ArrayLike | None = None,
    object_logits: ArrayLike | None = None,
    **more: Any,
) -> Predictions:
    """Return predictions of numbers of any type; `more` are other fields."""
    heads = {"activity_logits": activity_logits, "object_logits": object_logits}
    arrays = {
        name: None if logits is None else np.asarray(logits, np.float32)
        for name, logits in heads.items()
    }
    return Predictions(ids=tuple(ids), labels=np.asarray(labels), **arrays, **more)


def evaluation_of(
    predictions: Predictions, classes: Sequence[str] = ("right", "down"), **changes: Any
) -> EvalFile:
    """The results of predictions, with changes."""
    segments = tuple(
        Segment(id=video_id, video_id=video_id, split="validation") for video_id in predictions.ids
    )
    if predictions.groups is None:
        unsure_NA = np.zeros((len(segments), len(classes)), np.bool_)
        predictions = with_groups(predictions, segments, unsure_NA)
    is_single = predictions.labels.ndim == 1
    kind = ("single-label", "top1") if is_single else ("multi-label", "map")
    dataset = replace(
        make_dataset([], [], []), classes=tuple(classes), task=kind[0], metric=kind[1]
    )
    file = split_file(
        *(predictions, JoinedSplit(split="validation", segments=segments, skipped=())),
        *(EvalConfig(), dataset, TINY_RECIPE),
        run="run",
        system=None,
        step=3,
        detector="another sha256:0",
        trained_on=False,
    )
    return file.model_copy(update=changes)


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write values that may not be those of `orn eval` as it writes them."""
    path.write_text(json.dumps({**values, "digest": json_digest(values)}))


def write_evaluation(
    run: Path, name: str = "validation", right: str = "+++-", **changes: Any
) -> Path:
    """Write `eval-NAME.json` and `predictions-NAME.npz` of a run; return the first."""
    run.mkdir(parents=True, exist_ok=True)
    save_predictions(run / f"predictions-{name}.npz", predicted(right))
    path = run / f"eval-{name}.json"
    evaluation_of(predicted(right), **changes).write(path)
    return path


def drawn_labels(
    number: int, *, multi_label: bool = False, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the logits of four classes, and labels that are drawn from their probabilities."""
    random = np.random.default_rng(seed)
    logits_NA = (2 * random.normal(size=(number, 4))).astype(np.float32)
    shares_NA = probabilities(logits_NA, multi_label=multi_label)
    if multi_label:
        return logits_NA, (random.random(shares_NA.shape) < shares_NA).astype(np.float32)
    drawn_N1 = random.random((number, 1))
    return logits_NA, (drawn_N1 > shares_NA.cumsum(axis=1)).sum(axis=1).clip(max=3)
