"""Metrics of found intervals, from the counts of films, with confidence intervals over groups.

N films, R bootstrap draws, C activities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.evaluation.bootstrap import Proportion, bootstrap_figures, with_interval
from orn.stage2_train.intervals.average_precision import OVERLAPS_OF_MAP, ScoredFilms
from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.intervals.tally import Film, FilmTally, tally_each, tally_film
from orn.stage2_train.settings.names import FIGURES


@dataclass(frozen=True, slots=True, eq=False)
class FilmCounts:
    """The counts of films, which add up."""

    tallies: Sequence[Sequence[FilmTally]]
    """One of each film or, with several labels, one of each activity."""
    scored: ScoredFilms

    @classmethod
    def of(cls, films: Sequence[Film], num_activities: int, *, multi_label: bool) -> "FilmCounts":
        """Return the counts of films.

        Args:
            films: the films.
            num_activities: C.
            multi_label: whether several activities can be at the same time; each is then counted
                as if it were alone.
        """
        if multi_label:
            tallies = [tally_each(film, num_activities) for film in films]
        else:
            tallies = [[tally_film(film, num_activities)] for film in films]
        return cls(tallies, ScoredFilms.of(films, num_activities))

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return the (F, R) metrics in the order of `FIGURES`, for the number of times that each
        film is drawn."""
        own = _figures(self.tallies, counts_NR.astype(np.float64))
        return np.concatenate([own, self.scored.mean(counts_NR)[None]])


def figure_values(counts: FilmCounts, groups: Sequence[str]) -> dict[str, Proportion]:
    """Return each metric of films with its interval over their groups."""
    once_F = counts.figures(np.ones((len(groups), 1)))[:, 0]
    draws_FR = bootstrap_figures([counts.figures], groups)[0]
    number = len(set(groups))
    return {
        name: with_interval(float(value), draws_R, num_groups=number)
        for name, value, draws_R in zip(FIGURES, once_F, draws_FR, strict=True)
    }


def interval_values(films: Sequence[Film], classes: Sequence[str], *, multi_label: bool) -> Any:
    """Return the fields of `runs.film_file.FilmResults` for films, but their rows and the rate.

    Args:
        films: the films.
        classes: names of the C activities, without background.
        multi_label: as for `FilmCounts.of`.
    """
    counts = FilmCounts.of(films, len(classes), multi_label=multi_label)
    groups = [film.group for film in films]
    once_N1 = np.ones((len(films), 1))
    return {
        "num_groups": len(set(groups)),
        "figures": figure_values(counts, groups),
        "map_at": {
            f"{overlap:g}": _known(counts.scored.at(overlap, once_N1)[0])
            for overlap in OVERLAPS_OF_MAP
        },
        **_errors(counts.tallies),
        "activities": [_activity(films, row, name) for row, name in enumerate(classes)],
    }


def _figures(tallies: Sequence[Sequence[FilmTally]], counts_NR: NDArray) -> NDArray[np.float64]:
    """Return the (F, R) metrics but mAP, for the number of times that each film is drawn."""
    confusion_RCX = _summed(tallies, "confusion", counts_NR)
    hits_ROX = _summed(tallies, "hits", counts_NR)
    num_frames_N = np.array([own[0].confusion[:, [0, 2]].sum() * len(own) for own in tallies])
    right_N = np.array([sum(each.right for each in own) for own in tallies])
    active_N = np.array([sum(each.right_activities for each in own) for own in tallies])
    edit_N = np.array([np.mean([each.edit for each in own]) for own in tallies]) / 100
    right_RC, vain_RC, missed_RC = np.moveaxis(confusion_RCX[:, :-1], -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1_RC = 2 * right_RC / (2 * right_RC + vain_RC + missed_RC)
        runs_RO, vain_RO, lost_RO = np.moveaxis(hits_ROX, -1, 0)
        f1_RO = 2 * runs_RO / (2 * runs_RO + vain_RO + lost_RO)
        return np.stack(
            [
                right_N @ counts_NR / (num_frames_N @ counts_NR),
                active_N @ counts_NR / (right_RC + missed_RC).sum(axis=1),
                np.nansum(f1_RC, axis=1) / (~np.isnan(f1_RC)).sum(axis=1),
                *f1_RO.T,
                edit_N @ counts_NR / counts_NR.sum(axis=0),
            ]
        )


def _summed(tallies: Sequence[Sequence[FilmTally]], name: str, counts_NR: NDArray) -> NDArray:
    """Return (R, ...) the sums of an array of counts over drawn films."""
    own = np.stack([sum(getattr(each, name) for each in of_film) for of_film in tallies])
    return np.tensordot(counts_NR.T, own, axes=1)


def _errors(tallies: Sequence[Sequence[FilmTally]]) -> dict[str, float | None]:
    """Return the mean absolute errors of starts and stops of the runs that are right."""
    number, starts, stops = np.sum([each.errors for own in tallies for each in own], axis=0)
    if not number:
        return {"start_error": None, "stop_error": None}
    return {"start_error": float(starts / number), "stop_error": float(stops / number)}


def _activity(films: Sequence[Film], activity: int, name: str) -> dict[str, Any]:
    """Return the number and seconds of an activity in each film, true and found."""

    def of(intervals: Sequence[Interval]) -> tuple[int, float]:
        own = [one.stop - one.start for one in intervals if one.activity == activity]
        return len(own), float(sum(own))

    rows = [(of(film.true), of(film.found)) for film in films]
    return {
        "activity": name,
        "true_number": [true[0] for true, _ in rows],
        "found_number": [found[0] for _, found in rows],
        "true_seconds": [true[1] for true, _ in rows],
        "found_seconds": [found[1] for _, found in rows],
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
