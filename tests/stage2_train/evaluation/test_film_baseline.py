"""What baselines find in films, and two evaluations of the same films."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import begin_output_folder
from orn.stage2_train.evaluation.baseline_gain import beside_network
from orn.stage2_train.evaluation.compare import compare
from orn.stage2_train.evaluation.compare_films import paired_films
from orn.stage2_train.evaluation.evaluate_folds import evaluate_folds
from orn.stage2_train.intervals.decoder import find_intervals, fit_decoder
from orn.stage2_train.intervals.typical_film import typical_intervals, typical_tracks
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_folder import BASELINE_MARKER
from orn.stage2_train.runs.saved_predictions import load_predictions, probabilities
from orn.stage2_train.settings.names import FIGURES, HEADLINE
from tests.running import run_orn
from tests.worlds.film_evaluations import CLASSES, LABELS, RATE, write_film_evaluation

NOTHING = np.full(len(LABELS), 2)
VIDEOS = tuple("abcdef")


def test_a_typical_film_is_the_most_frequent_sequence_with_mean_durations():
    films = [[0, 0, 2, 1, 1, 1], [0, 0, 0, 0, 2, 1], [1, 2, 0, 2, 0]]
    (runs,) = typical_tracks([np.array(own) for own in films], 3)
    seconds = [3, 1, 2]
    assert [label for label, _ in runs] == [0, 2, 1]
    assert [share for _, share in runs] == pytest.approx(np.array(seconds) / sum(seconds))
    one, other = typical_intervals([runs], 10, 20, 3)
    assert (one.activity, one.start, other.activity, other.stop) == (0, 10, 1, 20)
    assert one.stop == pytest.approx(10 + 10 * seconds[0] / sum(seconds))


def test_a_typical_film_with_several_labels_has_each_activity_alone():
    films = [np.array([[1, 0], [1, 1], [0, 1], [0, 1]], np.float32)]
    intervals = [*typical_intervals(typical_tracks(films, 2), 0, 8, 2)]
    assert [(own.activity, own.start, own.stop) for own in intervals] == [(0, 0, 4), (1, 2, 8)]


def test_of_sequences_that_are_equally_frequent_one_of_median_length_is_typical():
    films = [[0], [0, 1, 0, 1, 0], [0, 2, 1]]
    (runs,) = typical_tracks([np.array(own) for own in films], 3)
    assert [label for label, _ in runs] == [0, 2, 1]


def folds(run: Path) -> list[Path]:
    """A baseline of two folds: its forest is right in one, and sees nothing in the other."""
    own = [run / "fold-1", run / "fold-2"]
    write_film_evaluation(own[0], VIDEOS[:3], *[LABELS] * 3, name="test")
    write_film_evaluation(own[1], VIDEOS[3:], *[NOTHING] * 3, name="test")
    return own


def test_each_model_of_a_baseline_has_figures_and_what_needs_no_training(tmp_path):
    file = evaluate_folds(tmp_path, folds(tmp_path))
    assert file.films is not None
    first, beside = file.films.figures, file.films.beside
    assert [*beside] == ["forest", "probe", "mean_durations", "background"]
    assert [row.video for row in file.films.films] == [*VIDEOS]
    assert beside["forest"][HEADLINE].value == pytest.approx(2 * 6 / (2 * 6 + 6))
    assert beside["mean_durations"][HEADLINE].value == 1  # all films are alike
    assert beside["background"][HEADLINE].value == 0
    assert beside["background"]["frames"].value == pytest.approx(20 / 40)
    assert all(figure.low is not None for figure in first.values() if figure.value is not None)
    assert read_eval(tmp_path / "eval-folds.json") == file


def test_a_decoder_of_a_fold_is_fitted_to_the_other_folds(tmp_path):
    own = folds(tmp_path)
    file = evaluate_folds(tmp_path, own)
    one, other = (load_predictions(fold / "predictions-test.npz") for fold in own)
    number = len(LABELS)
    chances = probabilities(other.logits, multi_label=False)
    held_out = [(chances[row : row + number], LABELS) for row in range(0, 3 * number, number)]
    tracks = fit_decoder([LABELS] * 3, held_out, len(CLASSES))
    expected = find_intervals(
        tracks,
        probabilities(one.logits, multi_label=False)[:number],
        np.arange(number) / RATE,
        RATE,
        1 / RATE,
    )
    assert file.films is not None
    assert file.films.films[0].found == tuple(
        (own.start, own.stop, own.activity, own.probability) for own in expected
    )


def test_a_difference_is_over_films_and_in_all_figures(tmp_path):
    labels = [LABELS if row % 2 else NOTHING for row in range(6)]
    write_film_evaluation(tmp_path / "one", VIDEOS, *labels)
    write_film_evaluation(tmp_path / "other", VIDEOS[::-1], *[LABELS] * 6)
    runs = (tmp_path / "one", tmp_path / "other")
    rows = paired_films(runs, "validation")
    assert [*rows] == [*FIGURES]
    gain = rows["frames"]
    assert gain["difference"] == pytest.approx(0.25)
    assert gain["low"] is not None and gain["low"] < 0.25 < gain["high"]
    same = paired_films((tmp_path / "one", tmp_path / "one"), "validation")
    assert all(row["difference"] in (0, None) for row in same.values())


def test_other_films_are_refused(tmp_path):
    write_film_evaluation(tmp_path / "one", VIDEOS, *[LABELS] * 6)
    write_film_evaluation(tmp_path / "other", VIDEOS[:5], *[LABELS] * 5)
    with pytest.raises(ConfigError, match="differences in f;"):
        paired_films((tmp_path / "one", tmp_path / "other"), "validation")


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """A run with a baseline that finds half of the intervals, both as baselines write them."""
    run, baseline = tmp_path / "run", tmp_path / "run" / "baseline"
    for folder in (run, baseline):
        begin_output_folder(folder, BASELINE_MARKER)
    write_film_evaluation(run, VIDEOS, *[LABELS] * 6)
    half = [LABELS if row % 2 else NOTHING for row in range(6)]
    write_film_evaluation(baseline, VIDEOS, *half)
    return baseline, run


def test_a_model_beside_its_baseline_is_compared_in_intervals(pair):
    baseline, run = pair
    beside = beside_network(run, "validation")
    assert beside is not None
    own = read_eval(baseline / "eval-validation.json").films
    assert own is not None
    assert beside["scores"]["average"] == own.figures[HEADLINE].value
    assert beside["gain"] == paired_films((baseline, run), "validation")[HEADLINE]
    assert "mean durations 100.0 %" in beside["text"] and "points" in beside["text"]


def test_compare_gives_figures_of_intervals(pair):
    result = compare(*pair)
    assert result["figures"] == paired_films(pair, "validation")
    printed = run_orn("compare", *pair).stdout
    assert "6 films" in printed and FIGURES[HEADLINE] in printed and "top1" not in printed
    assert json.loads(run_orn("compare", *pair, "--json").stdout)["num_films"] == 6
