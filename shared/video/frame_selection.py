"""Select the frames of a video for detection or storage, by frame rate and time ranges. Axes: F
frames of a video, n selected frames.
"""

from collections.abc import Iterable, Iterator
from math import floor

import numpy as np
from numpy.typing import NDArray

from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame import Frame

_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def at_rate(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """Yield the frames nearest to the times s, s + 1 / rate, s + 2 / rate, ... where s is the time
    of the first frame; each at most once, so that a video with a lower rate is unchanged.

    Of two equally near frames, the earlier one is selected. The grid of times ends half an interval
    after the last frame, and covers the whole video even if only parts of it are used.

    Args:
        frames: frames in temporal order.
        rate: frames per second; None selects every frame.
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
    """Return the (n,) indices of the frames selected by `at_rate`, given all (F,) times."""
    times = enumerate(seconds_F.tolist())
    frames = (Frame(index=place, seconds=each, image=_NO_IMAGE) for place, each in times)
    return np.array([frame.index for frame in at_rate(frames, rate)], np.int64)


def describe_rate(rate: float | None) -> str:
    """Return a description of a rate in words."""
    return "every frame" if rate is None else f"{rate:g} frames per second"


def within(frames: Iterable[Frame], ranges: TimeRanges) -> Iterator[Frame]:
    """Yield the frames inside any of the ranges; stops reading after the last range."""
    for frame in frames:
        if frame.seconds >= ranges.end:
            return
        if frame.seconds in ranges:
            yield frame


def _last_tick(seconds: float, rate: float) -> int:
    """Return the number of the last grid time up to `seconds`, with a tolerance for rounding."""
    return floor(seconds * rate + 1e-9)
