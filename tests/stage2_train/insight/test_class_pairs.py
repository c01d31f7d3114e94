"""Sums over pairs of classes are what a loop over all pairs gives."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from orn.stage2_train.insight.class_pairs import ClassPairs
from orn.stage2_train.insight.figures import graph_figure, png_and_svg
from orn.stage2_train.insight.report_files import ReportFiles


@pytest.fixture
def counted() -> tuple[ClassPairs, dict]:
    """Twelve clips of two activities, three classes and a background."""
    rng = np.random.default_rng(5)
    pairs, plain = ClassPairs(num_activities=3, num_classes=4), defaultdict(list)
    for clip in range(12):
        number, activity = int(rng.integers(1, 9)), clip % 2
        labels = rng.integers(0, 4, (2, number))
        activation, fall = rng.random(number), rng.normal(size=number)
        pairs.add(activity, labels, activation, fall)
        for place in range(number):
            key = activity, *sorted(labels[:, place].tolist())
            plain[key].append((clip, activation[place], fall[place]))
    return pairs, plain


def test_equals_a_plain_loop(counted) -> None:
    pairs, plain = counted
    found = {
        (activity, pair.first, pair.second): pair
        for activity in range(3)
        for pair in pairs.found(activity)
    }
    assert found.keys() == plain.keys()
    for key, pair in found.items():
        clips, activations, falls = zip(*plain[key], strict=True)
        assert (pair.num_pairs, pair.num_clips) == (len(clips), len(set(clips)))
        assert pair.activation == pytest.approx(np.mean(activations))
        assert pair.fall == pytest.approx(np.mean(falls))
    assert pairs.num_clips_A.tolist() == [6, 6, 0]
    assert pairs.most_seen() == [0, 1]


def test_rare_meetings_and_the_background_are_not_drawn(counted) -> None:
    pairs, plain = counted
    for activity in (0, 1):
        drawn = {(pair.first, pair.second) for pair in pairs.drawn(activity)}
        assert drawn == {
            key[1:]
            for key, each in plain.items()
            if key[0] == activity and key[2] != 3 and len({clip for clip, *_ in each}) >= 2
        }


@pytest.mark.filterwarnings("error")
def test_graphs_and_tables_take_any_name(counted, tmp_path) -> None:
    pairs, _ = counted
    names = ("$x^2", "</svg><script>alert(1)</script>", "\u0645\u0631\u062d \u6f22 " + "y" * 10_000)
    classes = ("../../x", 'a"b,c\nd', "never")
    draw = lambda: graph_figure(pairs.drawn(0), names)  # noqa: E731
    png, svg = png_and_svg(draw)
    assert png_and_svg(draw) == (png, svg)
    assert b"<script" not in svg
    pictures = ReportFiles(tmp_path / "run").graphs(pairs, classes, names)
    assert sorted(pictures) == [0, 1]
    files = sorted(each.name for each in (tmp_path / "run" / "report").iterdir())
    assert files[0].startswith("figure4-001-x-")
    assert len(files) == 5
    with (tmp_path / "run" / "report" / "figure4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["activity"] for row in rows} == set(classes[:2])
    assert len(rows) == sum(len(list(pairs.found(activity))) for activity in range(3))
    row = rows[0]
    assert float(row["sum_fall"]) == pytest.approx(float(row["mean_fall"]) * int(row["pairs"]))
    assert png_and_svg(lambda: graph_figure([], ()))[0]  # without pairs
