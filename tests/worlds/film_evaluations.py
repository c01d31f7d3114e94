"""Evaluations of long videos: films of 4 seconds with two activities, as `orn eval` writes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orn.stage2_train.evaluation.decode_films import labels_of_stretches
from orn.stage2_train.evaluation.evaluate import save_results
from orn.stage2_train.evaluation.film_baseline import FilmFold, results_of_baseline
from orn.stage2_train.runs.eval_file import EvalFile
from orn.stage2_train.runs.film_results import FilmRow
from orn.stage2_train.runs.saved_predictions import Predictions
from tests.worlds.evaluations import evaluation_of, predictions_of

RATE = 5.0
CLASSES = ("reach", "leave", "none")
TRUE = ((0.4, 1.2, 0), (2.0, 3.2, 1))
"""Start, stop and activity of the intervals of each film."""
LABELS = np.array([2] * 2 + [0] * 4 + [2] * 4 + [1] * 6 + [2] * 4)
"""Of the described times of each film."""


def film_row(video: str, true: Sequence[tuple[float, float, int]] = TRUE) -> FilmRow:
    """A film of which all was looked at."""
    return FilmRow(
        video=video,
        group=video,
        end=4.0,
        frame_seconds=1 / RATE,
        observed=((None, None),),
        true=tuple(true),
        found=(),
    )


def film_predictions(videos: Sequence[str], *labels_of_film: Sequence[int]) -> Predictions:
    """Predictions of windows by a baseline, whose probe is wrong everywhere; `labels_of_film` are
    what its forest predicts in each film."""
    ids = [f"{video}@{time / RATE:.3f}" for video in videos for time in range(len(LABELS))]
    forest_NA = 6 * np.eye(3, dtype=np.float32)[np.concatenate(labels_of_film)]
    probe_NA = 2 * np.eye(3, dtype=np.float32)[(np.tile(LABELS, len(videos)) + 1) % 3]
    groups = tuple(video for video in videos for _ in LABELS)
    return predictions_of(
        ids,
        np.tile(LABELS, len(videos)),
        forest_logits=forest_NA,
        probe_logits=probe_NA,
        groups=groups,
    )


def write_film_evaluation(
    run: Path, videos: Sequence[str], *labels_of_film: Sequence[int], name: str = "validation"
) -> EvalFile:
    """Write `eval-NAME.json` and `predictions-NAME.npz` of a baseline."""
    predictions = film_predictions(videos, *labels_of_film)
    fold = FilmFold(
        predictions=predictions, training=labels_of_stretches(predictions, RATE), held_out=None
    )
    films = results_of_baseline([film_row(video) for video in videos], [fold], CLASSES, RATE)
    file = EvalFile.model_validate(
        {**evaluation_of(predictions, CLASSES).as_json(), "films": films, "split": name}
    )
    run.mkdir(parents=True, exist_ok=True)
    save_results(run, name, file, predictions)
    return file
