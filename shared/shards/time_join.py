"""Assignment of detections to frames of a video, by time.

A frame is assigned the detections nearest to it, up to half a detection interval away, which always
holds on a grid without gaps.

After the last detections this limit is too strict: FFmpeg's filter to 30 frames per second, the
source of the authors' masks, ends up to 0.8 intervals before the last frame of a video at 50 frames
per second, and a whole interval at 90. There, the condition is that no mask is missing. The last
mask lasts for one mask interval, and the last frame for one frame interval (at most a mask
interval). If these ends are less than a mask interval apart, the last detections apply to all later
frames. At equal rates this has no effect, since the first frame without detections is a whole
interval late.

Time stamps may have gaps, so that a distance in time is long although no mask is missing: DivX
files begin with the times 1, 4, 5, 6, ... thirtieths of a second. A frame beyond the limit is
therefore accepted if the detections before and after it are the usual number of frames apart,
counted in the decoded video; before the first detections, if these are at most half of this number
from the start; after the last ones, if it is less than this number away.

If the frames for detection were selected by a rate (`orn.shared.video.frame`), the
interval of that rate is the limit, since uneven times never exceed it; or half a detection
interval, if imported detections are farther apart.

Axes: n times, D frames with detections, F frames of the video.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS = 1.5
"""Distance of detections, in usual distances, from which detections between them are missing."""
_TOLERANCE_SECONDS = 1e-6
"""Tolerance for rounded times; a distance of exactly half an interval is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestFrames:
    """The frames with detections nearest to n times."""

    rows_n: NDArray[np.int64]
    """(n,) indices of the detections; the earlier of two equally near frames."""
    gaps_n: NDArray[np.float64]
    """(n,) distances in seconds; NaN for a NaN time."""
    limits_n: NDArray[np.float64]
    """(n,) maximum distances in seconds."""
    is_near_n: NDArray[np.bool_]
    """(n,) whether the distance is within the limit, or no detections are missing between."""


def nearest_frames(
    seconds_D: NDArray[np.float64],
    times_n: NDArray[np.float64],
    *,
    interval: float,
    rate: float | None = None,
    video_F: NDArray[np.float64] | None = None,
    index_D: NDArray[np.int64] | None = None,
) -> NearestFrames:
    """Return the nearest frames with detections for given times.

    Args:
        seconds_D: (D,) increasing times of the detections, at least one.
        times_n: (n,) times.
        interval: seconds between frames with detections.
        rate: frames per second at which they were selected from the video, if any.
        video_F: (F,) increasing times of all frames of the video; None: unknown; the limit after
            the last detections is then half an interval.
        index_D: (D,) indices of the detections in the decoded video; None: unknown; gaps in its
            time stamps are then not accepted.
    """
    farthest = interval / 2
    if rate is not None:
        interval = farthest = max(farthest, 1 / rate)
    last = len(seconds_D) - 1
    after_n = np.minimum(np.searchsorted(seconds_D, times_n), last)
    before_n = np.maximum(after_n - 1, 0)
    gap_before_n = np.abs(times_n - seconds_D[before_n])
    gap_after_n = np.abs(times_n - seconds_D[after_n])
    gaps_n = np.minimum(gap_before_n, gap_after_n)
    limits_n = np.full(gaps_n.shape, farthest)
    is_near_n = gaps_n <= limits_n + _TOLERANCE_SECONDS
    if video_F is not None and not is_near_n.all():  # rare; the median interval is slow
        end = 2 * interval - min(frame_interval(video_F, otherwise=interval), interval)
        is_behind_n = times_n > seconds_D[last]
        limits_n[is_behind_n] = end
        is_near_n |= is_behind_n & (gaps_n < end - _TOLERANCE_SECONDS)
    if index_D is not None and not is_near_n.all():
        is_near_n |= _is_covered(seconds_D, index_D, times_n, video_F)
    return NearestFrames(
        rows_n=np.where(gap_before_n <= gap_after_n, before_n, after_n),
        gaps_n=gaps_n,
        limits_n=limits_n,
        is_near_n=is_near_n,
    )


def _is_covered(
    seconds_D: NDArray[np.float64],
    index_D: NDArray[np.int64],
    times_n: NDArray[np.float64],
    video_F: NDArray[np.float64] | None,
) -> NDArray[np.bool_]:
    """Return (n,) whether no detections are missing near the times, in numbers of frames."""
    steps = np.diff(index_D)
    if not len(steps):
        return np.zeros(times_n.shape, np.bool_)
    usual = int(np.sort(steps)[(len(steps) - 1) // 2])
    is_whole = np.array([index_D[0] <= usual / 2, *(steps < _MOST_STEPS * usual), False])
    is_covered_n = is_whole[np.searchsorted(seconds_D, times_n)]
    last = index_D[-1]
    if video_F is not None and last < len(video_F) and video_F[last] == seconds_D[-1]:
        behind_n = np.searchsorted(video_F, times_n, side="right") - 1 - last
        is_covered_n |= (times_n > seconds_D[-1]) & (behind_n < usual)
    return is_covered_n


def frame_interval(seconds_F: NDArray[np.float64], *, otherwise: float) -> float:
    """Return the median interval in seconds, or `otherwise` for fewer than two frames."""
    return float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else otherwise
