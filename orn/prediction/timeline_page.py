"""The offline page of a long film: the probability of each class over time, the intervals that were
found, and the true ones, beside the film; a person corrects the intervals and saves them.

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
"""Minimum overlap (intersection over union) of an interval with a true one that it finds."""
_LEAST_PEAK = 0.1
"""Probabilities of a class without intervals are shown if one is at least as high."""
_MOST_CURVE_BYTES = 4_000_000
"""Maximum size of all probabilities, one byte each; further classes are not shown."""

Interval = tuple[float, float, str]
"""Start and stop in seconds, and label."""
_Ranked = tuple[float, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInterval:
    """An interval that a model found in a film."""

    start: float
    """Start in seconds."""
    stop: float
    """End in seconds, exclusive."""
    label: str
    """One of the classes of the timeline."""
    probability: float
    """0..1."""
    objects: tuple[tuple[str, float], ...] = ()
    """Classes of objects that decided, and the drop of the probability without them, 0..1; empty if
    unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """A film with all that was found in it."""

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
    found: tuple[FoundInterval, ...]
    """Intervals that were found."""
    true: tuple[Interval, ...] | None = None
    """True intervals, also of other classes; None if they are unknown."""
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
        "orn.prediction/timeline.html",
        title=timeline.video,
        timeline=timeline,
        data=_data(timeline),
    )
    write_text(path, html)


def _data(timeline: Timeline) -> dict[str, Any]:
    names = [*timeline.classes, *(label for *_, label in timeline.true or ())]
    index_of = {name: index for index, name in enumerate(dict.fromkeys(names))}
    found = [
        {
            "start": own.start,
            "stop": own.stop,
            "label": index_of[own.label],
            "probability": round(own.probability, 4),
            "objects": own.objects,
        }
        for own in timeline.found
    ]
    true = [(start, stop, index_of[label]) for start, stop, label in timeline.true or ()]
    return {
        "key": f"orn timeline {json_digest([timeline.video, found])}",
        "video": timeline.video,
        "film": None if timeline.film is None else quote(timeline.film),
        "duration": timeline.duration,
        "exclusive": timeline.exclusive,
        "classes": list(index_of),
        "colors": [css_color(activity_color(index)) for index in index_of.values()],
        "times": base64.b64encode(timeline.times.astype("<f4").tobytes()).decode(),
        "curves": _curves(timeline),
        "found": found,
        "true": true,
        "observed": timeline.observed,
        "worth": worth_looking_at(timeline),
    }


def _curves(timeline: Timeline) -> dict[int, str]:
    """Return the probabilities, in bytes of 0..255, of the classes with intervals or peaks."""
    peak_C = timeline.probabilities.max(axis=0, initial=0)
    listed = {own.label for own in timeline.found} | {label for *_, label in timeline.true or ()}
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
    """Return the intervals that a person should see, in this order: those that contradict the true
    ones, and true ones that were missed, by time; then all others, the least probable first.

    Returns:
        Of each: start, stop, label, `found`, its index among those found (-1 for a missed one), and
        `why`.
    """
    found = [(own.start, own.stop, own.label) for own in timeline.found]
    against, others = list[_Ranked](), list[_Ranked]()
    for index, (own, interval) in enumerate(zip(timeline.found, found, strict=True)):
        if timeline.true is None or _is_among(interval, timeline.true):
            others.append(
                (own.probability, _row(interval, index, f"{100 * own.probability:.0f} %"))
            )
        else:
            against.append((own.start, _row(interval, index, "not among the true ones")))
    for interval in timeline.true or ():
        if not _is_among(interval, found):
            against.append((interval[0], _row(interval, -1, "missed")))
    return [row for rows in (against, others) for _, row in sorted(rows, key=itemgetter(0))]


def _row(interval: Interval, found: int, why: str) -> dict[str, Any]:
    start, stop, label = interval
    return {"start": start, "stop": stop, "label": label, "found": found, "why": why}


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
