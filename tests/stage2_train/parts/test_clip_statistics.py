"""Statistics of objects against plain loops, of drawn and of hand-made detections."""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest

from orn.stage2_train.parts.clip_statistics import (
    ClipMaps,
    ClipObjects,
    map_statistics,
    most_frequent_classes,
    motion_statistics,
    object_statistics,
)

CLASSES = 3


def drawn(rng: np.random.Generator, most: int) -> ClipObjects:
    """Up to `most` detections in each of five frames, some of the same size."""
    numbers = rng.integers(most + 1, size=5)
    total = int(numbers.sum())
    corners_N2 = rng.integers(4, size=(total, 2)) / 8
    sizes_N2 = rng.integers(1, 4, size=(total, 2)) / 8
    return ClipObjects(
        seconds_F=rng.random(5).cumsum(),
        frame_N=np.repeat(np.arange(5), numbers),
        boxes_N4=np.concatenate([corners_N2, corners_N2 + sizes_N2], axis=1),
        labels_N=rng.integers(CLASSES, size=total),
        scores_N=rng.random(total),
    )


def by_loops(clip: ClipObjects, chosen: tuple[int, ...]) -> list[float]:
    best, total = [0.0] * CLASSES, [0.0] * CLASSES
    for label, score in zip(clip.labels_N, clip.scores_N, strict=True):
        best[label] = max(best[label], score)
        total[label] += score
    of_classes = [of_class(clip, label) for label in chosen]
    singles = [number for numbers, _ in of_classes for number in numbers]
    return best + total + singles + of_classes[0][1]


def of_class(clip: ClipObjects, chosen: int) -> tuple[list[float], list[float]]:
    """Of the largest object of a class, and of the second largest relative to it."""
    frames: dict[int, list[tuple[float, list[float]]]] = {}
    rows = zip(clip.frame_N, clip.boxes_N4.tolist(), clip.labels_N, clip.scores_N, strict=True)
    for frame, box, label, score in rows:
        if label == chosen:
            frames.setdefault(frame, []).append((score, box))
    singles, pairs, times, pair_times = [], [], [], []
    for frame in sorted(frames):
        times.append(clip.seconds_F[frame])
        ordered = sorted(frames[frame], key=lambda row: -area(row[1]))
        score, (x1, y1, x2, y2) = ordered[0]
        w, h = x2 - x1, y2 - y1
        singles.append([(x1 + x2) / 2, (y1 + y2) / 2, w, h, w / (h + 1e-6), w * h, score, y2])
        if len(ordered) > 1:
            pair_times.append(clip.seconds_F[frame])
            _, (u1, v1, u2, v2) = ordered[1]
            common = max(0, min(x2, u2) - max(x1, u1)) * max(0, min(y2, v2) - max(y1, v1))
            other = (u2 - u1) * (v2 - v1)
            pairs.append(
                [
                    abs((u1 + u2) / 2 - (x1 + x2) / 2),
                    (v1 + v2) / 2 - (y1 + y2) / 2,
                    other,
                    common / (w * h + other - common),
                    u2 - u1,
                    v2 - v1,
                    max(x2, u2) - min(x1, u1),
                ]
            )
    return summary(singles, times, 8), summary(pairs, pair_times, 7)


def area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def trend(column: Sequence[float], times: Sequence[float]) -> float:
    if len(column) < 2:
        return 0.0
    slope = np.cov(column, times, ddof=0)
    return slope[0, 1] / slope[1, 1] ** 0.5


def summary(rows: list[list[float]], times: list[float], width: int) -> list[float]:
    parts: list[list[float]] = [[] for _ in range(7)]
    for column in zip(*rows, strict=True) if rows else [()] * width:
        n, mean = max(len(column), 1), sum(column) / max(len(column), 1)
        steps = [abs(b - a) for a, b in pairwise(column)]
        values = (
            mean,
            (sum((number - mean) ** 2 for number in column) / n) ** 0.5,
            min(column, default=0),
            max(column, default=0),
            sum(steps) / max(len(steps), 1),
            column[-1] - column[0] if column else 0,
            trend(column, times),
        )
        for part, value in zip(parts, values, strict=True):
            part.append(value)
    return [value for part in parts for value in part] + [len(rows)]


@pytest.mark.parametrize("most", [0, 1, 4])
def test_statistics_are_those_of_plain_loops(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(10):
        clip = drawn(rng, most)
        statistics = object_statistics(clip, num_classes=CLASSES, chosen=(1, 0))
        np.testing.assert_allclose(statistics, by_loops(clip, (1, 0)), atol=1e-12)


def test_the_first_class_is_in_most_frames_not_the_most_detected() -> None:
    labels_N = np.array([2, 2, 2, 1, 1])
    clip = ClipObjects(
        seconds_F=np.arange(2.0),
        frame_N=np.array([0, 0, 0, 0, 1]),
        boxes_N4=np.zeros((5, 4)),
        labels_N=labels_N,
        scores_N=np.ones(5),
    )
    assert most_frequent_classes([clip], CLASSES) == (1, 2, 0)


@pytest.mark.parametrize("frames", [1, 3])
def test_statistics_of_maps_and_motion_are_those_of_plain_loops(frames: int) -> None:
    rng = np.random.default_rng(0)
    seconds_T, maps_TChw = rng.random(frames).cumsum(), rng.random((frames, 2, 2, 3))
    motion_TChw = rng.random((frames, 2, 7, 7))
    expected: list[list[float]] = [[], [], [], [], []]
    for maps_Tp in (maps_TChw[:, channel].reshape(frames, -1) for channel in range(2)):
        steps = [abs(b - a).mean() for a, b in pairwise(maps_Tp)]
        means = [map_p.mean() for map_p in maps_Tp]
        deviation = np.mean([np.std(cell_T) for cell_T in maps_Tp.T])
        values = (*moments(means, seconds_T), deviation, np.mean(steps or [0]))
        for part, value in zip(expected, values, strict=True):
            part.append(value)
    parts: list[list[float]] = [[], [], []]
    thirds = (slice(0, 3), slice(2, 5), slice(4, 7))
    for channel, rows, columns in product(range(2), thirds, thirds):
        means = [motion_Chw[channel, rows, columns].mean() for motion_Chw in motion_TChw]
        for part, value in zip(parts, moments(means, seconds_T), strict=True):
            part.append(value)
    clip = ClipMaps(seconds_T=seconds_T, maps_TChw=maps_TChw, motion_TChw=motion_TChw)
    actual = map_statistics(clip)
    np.testing.assert_allclose(actual, np.concatenate(expected + parts), atol=1e-6)
    of_frames = [motion_TChw[:, channel].mean(axis=(1, 2)) for channel in range(2)]
    whole = [moments(means.tolist(), seconds_T) for means in of_frames]
    np.testing.assert_allclose(motion_statistics(clip), np.transpose(whole).ravel(), atol=1e-6)


def moments(means: list[float], seconds_T: np.ndarray) -> tuple[float, float, float]:
    return np.mean(means), np.std(means), trend(means, seconds_T.tolist())
