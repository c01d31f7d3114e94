"""The decoder of a model: paths of training films, with weights that are chosen on films that
trained no weights; and the intervals that it finds.

With single labels, one track has all activities and the background. With multiple labels, each
activity has a track of its own, with the absence of the activity as its background.

N described times of several films, T times of one of them, K labels of a track, A outputs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from orn.shared.config.fields import STRICT
from orn.stage2_train.intervals.records import Interval, runs_of
from orn.stage2_train.intervals.semi_markov import Paths, Weights, decode, fit_paths
from orn.stage2_train.intervals.tally import OVERLAPS, tally_labels

_PRIOR_EXPONENTS = (0.0, 0.125, 0.25, 0.375, 0.5)
_PATH_WEIGHTS = (0.1, 0.25, 0.5, 1.0)
"""Weights from which those of a model are chosen."""
FEWEST_FILMS = 3
"""Films below which no weights are chosen."""
_LEAST = 1e-9
_Share = Annotated[float, Field(ge=0, le=1)]
_Shares = Annotated[tuple[_Share, ...], Field(min_length=2, max_length=100_000)]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT)
class Track:
    """The paths of a track as they are stored, and their weights; see `Paths` and `Weights`."""

    start: _Shares
    change: tuple[_Shares, ...]
    steps: tuple[Annotated[float, Field(ge=1, le=1e9)], ...]
    least: tuple[Annotated[int, Field(ge=1, le=10**6)], ...]
    prior: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    prior_exponent: Annotated[float, Field(ge=0, le=1)] = 0.0
    path_weight: Annotated[float, Field(ge=0, le=10)] = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError if lengths differ."""
        number = len(self.start)
        lengths = (len(own) for own in (self.change, self.steps, self.least, self.prior))
        if {number} != {*lengths} or any(len(row) != number for row in self.change):
            raise ValueError(f"expected paths of {number} labels")

    @classmethod
    def of(cls, paths: Paths, weights: Weights) -> "Track":
        """Return the record of paths."""
        return cls(
            start=tuple(paths.start.tolist()),
            change=tuple(tuple(row) for row in paths.change.tolist()),
            steps=tuple(paths.steps.tolist()),
            least=tuple(paths.least.tolist()),
            prior=tuple(paths.prior.tolist()),
            prior_exponent=weights.prior_exponent,
            path_weight=weights.path_weight,
        )

    @property
    def paths(self) -> Paths:
        """The paths."""
        return Paths(
            start=np.array(self.start),
            change=np.array(self.change),
            steps=np.array(self.steps),
            least=np.array(self.least),
            prior=np.array(self.prior),
        )

    @property
    def weights(self) -> Weights:
        """Their weights."""
        return Weights(prior_exponent=self.prior_exponent, path_weight=self.path_weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Described times of a film without a gap."""

    video: str
    seconds: NDArray[np.float64]
    """(T,) times at equal distances."""
    rows: NDArray[np.int64]
    """(T,) their indices in the arrays from which they were taken."""


def stretches_of(ids: Sequence[str], rate: float) -> list[Stretch]:
    """Return the stretches of described times, given the ids of their windows, in any order."""
    named = [own.rpartition("@") for own in ids]
    rows_of: dict[str, list[int]] = {}
    for row, (video, _, _) in enumerate(named):
        rows_of.setdefault(video, []).append(row)
    seconds_N = np.array([float(seconds) for _, _, seconds in named])
    stretches = []
    for video, own in rows_of.items():
        rows = np.array(own)[np.argsort(seconds_N[own], kind="stable")]
        gaps = np.flatnonzero(np.diff(seconds_N[rows]) > 1.5 / rate) + 1
        for part in np.split(rows, gaps):
            stretches.append(Stretch(video=video, seconds=seconds_N[part], rows=part))
    return stretches


def fit_decoder(
    training: Sequence[NDArray[Any]],
    held_out: Sequence[tuple[NDArray[np.floating], NDArray[Any]]],
    num_outputs: int,
) -> tuple[Track, ...]:
    """Return the tracks of a decoder.

    Args:
        training: labels of the stretches of training films: (T,) classes, background last, or
            (T, A) zeros and ones.
        held_out: (T, A) probabilities and the labels of stretches that trained no weights; with
            fewer than 3, the weights are 0 and 0.5.
        num_outputs: A.
    """
    if training[0].ndim == 1:
        return (_track(training, held_out, num_outputs),)
    return tuple(
        _track(
            [_alone(labels_TA, activity) for labels_TA in training],
            [(_both(own_TA, activity), _alone(own, activity)) for own_TA, own in held_out],
            2,
        )
        for activity in range(num_outputs)
    )


def _track(
    training: Sequence[NDArray], held_out: Sequence[tuple[NDArray, NDArray]], num_labels: int
) -> Track:
    paths = fit_paths(training, num_labels)
    if len(held_out) < FEWEST_FILMS:
        return Track.of(paths, Weights())
    choices = [
        Weights(prior_exponent=exponent, path_weight=weight)
        for exponent, weight in product(_PRIOR_EXPONENTS, _PATH_WEIGHTS)
    ]
    return Track.of(paths, max(choices, key=lambda own: _quality(own, paths, held_out)))


def _quality(weights: Weights, paths: Paths, films: Sequence[tuple[NDArray, NDArray]]) -> float:
    """Return segmental F1 at 50 % overlap plus macro-F1 a time, both 0..1."""
    background = len(paths.prior) - 1
    tallies = [
        tally_labels(labels_T, decode(_log(own_TK), paths, weights), background)
        for own_TK, labels_T in films
    ]
    hits, vain, missed = np.sum([own.hits[len(OVERLAPS) - 1] for own in tallies], axis=0).tolist()
    confusion_CX = np.sum([own.confusion[:background] for own in tallies], axis=0)
    right_C, vain_C, missed_C = confusion_CX.T
    total_C = 2 * right_C + vain_C + missed_C
    frames = 2 * right_C[total_C > 0] / total_C[total_C > 0]
    runs = 2 * hits + vain + missed
    return (2 * hits / runs if runs else 0.0) + (float(frames.mean()) if len(frames) else 0.0)


def find_intervals(
    tracks: Sequence[Track],
    probabilities_TA: NDArray[np.floating],
    seconds_T: NDArray[np.float64],
    rate: float,
    frame_seconds: float,
) -> Iterator[Interval]:
    """Yield the intervals of a stretch of described times, in order of their start.

    A change that is found between two described times is at any frame after the first and up to
    the second with equal probability; the mean of these frames is yielded.

    Args:
        tracks: the decoder.
        probabilities_TA: softmax over activities and background, or sigmoid of each activity.
        seconds_T: the times, at equal distances.
        rate: described times per second; the stretch stops this much after its last time.
        frame_seconds: seconds from a frame of the video to the next.
    """
    found: list[Interval] = []
    late = max(1 / rate - frame_seconds, 0) / 2
    borders = np.array([seconds_T[0], *(seconds_T[1:] - late), seconds_T[-1] + 1 / rate])
    are_alone = len(tracks) == probabilities_TA.shape[1]
    for number, track in enumerate(tracks):
        own_TK = _both(probabilities_TA, number) if are_alone else probabilities_TA
        labels_T = decode(_log(own_TK), track.paths, track.weights)
        for run in runs_of(labels_T, len(track.prior) - 1):
            chance_T = own_TK[run.first : run.stop, run.label]
            found.append(
                Interval(
                    start=float(borders[run.first]),
                    stop=float(borders[run.stop]),
                    activity=number if are_alone else run.label,
                    probability=float(chance_T.mean()),
                )
            )
    yield from sorted(found, key=lambda own: (own.start, own.activity))


def _alone(labels_TA: NDArray[Any], activity: int) -> NDArray[np.int64]:
    """Return (T,) 0 where an activity is, else 1."""
    return (labels_TA[:, activity] <= 0).astype(np.int64)


def _both(probabilities_TA: NDArray[np.floating], activity: int) -> NDArray[np.float64]:
    """Return (T, 2) the probability of an activity, and that of its absence."""
    own_T = probabilities_TA[:, activity].astype(np.float64)
    return np.stack([own_T, 1 - own_T], axis=1)


def _log(probabilities_TK: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities_TK.astype(np.float64), _LEAST))
