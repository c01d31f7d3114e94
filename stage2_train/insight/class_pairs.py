"""Which classes of objects are related when an activity is seen (figure 4 of the paper).

Each pair of objects of an explained clip counts for the classes that the detector gave the two. For
an activity and two classes: how many pairs there are, in how many clips, and what the pairs sum to
by each measure of importance. Divided by the number of pairs, a sum says how much a pair of these
classes counts where there is one.

A activity classes, S detector classes with background, P pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Of an activity's clips, in which two classes meet, to be drawn: of fewer the mean says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """Two classes of objects in the clips of one activity."""

    first: int
    second: int
    """Not below the first."""
    num_pairs: int
    num_clips: int
    activation: float
    """Mean over the pairs."""
    fall: float
    """Mean over the pairs."""


@dataclass(slots=True, kw_only=True, eq=False)
class ClassPairs:
    """Sums over the explained clips."""

    num_activities: int
    num_classes: int
    """S."""
    num_clips_A: NDArray[np.int64] = field(init=False)
    """(A,) explained clips of each activity."""
    _of_activity: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """(4, S, S) each: pairs, clips, sums of activation and of fall; half of it is used."""

    def __post_init__(self) -> None:
        """No clip yet."""
        self.num_clips_A = np.zeros(self.num_activities, np.int64)

    def add(
        self,
        activity: int,
        labels_2P: NDArray[np.int64],
        activation_P: NDArray[np.float64],
        fall_P: NDArray[np.float64],
    ) -> None:
        """Counts the pairs of one clip.

        Args:
            activity: the class that is explained.
            labels_2P: (2, P) classes of both objects.
            activation_P: (P,) importance by activation.
            fall_P: (P,) importance by the fall of the activity's logit.
        """
        shape = (4, self.num_classes, self.num_classes)
        sums = self._of_activity.setdefault(activity, np.zeros(shape))
        places = labels_2P.min(axis=0), labels_2P.max(axis=0)
        np.add.at(sums[0], places, 1)
        once_2p = np.unique(np.stack(places), axis=1)
        sums[1, once_2p[0], once_2p[1]] += 1
        np.add.at(sums[2], places, activation_P)
        np.add.at(sums[3], places, fall_P)
        self.num_clips_A[activity] += 1

    def found(self, activity: int) -> Iterator[ClassPair]:
        """All pairs of classes that meet in an activity's clips."""
        sums = self._of_activity.get(activity)
        if sums is None:
            return
        for first, second in np.argwhere(sums[0] > 0).tolist():
            pairs, clips, activation, fall = sums[:, first, second].tolist()
            yield ClassPair(
                first=first,
                second=second,
                num_pairs=int(pairs),
                num_clips=int(clips),
                activation=activation / pairs,
                fall=fall / pairs,
            )

    def drawn(self, activity: int) -> Sequence[ClassPair]:
        """Those that meet often enough for a mean; the background, which is everywhere, is none."""
        least = max(_LEAST_CLIPS, _LEAST_SHARE * int(self.num_clips_A[activity]))
        background = self.num_classes - 1
        return [
            pair
            for pair in self.found(activity)
            if pair.num_clips >= least and pair.second != background
        ]

    def most_seen(self) -> list[int]:
        """Activities with an explained clip, those with most clips first."""
        order = np.argsort(-self.num_clips_A, kind="stable").tolist()
        return [activity for activity in order if self.num_clips_A[activity]]
