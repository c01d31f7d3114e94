"""What is predicted over time, as HTML: stretches that lead to their pictures, and below them a
lane a class with its probability.

A activity classes.
"""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from orn.shared.pages.palette import class_colour, css_colour
from orn.shared.text_table import printable
from orn.stage2_train.insight.report_page import shown
from orn.stage2_train.predict.records import SegmentPrediction
from orn.stage2_train.predict.windows import likeliest_anywhere

_LANES = 6
"""Classes that have one, those that are the highest anywhere."""
_ACROSS = 1000
"""Columns of a drawing; what is shorter is drawn together."""
_HIGH = 24
_MOST_STRETCHES = 400


def timeline(
    moments: Sequence[SegmentPrediction],
    segments: Sequence[SegmentPrediction],
    classes: Sequence[str],
    *,
    address: Callable[[SegmentPrediction], str],
) -> str:
    """The timeline of one video.

    Args:
        moments: the stretches between borders of windows.
        segments: the same with equal neighbours merged.
        classes: names of the A activities.
        address: the `#...` that a stretch leads to.
    """
    start, stop = moments[0].start_seconds, moments[-1].stop_seconds
    per_second = _ACROSS / max(stop - start, 1e-9)
    stretches = "".join(
        f'<a href="{address(each)}" aria-label="{_words(each, classes)}">'
        f"<title>{_words(each, classes)}</title>"
        f'<rect x="{(each.start_seconds - start) * per_second:.1f}" y="1" '
        f'width="{max((each.stop_seconds - each.start_seconds) * per_second - 2, 1):.1f}" '
        f'height="{_HIGH - 2}" rx="2" fill="{_colour(each.labels)}"/></a>'
        for each in segments[:_MOST_STRETCHES]
    )
    names = ["<li>says</li>"]
    drawn = [_drawing(stretches, "")]
    for label, highest in likeliest_anywhere(moments, _LANES).items():
        says = f"{classes[label]}, at most {highest:.2f}"
        names.append(f"<li>{shown(classes[label], 60)}</li>")
        points = _outline(moments, label, start, per_second)
        area = f'<path d="{points}" fill="{_colour((label,))}"/>'
        drawn.append(_drawing(area, escape(printable(says[:200]), quote=True)))
    middle = (start + stop) / 2
    times = "".join(f"<span>{seconds:.2f} s</span>" for seconds in (start, middle, stop))
    return (
        f'<div class="timeline said"><ul>{"".join(names)}</ul>'
        f'<div class="strip">{"".join(drawn)}<p class="times">{times}</p></div></div>'
    )


def bars(chances_A: NDArray[np.float32], classes: Sequence[str], most: int) -> str:
    """The likeliest classes with bars, the highest first."""
    order = np.argsort(-chances_A, kind="stable")[:most].tolist()
    items = "".join(
        f'<li><span class="name">{shown(classes[row], 80)}</span>'
        f'<svg class="track" aria-hidden="true"><rect height="100%" '
        f'width="{100 * float(chances_A[row]):.1f}%" fill="{_colour((row,))}"/></svg>'
        f'<span class="value">{chances_A[row]:.2f}</span></li>'
        for row in order
    )
    return f'<ol class="scores said">{items}</ol>'


def _drawing(inside: str, says: str) -> str:
    role = f'role="img" aria-label="{says}"' if says else 'role="group" aria-label="Stretches"'
    box = f'viewBox="0 0 {_ACROSS} {_HIGH}" preserveAspectRatio="none"'
    return f"<svg {role} {box}>{inside}</svg>"


def _outline(
    moments: Sequence[SegmentPrediction], label: int, start: float, per_second: float
) -> str:
    """A path of steps; moments that begin in one column are drawn as the highest of them."""
    steps: dict[int, float] = {}
    for each in moments:
        column = round((each.start_seconds - start) * per_second)
        steps[column] = max(steps.get(column, 0.0), float(each.probabilities[label]))
    path = "".join(f"H{column}V{_HIGH * (1 - chance):.1f}" for column, chance in steps.items())
    return f"M0 {_HIGH}{path}H{_ACROSS}V{_HIGH}Z"


def _words(segment: SegmentPrediction, classes: Sequence[str]) -> str:
    """For those who do not see it, and for a pointer that rests on it."""
    says = segment.says(lambda label: classes[label][:80])
    return escape(printable(f"{segment.times('to')}: {says}"[:300]), quote=True)


def _colour(labels: Sequence[int]) -> str:
    return css_colour(class_colour(labels[0])) if labels else "#8888"
