"""The pairs of object classes that matter for each activity (figure 4 of the paper)."""

from collections import Counter
from dataclasses import dataclass, field

from orn.stage2_train.report.shown_clip import ShownClip

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Minimum number and fraction of an activity's clips with both classes of a ranked pair."""


@dataclass(frozen=True, slots=True)
class ClassPairs:
    """Pairs of object classes in explained clips."""

    num_clips: Counter[int] = field(default_factory=Counter)
    """Number of explained clips of each activity."""
    _drops: dict[tuple[int, int, int], list[float]] = field(default_factory=dict)
    """Logit drops of the strongest pair of each clip, by activity and both classes."""

    def add(self, activity: int, clip: ShownClip) -> None:
        """Add the pairs of a clip; those with the background are omitted, because it occurs in
        every clip."""
        self.num_clips[activity] += 1
        strongest: dict[tuple[int, int], float] = {}
        for pair in clip.pairs or ():
            first, second = (seen for seen, _ in clip.members(pair))
            if not (first.is_whole_frame or second.is_whole_frame):
                low, high = sorted((first.label, second.label))
                strongest.setdefault((low, high), pair.logit_drop)
        for classes, drop in strongest.items():
            self._drops.setdefault((activity, *classes), []).append(drop)

    def ranked(self, activity: int) -> list[tuple[int, int, float]]:
        """Return the pairs of classes that occur in enough clips, the lower class first, with the
        logit drop averaged over these clips, in decreasing order."""
        least = max(_LEAST_CLIPS, _LEAST_SHARE * self.num_clips[activity])
        often = [
            (first, second, sum(drops) / len(drops))
            for (of, first, second), drops in sorted(self._drops.items())
            if of == activity and len(drops) >= least
        ]
        return sorted(often, key=lambda pair: -pair[2])
