"""Timelines of evaluated films: the intervals of the table, which a person corrects, beside those
that a model found that was not trained on the film.

T described times of a film.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.intervals.decoder import stretches_of
from orn.stage2_train.report.eval_results import Measured
from orn.stage2_train.report.timeline_page import (
    ShownInterval,
    Timeline,
    differences,
    write_timeline,
)
from orn.stage2_train.runs.film_results import FilmRow

TIMELINES = "timelines"
"""Folder of the timelines beside the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmLink:
    """The timeline of a film."""

    video: str
    """Id of the film."""
    address: str
    """Relative to the report."""
    differences: int
    """Intervals of the table that were not found, and found ones that it lacks."""


def write_timelines(
    run: Path, measured: Measured, files: Mapping[str, Path], update_command: str | None
) -> list[FilmLink]:
    """Write the timeline of each film atomically; return them, the most differences first. Nothing
    is written for an evaluation on training films or on clips.

    Args:
        run: folder of the report.
        measured: the evaluation.
        files: paths of the films by id.
        update_command: command that applies a file of corrections, for the pages.
    """
    films = measured.file.films
    if films is None or measured.file.trained_on:
        return []
    rows_of: dict[str, list[NDArray[np.int64]]] = {}
    seconds_of: dict[str, list[NDArray[np.float64]]] = {}
    for stretch in stretches_of(measured.predictions.ids, films.rate):
        rows_of.setdefault(stretch.video, []).append(stretch.rows)
        seconds_of.setdefault(stretch.video, []).append(stretch.seconds)
    links = []
    for film in films.films:
        page, file = run / TIMELINES / f"{film.video}.html", files[film.video]
        timeline = _timeline(
            film,
            measured,
            seconds_T=np.concatenate(seconds_of[film.video]),
            rows_T=np.concatenate(rows_of[film.video]),
            file=os.path.relpath(file, page.parent) if file.is_file() else None,
            update_command=update_command,
        )
        page.parent.mkdir(parents=True, exist_ok=True)
        write_timeline(page, timeline)
        address, number = quote(page.relative_to(run).as_posix()), len(differences(timeline))
        links.append(FilmLink(video=film.video, address=address, differences=number))
    return sorted(links, key=lambda own: -own.differences)


def _timeline(
    film: FilmRow,
    measured: Measured,
    *,
    seconds_T: NDArray[np.float64],
    rows_T: NDArray[np.int64],
    file: str | None,
    update_command: str | None,
) -> Timeline:
    classes = measured.classes[:-1] if measured.single else measured.classes
    chances_TA = measured.probability_NA[rows_T]

    def shown(start: float, stop: float, label: int) -> ShownInterval:
        first, last = np.searchsorted(seconds_T, (start, stop)).tolist()
        first = min(first, len(seconds_T) - 1)
        chance = float(chances_TA[first : max(last, first + 1), label].mean())
        return ShownInterval(start=start, stop=stop, label=classes[label], probability=chance)

    observed = tuple((start or 0.0, stop or film.end) for start, stop in film.observed)
    return Timeline(
        video=film.video,
        film=file,
        duration=film.end,
        classes=classes,
        times=seconds_T,
        probabilities=chances_TA[:, : len(classes)],
        intervals=tuple(shown(*own) for own in film.true),
        found=tuple((start, stop, classes[label]) for start, stop, label, _ in film.found),
        observed=None if observed == ((0.0, film.end),) else observed,
        exclusive=measured.single,
        update_command=update_command,
    )
