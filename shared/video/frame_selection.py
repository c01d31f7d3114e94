"""Which frames of a video are detected or stored: those that a rate picks, in some ranges of time.

F frames of a video, n that are picked.
"""

from collections.abc import Iterable, Iterator
from math import floor

import numpy as np
from numpy.typing import NDArray

from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame import Frame

_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def at_rate(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """The frames nearest to the times s, s + 1 / rate, s + 2 / rate, ... where s is the first
    frame's time; each once, so that a lower rate of the video is kept as it is.

    Of two frames equally near to a time, the earlier one is taken. The grid ends half an interval
    after the last frame. It belongs to the whole video, whatever is kept of it later.

    Args:
        frames: in order of time.
        rate: times a second; None keeps every frame.
    """
    if rate is None:
        yield from frames
        return
    remaining = iter(frames)
    before = next(remaining, None)
    if before is None:
        return
    origin, taken, half_interval = before.seconds, -1, 0.0
    for frame in remaining:
        half_interval = (frame.seconds - before.seconds) / 2
        last = _last_tick(before.seconds + half_interval - origin, rate)
        if last > taken:
            yield before
            taken = last
        before = frame
    if _last_tick(before.seconds + half_interval - origin, rate) > taken:
        yield before


def places_at_rate(seconds_F: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Return the (n,) places of the frames that `at_rate` picks, by the (F,) times of all."""
    times = enumerate(seconds_F.tolist())
    frames = (Frame(index=place, seconds=each, image=_NO_IMAGE) for place, each in times)
    return np.array([frame.index for frame in at_rate(frames, rate)], np.int64)


def describe_rate(rate: float | None) -> str:
    """Return a rate in words."""
    return "every frame" if rate is None else f"{rate:g} frames a second"


def within(frames: Iterable[Frame], ranges: TimeRanges) -> Iterator[Frame]:
    """The frames whose time lies in one of the ranges; stops reading after the last range."""
    for frame in frames:
        if frame.seconds >= ranges.end:
            return
        if frame.seconds in ranges:
            yield frame


def _last_tick(seconds: float, rate: float) -> int:
    """Number of the last time of the grid that is not after `seconds`, but for rounding."""
    return floor(seconds * rate + 1e-9)
