"""The scale of logit drops in pictures, pages and videos: a drop of `FULL_DROP` has the full line
width, and smaller drops than `LEAST_DROP` are not shown."""

LEAST_DROP, FULL_DROP = 0.02, 1.0
_WIDEST, _THINNEST = 0.03, 0.004
"""Largest and smallest line width, relative to the frame's height."""


def matters(drop: float) -> bool:
    """Return whether a logit change is large enough to be shown."""
    return abs(drop) >= LEAST_DROP


def line_width(drop: float, height: int) -> int:
    """Return the line width in pixels for a logit drop, in frames of this height in pixels."""
    share = min(abs(drop) / FULL_DROP, 1.0)
    return max(1, round(height * (_THINNEST + (_WIDEST - _THINNEST) * share)))
