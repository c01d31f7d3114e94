"""The objects that decided an interval, against objects that are really removed."""

from pathlib import Path

import numpy as np
import pytest

from orn.prediction.deciding_objects import columns_of, deciding_objects
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.time_join import nearest_frames
from orn.stage2_train.intervals.film_objects import (
    FilmStatistics,
    followed_objects,
    statistics_over_time,
)
from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.fitted_forest import FittedForest
from orn.stage2_train.runs.saved_predictions import probabilities
from tests.worlds.shards import BOOK, CUP, PERSON, blocks, write_shard

FRAMES, TIMES = 30, 60
FOLLOWED = (CUP, PERSON, BOOK)
SECONDS_T = np.arange(TIMES) / 10


def statistics(folder: Path, removed: int | None = None) -> np.ndarray:
    """Statistics of a film in which a cup moves while a person and a book stay, without one."""
    placed = []
    for index in range(FRAMES):
        cup = (CUP, 0.9, index % 12, 0, index % 12 + 5, 5 + index % 3)
        person, book = (PERSON, 0.9, 8, 2, 18, 9), (BOOK, 0.9, 0, 6, 3, 9)
        own = [one for one in (cup, person, book)[: 3 if index % 5 else 2] if one[0] != removed]
        placed.append((index, index / 5, blocks(*own, height=10, width=20)))
    write_shard(folder / "shard-00000-of-00001.zarr.zip", {"film": placed}, size=(10, 20))
    detections = DetectionFolder(folder).video("film")
    rows_T = nearest_frames(detections.seconds, SECONDS_T, interval=0.2).rows_n
    followed = followed_objects(detections, SECONDS_T, rows_T, FOLLOWED, score_threshold=0.5)
    return statistics_over_time(followed.features(10.0), 2, np.arange(TIMES))


@pytest.mark.parametrize("place", range(3))
def test_what_is_left_out_equals_a_film_without_the_object(tmp_path, place):
    for name in ("all", "without"):
        (tmp_path / name).mkdir()
    zeroed = statistics(tmp_path / "all")
    zeroed[:, np.tile(columns_of(place, 3), 3)] = 0
    assert np.array_equal(zeroed, statistics(tmp_path / "without", FOLLOWED[place]))


def test_a_drop_is_that_of_a_film_without_the_object(tmp_path):
    own = {}
    for name, removed in (("all", None), *((str(label), label) for label in FOLLOWED)):
        (tmp_path / name).mkdir()
        own[removed] = statistics(tmp_path / name, removed)
    labels_T = (np.arange(TIMES) // 10) % 3
    inputs = FilmStatistics(
        num_object_classes=80, followed=FOLLOWED, score_threshold=0.5, rate=10.0, window_seconds=1.0
    )
    forest = FittedForest.fit(inputs, own[None], labels_T, 3, seed=0, jobs=1)
    rng = np.random.default_rng(0)
    film_TA = rng.normal(size=(TIMES, 3)).astype(np.float32)
    temperatures = np.array([1.0, 1.2, 0.7])

    def chances(statistics_TX: np.ndarray) -> np.ndarray:
        logits = PartLogits(network=film_TA, forest=forest.logits(statistics_TX), film=film_TA)
        return probabilities(logits.whole(temperatures), multi_label=False)

    intervals = [
        Interval(start=0.0, stop=1.0, activity=0),
        Interval(start=1.0, stop=2.3, activity=1),
    ]
    logits = PartLogits(network=film_TA, forest=forest.logits(own[None]), film=film_TA)
    found = deciding_objects(forest, own[None], logits, temperatures, intervals, SECONDS_T)
    for decided, rows, activity in zip(found, (slice(0, 10), slice(10, 23)), (0, 1), strict=True):
        whole = chances(own[None])[rows, activity].mean()
        drops = [(label, whole - chances(own[label])[rows, activity].mean()) for label in FOLLOWED]
        expected = sorted(drops, key=lambda pair: -pair[1])
        assert [label for label, _ in decided] == [
            label for label, drop in expected if drop >= 0.01
        ]
        for (_, drop), (_, true) in zip(decided, expected, strict=False):
            assert drop == pytest.approx(true, abs=1e-5)
    assert any(found)
    assert deciding_objects(forest, own[None], logits, temperatures, [], SECONDS_T) == []
