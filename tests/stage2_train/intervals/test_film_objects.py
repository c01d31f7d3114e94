"""The followed objects of a film: features and statistics, and boxes between detected frames."""

import numpy as np
import pytest

from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.intervals.film_objects import (
    FollowedObjects,
    followed_objects,
    most_frequent_classes,
    num_object_features,
    statistics_over_time,
)
from tests.reference import film_objects as reference
from tests.worlds.shards import BOOK, CUP, PERSON, blocks, write_shard


@pytest.mark.parametrize(("times", "classes"), [(9, 3), (6, 1), (1, 2), (2, 4)])
def test_features_equal_those_of_plain_loops(times, classes):
    rng = np.random.default_rng(0)
    corners_TK4 = np.sort(rng.random((times, classes, 2, 2)), axis=2).reshape(times, classes, 4)
    boxes_TK5 = np.concatenate([corners_TK4, rng.random((times, classes, 1))], axis=2)
    is_there_TK = rng.random((times, classes)) < 0.7
    got_TS = FollowedObjects(boxes=boxes_TK5, is_there=is_there_TK).features(10.0)
    assert got_TS.shape == (times, num_object_features(classes))
    expected = reference.features(boxes_TK5.tolist(), is_there_TK.tolist(), 10.0)
    assert got_TS == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize(("times", "reach"), [(12, 1), (12, 4), (1, 1), (3, 5)])
def test_statistics_over_time_equal_those_of_plain_loops(times, reach):
    features_TS = np.random.default_rng(0).normal(size=(times, 4)).astype(np.float32)
    at_N = np.arange(times)[::-1]
    got_NS = statistics_over_time(features_TS, reach, at_N)
    expected = reference.over_time(features_TS.tolist(), reach)
    assert got_NS == pytest.approx(np.array(expected)[at_N], abs=1e-5)


def film(tmp_path, objects_of_frame: dict[int, list]):
    """The detections of a film of 20 x 10 pixels, by index of the frame, 10 a second."""
    placed = [
        (index, index / 10, blocks(*objects, height=10, width=20))
        for index, objects in objects_of_frame.items()
    ]
    write_shard(tmp_path / "shard-00000-of-00001.zarr.zip", {"film": placed}, size=(10, 20))
    return DetectionFolder(tmp_path).video("film")


def test_boxes_move_evenly_between_detected_frames_and_stay_at_both_ends(tmp_path):
    moving = {0: (CUP, 0.9, 0, 0, 4, 5), 4: (CUP, 0.9, 8, 0, 12, 5), 8: (CUP, 0.9, 8, 5, 12, 10)}
    person = (PERSON, 0.9, 10, 0, 20, 10)
    detections = film(
        tmp_path, {index: [cup, *[person] * (index < 8)] for index, cup in moving.items()}
    )
    seconds_T = np.arange(11) / 10
    rows_T = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    own = followed_objects(detections, seconds_T, rows_T, (CUP, PERSON, BOOK), score_threshold=0.5)
    left_T = [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
    top_T = [0, 0, 0, 0, 0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert own.boxes[:, 0, 0] == pytest.approx(left_T)
    assert own.boxes[:, 0, 1] == pytest.approx(top_T)
    assert own.boxes[:, 0, 4] == pytest.approx(0.1)
    assert own.is_there.T.tolist() == [[True] * 11, [True] * 7 + [False] * 4, [False] * 11]
    moves_T = own.features(10.0)[:, 3 * 6]  # the change of the cup's left edge in a second
    assert moves_T[1:4] == pytest.approx(1.0)


def test_an_object_below_the_threshold_is_not_followed_and_frequent_classes_come_first(tmp_path):
    weak, book = (CUP, 0.3, 0, 0, 9, 9), (BOOK, 0.8, 0, 0, 5, 5)
    detections = film(tmp_path, {0: [weak, book], 1: [book], 2: [(CUP, 0.7, 0, 0, 2, 2)]})
    assert most_frequent_classes([detections], 80, score_threshold=0.5) == (BOOK, CUP)
    assert most_frequent_classes([detections], 80, score_threshold=0.95) == (0,)
    rows_T = np.arange(3)
    own = followed_objects(detections, rows_T / 10, rows_T, (CUP,), score_threshold=0.5)
    assert own.is_there[:, 0].tolist() == [False, False, True]


def test_no_object_is_there_at_times_without_detections(tmp_path):
    cup = (CUP, 0.9, 0, 0, 4, 5)
    detections = film(tmp_path, {index: [cup] for index in (4, 5, 6, 12)})
    seconds_T = np.arange(14) / 10
    rows_T = detections.near_rows(seconds_T, video_F=seconds_T)
    own = followed_objects(detections, seconds_T, rows_T, (CUP,), score_threshold=0.5)
    assert own.is_there[:, 0].nonzero()[0].tolist() == [4, 5, 6, 12]
    assert not own.features(10.0)[:4].any()
