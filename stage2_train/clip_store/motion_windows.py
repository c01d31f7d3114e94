"""Motion of the frames of a video, and its mean over windows of fixed duration, for a store or on
demand.

A frame that differs from the one before by no more than compression does is a repetition (as in
videos converted to a higher frame rate): the motion to the next different picture spans it. There
is no motion before the first frame and across gaps.

C channels, h w cells.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.video.frame import Frame
from orn.shared.video.read import known_seconds, read_frames
from orn.stage2_train.clip_store.motion import (
    MotionBetween,
    MotionMaps,
    gray_picture,
    is_similar,
)
from orn.stage2_train.clip_store.store_format import MotionSettings
from orn.stage2_train.settings.model_config import MOTION_CELLS, MOTION_CHANNELS

REPEATED_SECONDS = 0.2
"""Pictures that are similar for longer are still or move slowly: motion is again that of frames."""
_GAP_SECONDS = 0.5
"""Pictures further apart have no motion between them."""
_NEAR_SECONDS = 2.0
"""Decoding up to this distance is faster than seeking."""
_KEPT_SECONDS = 30.0
"""Motion that is kept, for windows of predictions that overlap."""


def motion_settings(cells: tuple[int, int] = MOTION_CELLS) -> MotionSettings:
    """Return the settings of motion maps of (h, w) cells."""
    return MotionSettings(shape=(MOTION_CHANNELS, *cells))


class MotionSequence:
    """Computes the (C, h, w) motion of each frame since the one before it; the first has none."""

    def __init__(self, cells: tuple[int, int] = MOTION_CELLS) -> None:
        """Initialize before the first frame of a video, for (h, w) cells.

        Raises:
            ConfigError: if there are more cells than pixels of the flow.
        """
        self._between = MotionBetween(cells)
        self._known: tuple[float, NDArray[np.uint8]] | None = None
        """Time and picture of the last frame whose motion is known."""
        self._waiting: list[tuple[float, NDArray[np.uint8]]] = []
        """Times and pictures of its repetitions since then."""
        self._since = 0.0
        """Time of the last frame that is no repetition."""

    def add(self, frame: Frame) -> list[tuple[float, MotionMaps]]:
        """Add a frame; return the times of frames whose motion is known now, with their motion."""
        gray, seconds = gray_picture(frame.image), frame.seconds
        before = self._waiting[-1] if self._waiting else self._known
        is_repetition = before is not None and is_similar(before[1], gray)
        if not is_repetition:
            self._since = seconds
        self._waiting.append((seconds, gray))
        if is_repetition and seconds - self._since <= REPEATED_SECONDS:
            return []
        return self.end()

    def end(self) -> list[tuple[float, MotionMaps]]:
        """Return the times of the frames whose motion is not yet known, with their motion."""
        if not self._waiting:
            return []
        last, motion = self._waiting[-1], self._between.none
        if self._known is not None and last[0] - self._known[0] <= _GAP_SECONDS:
            motion = self._between(self._known[1], last[1], last[0] - self._known[0])
        times = [seconds for seconds, _ in self._waiting]
        self._known, self._waiting = last, []
        return [(shown, motion) for shown in times]


class MotionWindows:
    """Means of motion over windows around given times; see `WatchedFrames`."""

    def __init__(self, settings: MotionSettings) -> None:
        """Initialize before the first frame."""
        self._sequence = MotionSequence(settings.shape[1:])
        self._half = settings.window_seconds / 2
        self._motion: deque[tuple[float, float, MotionMaps]] = deque()
        """Start, stop and motion of intervals."""
        self._until: float | None = None
        self._is_complete = False

    def add(self, frame: Frame) -> None:
        """Add the next decoded frame."""
        self.add_motion(self._sequence.add(frame))

    def end(self) -> None:
        """Note that there are no more frames."""
        self.add_motion(self._sequence.end())
        self._is_complete = True

    def add_motion(self, motion: Iterable[tuple[float, MotionMaps]]) -> None:
        """Add the times and motion of the next frames; see `MotionSequence`."""
        for seconds, maps in motion:
            start = seconds if self._until is None else self._until
            self._motion.append((start, seconds, maps))
            self._until = seconds

    def is_known(self, seconds: float) -> bool:
        """Return whether motion is known until the end of the window around a time."""
        has_ended = self._until is not None and self._until >= seconds + self._half
        return self._is_complete or has_ended

    def forget(self, seconds: float) -> None:
        """Forget the motion before the window around a time."""
        while self._motion and self._motion[0][1] <= seconds - self._half:
            self._motion.popleft()

    def at(self, seconds: float) -> MotionMaps:
        """Return the (C, h, w) mean over the window around a time, weighted by duration; without
        the parts that have no motion, and 0 if there are no others."""
        first, last = seconds - self._half, seconds + self._half
        total = np.zeros(self._motion[0][2].shape) if self._motion else np.zeros(())
        weight = 0.0
        for start, stop, motion in self._motion:
            overlap = min(stop, last) - max(start, first)
            if overlap > 0 and motion[-1].any():
                total += overlap * motion.astype(np.float64)
                weight += overlap
        return (total / weight if weight else total).astype(np.float32)


class MotionReader:
    """Reader of the mean motion around times of a video, the same wherever decoding begins."""

    def __init__(
        self,
        path: Path,
        settings: MotionSettings,
        *,
        rate: float | None = None,
    ) -> None:
        """Initialize without decoding; for the arguments, see `VideoReader`."""
        self._path, self._settings, self._rate = path, settings, rate
        self._known_F = known_seconds(path, rate=rate)
        self._valid_from = float("inf")
        """Start of the first window that can be computed without decoding earlier frames."""
        self._at = float("-inf")
        """Time of the last decoded frame."""

    def mean(self, seconds: float) -> MotionMaps:
        """Return the (C, h, w) mean motion in the window around the time of a frame.

        Raises:
            VideoDecodeError: if the video cannot be decoded.
        """
        is_far = self._known_F is not None and seconds - self._at > _NEAR_SECONDS
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
        if (seconds_F := self._known_F) is not None:
            # The last frame up to this time is preceded by more than the longest run of equal
            # pictures that motion may span.
            last = max(bisect_left(seconds_F, start, hi=len(seconds_F)) - 1, 0)
            first = max(bisect_left(seconds_F, seconds_F[last] - REPEATED_SECONDS) - 1, 0)
            self._valid_from = start if first else float("-inf")
        self._at = float("-inf")
        self._frames: Iterator[Frame] = read_frames(self._path, rate=self._rate, start=first)
