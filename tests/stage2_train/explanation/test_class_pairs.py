"""Sums over pairs of classes are what a loop over all pairs gives."""

import csv
from collections import defaultdict
from functools import partial

import numpy as np
import pytest

from orn.stage2_train.explanation.class_pairs import ClassPairs, Example
from orn.stage2_train.explanation.figures import bars_figure, png_and_svg
from orn.stage2_train.explanation.report_files import ReportFiles


def example(clip: int, drops: np.ndarray, place: int) -> Example:
    return Example(row=clip, drop=drops[place], frames=(place,), boxes=())


@pytest.fixture
def counted() -> tuple[ClassPairs, dict]:
    """Twelve clips of two activities, three classes and a background."""
    rng = np.random.default_rng(5)
    pairs, plain = ClassPairs(num_activities=3, num_classes=4), defaultdict(list)
    for clip in range(12):
        number, activity = int(rng.integers(1, 9)), clip % 2
        labels = rng.integers(0, 4, (2, number))
        activation, drop = rng.random(number), rng.normal(size=number)
        pairs.add(activity, labels, activation, drop, example=partial(example, clip, drop))
        for place in range(number):
            key = activity, *sorted(labels[:, place].tolist())
            plain[key].append((clip, activation[place], drop[place]))
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
        clips, activations, drops = zip(*plain[key], strict=True)
        assert (pair.num_pairs, pair.num_clips) == (len(clips), len(set(clips)))
        assert pair.activation == pytest.approx(np.mean(activations))
        assert pair.drop == pytest.approx(np.mean(drops))
        strongest = [max(d for c, _, d in plain[key] if c == clip) for clip in set(clips)]
        assert pair.strongest == pytest.approx(np.mean(strongest))
        assert pair.example.drop == max(drops)
        assert pair.example.row == clips[int(np.argmax(drops))]
    assert pairs.num_clips_A.tolist() == [6, 6, 0]
    assert pairs.most_seen() == [0, 1]


def test_rare_meetings_and_the_background_are_not_ranked(counted) -> None:
    pairs, plain = counted
    for activity in (0, 1):
        ranked = pairs.ranked(activity)
        assert {(pair.first, pair.second) for pair in ranked} == {
            key[1:]
            for key, each in plain.items()
            if key[0] == activity and key[2] != 3 and len({clip for clip, *_ in each}) >= 2
        }
        assert [pair.strongest for pair in ranked] == sorted(
            (pair.strongest for pair in ranked), reverse=True
        )


@pytest.mark.filterwarnings("error")
def test_bars_and_tables_take_any_name(counted, tmp_path) -> None:
    pairs, _ = counted
    names = ("$x^2", "</svg><script>alert(1)</script>", "\u0645\u0631\u062d \u6f22 " + "y" * 10_000)
    classes = ("../../x", 'a"b,c\nd', "never")
    draw = lambda: bars_figure(names, [0.5, 0.2, 3.0], names[1], full=1.0)  # noqa: E731
    png, svg = png_and_svg(draw)
    assert png_and_svg(draw) == (png, svg)
    assert b"<script" not in svg
    files = ReportFiles(tmp_path / "run")
    files.class_pairs(pairs, classes, names)
    assert files.publish() == 5
    written = sorted(each.name for each in (tmp_path / "run" / "report").iterdir())
    assert written[0].startswith("figure4-001-x-")
    assert len(written) == 5
    with (tmp_path / "run" / "report" / "figure4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["activity"] for row in rows} == set(classes[:2])
    assert len(rows) == sum(len(list(pairs.found(activity))) for activity in range(3))
