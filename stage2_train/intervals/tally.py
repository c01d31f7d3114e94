"""How well found intervals agree with true ones: counts of one film, which add up over films.

Labels of frames, runs and edit distances are those of the evaluation code of MS-TCN (Farha and Gall
2019), which counts on frames; frames have 0.1 s, whatever the rate of predictions.

F frames, C activities; the background has the index C.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.time_ranges import TimeRange
from orn.stage2_train.intervals.records import Interval, Run, labels_at, runs_of

FRAME_SECONDS = 0.1
OVERLAPS = (0.1, 0.25, 0.5)
"""Least overlaps of segmental F1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film with its true and found intervals."""

    video: str
    """Id of the video."""
    group: str
    """Its group, over which confidence intervals are drawn."""
    end: float
    """Seconds at which it ends."""
    observed: tuple[TimeRange, ...]
    """What was looked at."""
    true: tuple[Interval, ...]
    found: tuple[Interval, ...]

    def frame_seconds(self) -> NDArray[np.float64]:
        """Return the (F,) middles of the observed frames."""
        numbers_F = np.arange(round(self.end / FRAME_SECONDS), dtype=np.float64)
        seconds_F: NDArray[np.float64] = (numbers_F + 0.5) * FRAME_SECONDS
        is_seen_F = [any(own in span for span in self.observed) for own in seconds_F.tolist()]
        return seconds_F[np.array(is_seen_F, np.bool_)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmTally:
    """Counts of a film; all but `edit` are sums over its frames or runs."""

    right: int
    """Frames with the true label."""
    right_activities: int
    """Frames of an activity with the true label."""
    confusion: NDArray[np.int64]
    """(C + 1, 3) frames of each class that are right, found in vain, and missed."""
    hits: NDArray[np.int64]
    """(3, 3) runs that are right, found in vain, and missed, for each of `OVERLAPS`."""
    edit: float
    """Edit score, 0..100."""
    errors: NDArray[np.float64]
    """(3,) number of runs that are right at the largest of `OVERLAPS`, and the sums of the absolute
    errors of their starts and of their stops in seconds."""


def tally_labels(
    true_F: NDArray[np.int64], found_F: NDArray[np.int64], num_activities: int
) -> FilmTally:
    """Return the counts of a film, given the labels of its frames."""
    background = num_activities
    is_right_F = true_F == found_F
    classes = np.arange(num_activities + 1)[:, None]
    is_true_CF, is_found_CF = true_F == classes, found_F == classes
    confusion = [is_true_CF & is_found_CF, ~is_true_CF & is_found_CF, is_true_CF & ~is_found_CF]
    true, found = runs_of(true_F, background), runs_of(found_F, background)
    matches = [matched_runs(true, found, overlap) for overlap in OVERLAPS]
    pairs = matches[-1]
    starts = [abs(one.first - other.first) for one, other in pairs]
    stops = [abs(one.stop - other.stop) for one, other in pairs]
    return FilmTally(
        right=int(is_right_F.sum()),
        right_activities=int((is_right_F & (true_F != background)).sum()),
        confusion=np.stack([own.sum(axis=1) for own in confusion], axis=1),
        hits=np.array([(len(own), len(found) - len(own), len(true) - len(own)) for own in matches]),
        edit=edit_score([run.label for run in true], [run.label for run in found]),
        errors=np.array([len(pairs), *(FRAME_SECONDS * sum(own) for own in (starts, stops))]),
    )


def matched_runs(
    true: Sequence[Run], found: Sequence[Run], overlap: float
) -> list[tuple[Run, Run]]:
    """Return the pairs of true and found runs that agree: each found run, in order, with the true
    one of the same label that overlaps it most, if this is still free and their intersection over
    union is at least `overlap`."""
    pairs: list[tuple[Run, Run]] = []
    taken: set[int] = set()
    for run in found:
        shares = [overlap_of(run, other) * (run.label == other.label) for other in true]
        best = int(np.argmax(shares)) if shares else -1
        if shares and shares[best] >= overlap and best not in taken:
            taken.add(best)
            pairs.append((true[best], run))
    return pairs


def overlap_of(one: Run, other: Run) -> float:
    """Return the intersection over the hull of two runs; negative for disjoint ones."""
    common = min(one.stop, other.stop) - max(one.first, other.first)
    return common / (max(one.stop, other.stop) - min(one.first, other.first))


def edit_score(true: Sequence[int], found: Sequence[int]) -> float:
    """Return 100 (1 - d / n) for the Levenshtein distance d of two sequences of labels, of which
    the longer one has n; 100 if both are empty."""
    longest = max(len(true), len(found))
    if not longest:
        return 100.0
    before = [*range(len(true) + 1)]
    for row, label in enumerate(found, start=1):
        now = [row]
        for column, other in enumerate(true, start=1):
            changed = before[column - 1] + (label != other)
            now.append(min(changed, before[column] + 1, now[-1] + 1))
        before = now
    return 100 * (1 - before[-1] / longest)


def tally_film(film: Film, num_activities: int) -> FilmTally:
    """Return the counts of a film with single labels."""
    seconds_F = film.frame_seconds()
    true_F, found_F = (labels_at(own, seconds_F, num_activities) for own in (film.true, film.found))
    return tally_labels(true_F, found_F, num_activities)


def tally_each(film: Film, num_activities: int) -> list[FilmTally]:
    """Return the counts of each activity of a film with several labels, as if it were alone."""
    seconds_F = film.frame_seconds()
    tallies = []
    for activity in range(num_activities):
        one, other = (
            labels_at([own for own in side if own.activity == activity], seconds_F, num_activities)
            for side in (film.true, film.found)
        )
        tallies.append(tally_labels(one, other, num_activities))
    return tallies
