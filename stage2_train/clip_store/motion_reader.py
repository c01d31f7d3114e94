"""Motion around any frames of a video, decoded on demand."""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from orn.shared.video.random_access import VideoTimes
from orn.shared.video.read import Frame, read_frames
from orn.stage2_train.clip_store.motion import MotionMaps
from orn.stage2_train.clip_store.motion_windows import REPEATED_SECONDS, MotionWindows
from orn.stage2_train.clip_store.store_format import MotionSettings

_NEAR_SECONDS = 2.0
"""Decoding up to this distance is faster than seeking."""
_KEPT_SECONDS = 30.0
"""Motion that is kept, for windows of predictions that overlap."""


class MotionReader:
    """Reader of the mean motion around times of a video, the same wherever decoding begins."""

    def __init__(
        self,
        path: Path,
        settings: MotionSettings,
        *,
        times: VideoTimes,
        rate: float | None = None,
    ) -> None:
        """Initialize without decoding; for the arguments, see `VideoReader`."""
        self._path, self._settings, self._times, self._rate = path, settings, times, rate
        self._valid_from = float("inf")
        """Start of the first window that can be computed without decoding earlier frames."""
        self._at = float("-inf")
        """Time of the last decoded frame."""

    def mean(self, seconds: float) -> MotionMaps:
        """Return the (C, h, w) mean motion in the window around the time of a frame.

        Raises:
            VideoDecodeError: if the video cannot be decoded.
        """
        is_far = self._times.seconds is not None and seconds - self._at > _NEAR_SECONDS
        start = seconds - self._settings.window_seconds / 2
        if start < self._valid_from or is_far:
            self._begin(start)
        while not self._windows.is_known(seconds):
            frame = next(self._frames, None)
            if frame is None:
                self._windows.end()
                break
            self._windows.add(frame)
            self._at = frame.seconds
        oldest = min(start, self._at - _KEPT_SECONDS)
        if oldest > self._valid_from:
            self._valid_from = oldest
            self._windows.forget(oldest + self._settings.window_seconds / 2)
        return self._windows.at(seconds)

    def _begin(self, start: float) -> None:
        """Decode from a frame before a time on, so that motion is right from this time on."""
        self._windows = MotionWindows(self._settings)
        self._valid_from, first = float("-inf"), 0
        if (seconds_F := self._times.seconds) is not None:
            # The last frame up to this time is preceded by more than the longest run of equal
            # pictures that motion may span.
            last = max(bisect_left(seconds_F, start, hi=len(seconds_F)) - 1, 0)
            first = max(bisect_left(seconds_F, seconds_F[last] - REPEATED_SECONDS) - 1, 0)
            self._valid_from = start if first else float("-inf")
        self._at = float("-inf")
        self._frames: Iterator[Frame] = read_frames(
            self._path, rate=self._rate, start=first, times=self._times.known
        )
