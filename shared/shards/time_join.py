"""Which frame of detections belongs to a frame of the video, by their times.

Within the detections a frame takes those nearest to it, at most half of their interval away: on a
grid without gaps none is further, whatever the video's rate. Behind the last ones this is too
strict. FFmpeg's filter to 30 frames a second, which the authors' masks come from, ends up to 0.8 of
its interval before the last of 50 frames a second, and a whole one at 90, because the number of
either is whole. So there another question is asked: whether a whole mask is missing. The last one
stands until an interval after it, the last frame until one of its own after it, and the second end
has to lie less than a mask's interval behind the first; then the last detections count for all
frames after them. A frame that stands longer than a mask, as in a store of few frames a second,
counts as long as one. At one rate for both this allows nothing: the first frame without detections
lies a whole interval behind.

Where a rate selected the frames of detections (`orn.shared.video.frame_selection`), the interval of
that rate counts: no frame between selected ones is further away, however uneven the times are.

n times, D frames of detections, F frames of the video.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOLERANCE_SECONDS = 1e-6
"""Times are rounded float64; a frame exactly half an interval away still counts as near."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestFrames:
    """For n times the frames of detections nearest to them."""

    rows_n: NDArray[np.int64]
    """(n,) places among the detections, the earlier of two equally near."""
    gaps_n: NDArray[np.float64]
    """(n,) seconds in between; NaN for a time that is not a number."""
    limits_n: NDArray[np.float64]
    """(n,) how far they may be."""
    is_near_n: NDArray[np.bool_]
    """(n,) whether they belong together."""


def nearest_frames(
    seconds_D: NDArray[np.float64],
    wanted_n: NDArray[np.float64],
    *,
    interval: float,
    rate: float | None = None,
    video_F: NDArray[np.float64] | None = None,
) -> NearestFrames:
    """The frames of detections for some times.

    Args:
        seconds_D: their times, increasing, at least one.
        wanted_n: the times asked for.
        interval: seconds from one frame of detections to the next.
        rate: frames a second at which they were picked of the same video, if they were.
        video_F: times of all frames of the video, increasing; None where they are not known, which
            allows half an interval behind the last detections, too.
    """
    farthest = interval / 2
    if rate is not None:
        interval = farthest = 1 / rate
    last = len(seconds_D) - 1
    after_n = np.minimum(np.searchsorted(seconds_D, wanted_n), last)
    before_n = np.maximum(after_n - 1, 0)
    gap_before_n = np.abs(wanted_n - seconds_D[before_n])
    gap_after_n = np.abs(wanted_n - seconds_D[after_n])
    gaps_n = np.minimum(gap_before_n, gap_after_n)
    limits_n = np.full(gaps_n.shape, farthest)
    is_near_n = gaps_n <= limits_n + _TOLERANCE_SECONDS
    if video_F is not None and not is_near_n.all():  # seldom, and the video's interval takes time
        end = 2 * interval - min(frame_interval(video_F, otherwise=interval), interval)
        is_behind_n = wanted_n > seconds_D[last]
        limits_n[is_behind_n] = end
        is_near_n |= is_behind_n & (gaps_n < end - _TOLERANCE_SECONDS)
    return NearestFrames(
        rows_n=np.where(gap_before_n <= gap_after_n, before_n, after_n),
        gaps_n=gaps_n,
        limits_n=limits_n,
        is_near_n=is_near_n,
    )


def frame_interval(seconds_F: NDArray[np.float64], *, otherwise: float) -> float:
    """Seconds from frame to frame: the median, or `otherwise` where there are fewer than two."""
    return float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else otherwise
