"""Importance of pairs of object classes for an activity (figure 4 of the paper).

Each pair of objects in an explained clip is assigned to the two objects' detector classes. For an
activity and two classes, this module counts pairs and clips. It averages both measures of
importance over the pairs, and the logit drop of each clip's strongest pair over the clips.

A activity classes, S detector classes including background, P pairs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Minimum number and fraction of an activity's clips with both classes of a ranked pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A pair of objects in a clip."""

    row: int
    """Index of the clip."""
    drop: float
    """Logit drop when the pair is removed."""
    frames: tuple[int, ...]
    """Frame of each object, among the frames that the page plays."""
    boxes: tuple[tuple[float, ...], ...]
    """x1 y1 x2 y2 of each object, relative to the frame's width and height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """Two object classes in the clips of one activity."""

    first: int
    second: int
    """At least `first`."""
    num_pairs: int
    num_clips: int
    activation: float
    """Mean activation over the pairs."""
    drop: float
    """Mean logit drop over the pairs."""
    strongest: float
    """Logit drop of the strongest pair in a clip, averaged over the clips."""
    example: Example
    """The pair with the largest logit drop."""


@dataclass(slots=True, kw_only=True, eq=False)
class ClassPairs:
    """Statistics of pairs of classes over the explained clips."""

    num_activities: int
    num_classes: int
    """Number of detector classes S."""
    num_clips_A: NDArray[np.int64] = field(init=False)
    """(A,) number of explained clips of each activity."""
    _sums: dict[int, dict[tuple[int, int], NDArray[np.float64]]] = field(default_factory=dict)
    """Numbers of pairs and clips, sums of activations, logit drops and strongest logit drops, by
    activity and classes."""
    _examples: dict[tuple[int, int, int], Example] = field(default_factory=dict)
    """Pair with the largest logit drop, by activity and classes."""

    def __post_init__(self) -> None:
        """Initialize without clips."""
        self.num_clips_A = np.zeros(self.num_activities, np.int64)

    def add(
        self,
        activity: int,
        labels_2P: NDArray[np.int64],
        activation_P: NDArray[np.float64],
        drop_P: NDArray[np.float64],
        *,
        example: Callable[[int], Example],
    ) -> None:
        """Add the pairs of one clip.

        Args:
            activity: the explained class.
            labels_2P: (2, P) detector classes of both objects.
            activation_P: (P,) importance by activation.
            drop_P: (P,) importance by logit drop.
            example: returns one of the P pairs as an example.
        """
        order_P = np.argsort(-drop_P, kind="stable")
        codes_P = labels_2P.min(axis=0) * self.num_classes + labels_2P.max(axis=0)
        codes_U, strongest_U, met_P, number_U = np.unique(
            codes_P[order_P], return_index=True, return_inverse=True, return_counts=True
        )
        activation_U, sum_U = (
            np.bincount(met_P, weights=each[order_P]) for each in (activation_P, drop_P)
        )
        sums = self._sums.setdefault(activity, {})
        for row, (code, place) in enumerate(
            zip(codes_U.tolist(), order_P[strongest_U].tolist(), strict=True)
        ):
            classes, drop = divmod(code, self.num_classes), float(drop_P[place])
            added = (number_U[row], 1, activation_U[row], sum_U[row], drop)
            sums[classes] = sums.get(classes, np.zeros(len(added))) + added
            key = (activity, *classes)
            if key not in self._examples or drop > self._examples[key].drop:
                self._examples[key] = example(place)
        self.num_clips_A[activity] += 1

    def found(self, activity: int) -> Iterator[ClassPair]:
        """Yield all pairs of classes that occur together in an activity's clips."""
        for (first, second), sums in sorted(self._sums.get(activity, {}).items()):
            pairs, clips, activation, drop, strongest = sums.tolist()
            yield ClassPair(
                first=first,
                second=second,
                num_pairs=int(pairs),
                num_clips=int(clips),
                activation=activation / pairs,
                drop=drop / pairs,
                strongest=strongest / clips,
                example=self._examples[activity, first, second],
            )

    def ranked(self, activity: int) -> list[ClassPair]:
        """Return the pairs of classes that occur often enough, by decreasing logit drop.

        Pairs with the background are omitted, because it occurs in every clip.
        """
        least = max(_LEAST_CLIPS, _LEAST_SHARE * int(self.num_clips_A[activity]))
        background = self.num_classes - 1
        often = [
            pair
            for pair in self.found(activity)
            if pair.num_clips >= least and pair.second != background
        ]
        return sorted(often, key=lambda pair: -pair.strongest)

    def most_seen(self) -> list[int]:
        """Return the activities that have explained clips, by decreasing number of clips."""
        order = np.argsort(-self.num_clips_A, kind="stable").tolist()
        return [activity for activity in order if self.num_clips_A[activity]]
