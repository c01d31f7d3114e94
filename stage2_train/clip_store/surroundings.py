"""Maps of selected frames that depend on the frames around them, in one pass over a video; those of
video networks are computed from windows of frames sampled by time.

F frames of a video, N frames of a window, H W pixels, C channels, h w cells.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from orn.shared.video.frame import Frame
from orn.stage2_train.settings.model_config import FrameWindow

Item = TypeVar("Item")


class WatchedFrames:
    """The surroundings of some frames of a video, collected while all its frames pass through."""

    def __init__(self, frames: Iterable[Frame], surroundings: Mapping[str, Any]) -> None:
        """Initialize with all decoded frames of a video, in order of time, and what describes times
        by the frames around them: `MotionWindows` or `WindowMaps`."""
        self._surroundings = surroundings
        self._waiting: deque[Any] = deque()
        self.frames: Iterator[Frame] = self._watched(frames)
        """The same frames, to be consumed instead."""

    def _watched(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        before = None
        for frame in frames:
            for own in self._surroundings.values():
                own.add(frame)
            yield frame
            # the frame before this one may still be selected; see `at_rate`
            if not self._waiting and before is not None:
                self._forget(before)
            before = frame.seconds
        for own in self._surroundings.values():
            own.end()

    def beside(self, selected: Iterator[Item]) -> Iterator[tuple[Item, dict[str, NDArray[Any]]]]:
        """Yield items selected from `frames`, with the maps of their times by name.

        Args:
            selected: items with a time (`seconds`), in order, each at the latest with the frame
                after its own.
        """
        for item in selected:
            self._waiting.append(item)
            yield from self._known()
        while self._waiting and next(self.frames, None) is not None:
            yield from self._known()
        yield from self._known()

    def _known(self) -> Iterator[tuple[Any, dict[str, NDArray[Any]]]]:
        while self._waiting and self._is_known(seconds := self._waiting[0].seconds):
            self._forget(seconds)
            maps = {name: own.at(seconds) for name, own in self._surroundings.items()}
            yield self._waiting.popleft(), maps

    def _is_known(self, seconds: float) -> bool:
        return all(own.is_known(seconds) for own in self._surroundings.values())

    def _forget(self, seconds: float) -> None:
        for own in self._surroundings.values():
            own.forget(seconds)


def window_indices(
    seconds_F: NDArray[np.float64], slice_index: int, window: FrameWindow
) -> NDArray[np.int64]:
    """Return the (N,) indices of the frames of the window around a slice: those nearest to its
    times, of two the earlier one.

    Args:
        seconds_F: times of frames, increasing; those of a part of a video suffice if it contains
            the window.
        slice_index: index of the slice.
        window: the window.
    """
    seconds_N = window.first_second(slice_index) + np.arange(window.frames) / window.rate
    after_N = np.searchsorted(seconds_F, seconds_N).clip(max=len(seconds_F) - 1)
    before_N = (after_N - 1).clip(min=0)
    is_before_N = seconds_N - seconds_F[before_N] <= seconds_F[after_N] - seconds_N
    return np.where(is_before_N, before_N, after_N)


class WindowMaps:
    """Maps of frames from the windows around them; see `WatchedFrames`. Holds one window."""

    def __init__(
        self,
        window: FrameWindow,
        shrink: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        map_of: Callable[[NDArray[np.uint8]], NDArray[Any]],
    ) -> None:
        """Initialize without frames.

        Args:
            window: the window.
            shrink: returns the (H, W, 3) pixels that the network reads of the image of a frame.
            map_of: returns the (C, h, w) map of an (N, H, W, 3) uint8 RGB window.
        """
        self._window, self._shrink, self._map_of = window, shrink, map_of
        self._seconds: deque[float] = deque()
        self._images: deque[NDArray[np.uint8]] = deque()
        self._is_complete = False
        self._last: tuple[int, NDArray[Any]] | None = None
        """The last slice with a map."""

    def add(self, frame: Frame) -> None:
        """Add the next frame."""
        self._seconds.append(frame.seconds)
        self._images.append(self._shrink(frame.image))

    def end(self) -> None:
        """Note that there are no more frames."""
        self._is_complete = True

    def is_known(self, seconds: float) -> bool:
        """Return whether all frames of the window around a time have been added."""
        last = self._first_second(seconds) + (self._window.frames - 1) / self._window.rate
        return self._is_complete or (bool(self._seconds) and self._seconds[-1] >= last)

    def forget(self, seconds: float) -> None:
        """Forget the frames before the window around a time."""
        first = self._first_second(seconds)
        while len(self._seconds) > 1 and self._seconds[1] <= first:
            self._seconds.popleft()
            self._images.popleft()

    def at(self, seconds: float) -> NDArray[Any]:
        """Return the (C, h, w) map of a frame with this time, the same for all of a slice."""
        index = self._window.slice_at(seconds)
        if self._last is None or self._last[0] != index:
            indices_N = window_indices(np.array(self._seconds), index, self._window)
            window_NHW3 = np.stack([self._images[row] for row in indices_N.tolist()])
            self._last = index, self._map_of(window_NHW3)
        return self._last[1]

    def _first_second(self, seconds: float) -> float:
        return self._window.first_second(self._window.slice_at(seconds))
