"""The objects that decided a found interval: classes of followed objects without which the forest
of a model lowers its probability.

T described times, S features of a time, K followed classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.intervals.film_objects import FilmStatistics, FollowedObjects
from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.fitted_forest import FittedForest
from orn.stage2_train.runs.saved_predictions import probabilities

_LEAST_DROP = 0.01
_MOST_OBJECTS = 3
Deciding = tuple[tuple[int, float], ...]
"""Classes of the detector, with the drop in the probability of an interval without their objects,
the largest first."""


def deciding_objects(
    forest: FittedForest,
    statistics_TX: NDArray[np.floating],
    logits: PartLogits,
    temperatures: NDArray[np.float64],
    intervals: Sequence[Interval],
    seconds_T: NDArray[np.float64],
) -> list[Deciding]:
    """Return the classes that decided each interval: at most three, with drops of at least 0.01.

    A drop is the mean probability of the interval's activity over its times, minus that if the
    forest does not see the objects of the class. The head over time sees them still.

    Args:
        forest: the forest of the model.
        statistics_TX: what it reads at each time.
        logits: logits of the parts of the model.
        temperatures: those of the model, `Temperatures.row`.
        intervals: the intervals.
        seconds_T: the times.
    """
    assert isinstance(forest.inputs, FilmStatistics), "a forest of films"
    rows = [np.flatnonzero((own.start <= seconds_T) & (seconds_T < own.stop)) for own in intervals]
    if not rows:
        return []
    times = np.unique(np.concatenate(rows))
    is_seen_T = np.isin(np.arange(len(seconds_T)), times)
    chosen, place_of = logits.rows(is_seen_T), {int(row): at for at, row in enumerate(times)}

    def chances_of(parts: PartLogits) -> list[float]:
        whole_NA = parts.whole(temperatures).astype(np.float32)
        chances_NA = probabilities(whole_NA, multi_label=forest.is_multi_label)
        return [
            float(chances_NA[[place_of[row] for row in own.tolist()], interval.activity].mean())
            for own, interval in zip(rows, intervals, strict=True)
        ]

    followed, with_all = forest.inputs.followed, chances_of(chosen)
    drops_KI = []
    for place in range(len(followed)):
        without_NX = statistics_TX[times]
        without_NX[:, np.tile(columns_of(place, len(followed)), 3)] = 0
        chances = chances_of(replace(chosen, forest=forest.logits(without_NX)))
        drops_KI.append([one - other for one, other in zip(with_all, chances, strict=True)])
    return [
        tuple(
            sorted(
                ((followed[place], drop) for place, drop in enumerate(own) if drop >= _LEAST_DROP),
                key=lambda pair: -pair[1],
            )[:_MOST_OBJECTS]
        )
        for own in zip(*drops_KI, strict=True)
    ]


def columns_of(place: int, number: int) -> NDArray[np.bool_]:
    """Return which of the (S,) features are 0, as without objects of a class, if it is not there:
    those that change in objects that all move and are apart.

    Args:
        place: place of the class among those that are followed.
        number: K.
    """
    corner_TK1 = 10.0 * np.arange(1, number + 1)[None, :, None] * np.arange(1, 3)[:, None, None]
    boxes_TK5 = corner_TK1 + np.array([0, 0, 1, 2, 3])
    is_there_TK = np.ones(boxes_TK5.shape[:2], np.bool_)
    there = FollowedObjects(boxes=boxes_TK5, is_there=is_there_TK)
    gone = replace(there, is_there=is_there_TK & (np.arange(number) != place))
    changed_S: NDArray[np.bool_] = (there.features(1.0) != gone.features(1.0)).any(axis=0)
    return changed_S
