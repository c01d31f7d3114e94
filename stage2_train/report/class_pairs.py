"""Importance of pairs of object classes for an activity (figure 4 of the paper).

Each pair of objects in an explained clip belongs to the two objects' detector classes. For an
activity and two classes, this module counts the clips that contain such a pair, and averages the
logit drop of each clip's strongest one.

A activity classes, P pairs.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Minimum number and fraction of an activity's clips with both classes of a ranked pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """Two object classes in the clips of one activity."""

    first: int
    second: int
    """At least `first`."""
    num_clips: int
    drop: float
    """Logit drop of the strongest pair in a clip, averaged over the clips."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassPairs:
    """Sums over the explained clips, by activity and both classes."""

    background: int
    """Class of the background object, the last one."""
    num_clips: Counter[int] = field(default_factory=Counter)
    """Number of explained clips of each activity."""
    _clips: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    _drops: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def add(self, activity: int, labels_2P: NDArray[np.int64], drop_P: NDArray[np.float64]) -> None:
        """Add the pairs of one clip.

        Args:
            activity: the explained class.
            labels_2P: (2, P) detector classes of both objects.
            drop_P: (P,) logit drops.
        """
        self.num_clips[activity] += 1
        strongest: dict[tuple[int, int], float] = {}
        pairs = zip(np.sort(labels_2P, axis=0).T.tolist(), drop_P.tolist(), strict=True)
        for (first, second), drop in pairs:
            strongest[first, second] = max(strongest.get((first, second), drop), drop)
        for classes, drop in strongest.items():
            key = (activity, *classes)
            self._clips[key] += 1
            self._drops[key] = self._drops.get(key, 0.0) + drop

    def ranked(self, activity: int) -> list[ClassPair]:
        """Return the pairs of classes that occur often enough, by decreasing logit drop.

        Pairs with the background are omitted, because it occurs in every clip.
        """
        least = max(_LEAST_CLIPS, _LEAST_SHARE * self.num_clips[activity])
        often = [
            ClassPair(first=first, second=second, num_clips=clips, drop=self._drops[key] / clips)
            for key, clips in sorted(self._clips.items())
            for of, first, second in [key]
            if of == activity and clips >= least and second != self.background
        ]
        return sorted(often, key=lambda pair: -pair.drop)
