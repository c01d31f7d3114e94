"""The offline page of a long film: the probability of each class over time, and intervals that a
person corrects and saves: found ones, or those of a table beside found ones.

N times on the grid, C classes.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from orn.shared.data_files import json_digest
from orn.shared.jobs.atomic_file import write_text
from orn.shared.pages.palette import activity_color, css_color
from orn.shared.pages.render import render

LEAST_OVERLAP = 0.5
"""Minimum overlap (intersection over union) of an interval with another one that is the same."""
_LEAST_PEAK = 0.1
"""Probabilities of a class without intervals are shown if one is at least as high."""
_MOST_CURVE_BYTES = 4_000_000
"""Maximum size of all probabilities, one byte each; further classes are not shown."""

Interval = tuple[float, float, str]
"""Start and stop in seconds, and label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownInterval:
    """An interval of a film."""

    start: float
    """Start in seconds."""
    stop: float
    """End in seconds, exclusive."""
    label: str
    """One of the classes of the timeline."""
    probability: float
    """Mean probability of the label in the interval, 0..1."""
    objects: tuple[tuple[str, float], ...] = ()
    """Classes of objects that decided, and the drop of the probability without them, 0..1; empty if
    unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """A film with its intervals."""

    video: str
    """Id of the video in tables."""
    film: str | None
    """Path of its file relative to the page; None if there is none."""
    duration: float
    """Seconds."""
    classes: tuple[str, ...]
    """Names of the C classes, without background."""
    times: NDArray[np.float64]
    """(N,) increasing times of the grid in seconds."""
    probabilities: NDArray[np.float32]
    """(N, C), 0..1."""
    intervals: tuple[ShownInterval, ...]
    """Intervals to correct: those that a model found, or with `found`, those of a table."""
    found: tuple[Interval, ...] | None = None
    """Intervals that a model found that was not trained on the film, beside those of a table."""
    observed: tuple[tuple[float, float], ...] | None = None
    """Ranges that people looked at, in seconds; None for the whole film."""
    exclusive: bool = True
    """Whether intervals must not overlap."""
    update_command: str | None = None
    """Command that applies a file of corrections, for the page."""


def write_timeline(path: Path, timeline: Timeline) -> None:
    """Write the page of a film atomically.

    Corrections are saved from the page as a CSV file with the columns video, start, stop and label,
    which lists all intervals of the film; a film without intervals has one row, in which start,
    stop and label are empty.
    """
    html = render(
        "orn.stage2_train.report/timeline.html",
        title=timeline.video,
        timeline=timeline,
        data=_data(timeline),
    )
    write_text(path, html)


def _data(timeline: Timeline) -> dict[str, Any]:
    names = [own.label for own in timeline.intervals]
    names = [*timeline.classes, *names, *(label for *_, label in timeline.found or ())]
    index_of = {name: index for index, name in enumerate(dict.fromkeys(names))}
    intervals = [
        {
            "start": own.start,
            "stop": own.stop,
            "label": index_of[own.label],
            "probability": round(own.probability, 4),
            "objects": own.objects,
        }
        for own in timeline.intervals
    ]
    found = [(start, stop, index_of[label]) for start, stop, label in timeline.found or ()]
    return {
        "key": f"orn timeline {json_digest([timeline.video, intervals])}",
        "video": timeline.video,
        "film": None if timeline.film is None else quote(timeline.film),
        "duration": timeline.duration,
        "exclusive": timeline.exclusive,
        "classes": list(index_of),
        "colors": [css_color(activity_color(index)) for index in index_of.values()],
        "times": base64.b64encode(timeline.times.astype("<f4").tobytes()).decode(),
        "curves": _curves(timeline),
        "given": intervals,
        "found": found,
        "observed": timeline.observed,
        "worth": worth_looking_at(timeline),
    }


def _curves(timeline: Timeline) -> dict[int, str]:
    """Return the probabilities, in bytes of 0..255, of the classes with intervals or peaks."""
    peak_C = timeline.probabilities.max(axis=0, initial=0)
    listed = {own.label for own in timeline.intervals}
    listed |= {label for *_, label in timeline.found or ()}
    is_listed_C = np.array([name in listed for name in timeline.classes], np.bool_)
    most = _MOST_CURVE_BYTES // max(len(timeline.times), 1)
    order = np.argsort(-(is_listed_C + peak_C), kind="stable")[:most].tolist()
    return {
        label: base64.b64encode(
            (255 * timeline.probabilities[:, label]).round().astype(np.uint8).tobytes()
        ).decode()
        for label in sorted(order)
        if is_listed_C[label] or peak_C[label] >= _LEAST_PEAK
    }


def worth_looking_at(timeline: Timeline) -> list[dict[str, Any]]:
    """Return the intervals that a person should see: `differences`, then all others, the least
    probable first.

    Returns:
        Of each: start, stop, label, `given`, its index among the intervals to correct (-1 for one
        that the table lacks), and `why`.
    """
    first = differences(timeline)
    seen = {row["given"] for row in first}
    others = [own for own in enumerate(timeline.intervals) if own[0] not in seen]
    return first + [
        _row((own.start, own.stop, own.label), index, f"{100 * own.probability:.0f} %")
        for index, own in sorted(others, key=lambda other: other[1].probability)
    ]


def differences(timeline: Timeline) -> list[dict[str, Any]]:
    """Return the intervals of a table that were not found, and found ones that it lacks, by time;
    see `worth_looking_at`."""
    if timeline.found is None:
        return []
    given = [(own.start, own.stop, own.label) for own in timeline.intervals]
    rows = [
        _row(own, index, "not found")
        for index, own in enumerate(given)
        if not _is_among(own, timeline.found)
    ]
    rows += [_row(own, -1, "not listed") for own in timeline.found if not _is_among(own, given)]
    return sorted(rows, key=itemgetter("start"))


def _row(interval: Interval, given: int, why: str) -> dict[str, Any]:
    start, stop, label = interval
    return {"start": start, "stop": stop, "label": label, "given": given, "why": why}


def _is_among(interval: Interval, others: Sequence[Interval]) -> bool:
    """Return whether one of `others` has the label of an interval and overlaps it enough."""
    return any(
        other[2] == interval[2] and overlap(interval[:2], other[:2]) >= LEAST_OVERLAP
        for other in others
    )


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the intersection over union of two intervals."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    together = max(one[1], other[1]) - min(one[0], other[0])
    return max(shared, 0.0) / together if together > 0 else 1.0
