"""Maps of selected frames that depend on the frames around them, in one pass over a video."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from orn.shared.video.frame import Frame

Item = TypeVar("Item")


class Surroundings(Protocol):
    """Describes times of a video by the frames around them; holds a few frames in memory."""

    def add(self, frame: Frame) -> None:
        """Add the next decoded frame of the video."""

    def end(self) -> None:
        """Note that there are no more frames."""

    def is_known(self, seconds: float) -> bool:
        """Return whether all frames around a time have been added."""

    def forget(self, seconds: float) -> None:
        """Forget what is before the surroundings of a time."""

    def at(self, seconds: float) -> NDArray[Any]:
        """Return the (C, h, w) map of a time whose surroundings are known and not forgotten."""


class WatchedFrames:
    """The surroundings of some frames of a video, collected while all its frames pass through."""

    def __init__(self, frames: Iterable[Frame], surroundings: Mapping[str, Surroundings]) -> None:
        """Initialize with all decoded frames of a video, in order of time."""
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

    def beside(
        self, selected: Iterator[Item], seconds_of: Callable[[Item], float]
    ) -> Iterator[tuple[Item, dict[str, NDArray[Any]]]]:
        """Yield items selected from `frames`, with the maps of their times by name.

        Args:
            selected: items in order of time, each at the latest with the frame after its own.
            seconds_of: returns the time of an item.
        """
        for item in selected:
            self._waiting.append(item)
            yield from self._known(seconds_of)
        while self._waiting and next(self.frames, None) is not None:
            yield from self._known(seconds_of)
        yield from self._known(seconds_of)

    def _known(
        self, seconds_of: Callable[[Item], float]
    ) -> Iterator[tuple[Item, dict[str, NDArray[Any]]]]:
        while self._waiting and self._is_known(seconds := seconds_of(self._waiting[0])):
            self._forget(seconds)
            maps = {name: own.at(seconds) for name, own in self._surroundings.items()}
            yield self._waiting.popleft(), maps

    def _is_known(self, seconds: float) -> bool:
        return all(own.is_known(seconds) for own in self._surroundings.values())

    def _forget(self, seconds: float) -> None:
        for own in self._surroundings.values():
            own.forget(seconds)
