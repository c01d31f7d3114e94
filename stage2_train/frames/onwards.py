"""Frames of a video in which none can be sought, for clips that come in the order of time."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orn.shared.video.read import Frame

_KEPT_BYTES = 128 * 2**20
"""Of pictures behind the last one that was asked for: those of 680 frames of 256 x 256."""


class OnwardReader:
    """Decodes a video once, onwards, while each clip begins no further back than what is kept."""

    def __init__(
        self,
        begin: Callable[[], Iterator[Frame]],
        shrink: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        *,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        """Opens nothing yet.

        Args:
            begin: gives the frames from the first one on.
            shrink: makes of a picture what is kept of it.
            kept_bytes: memory for that.
        """
        self._begin = begin
        self._shrink = shrink
        self._kept_bytes = kept_bytes
        self._frames: Iterator[Frame] = iter(())
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._next = self._bytes = 0
        self._restart()

    def read(self, places: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
        """Pictures at some places, rising; those behind the end of the video are not among them.

        Raises:
            VideoDecodeError: as `read_frames`.
        """
        if places[0] < next(iter(self._kept), self._next):
            self._restart()
        wanted = set(places)
        found = {place: self._kept[place] for place in places if place in self._kept}
        while self._next <= places[-1] and (frame := next(self._frames, None)) is not None:
            picture = self._shrink(frame.image)
            self._kept[frame.index] = picture
            self._bytes += picture.nbytes
            self._next = frame.index + 1
            if frame.index in wanted:
                found[frame.index] = picture
            while self._bytes > self._kept_bytes:
                self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return found

    def _restart(self) -> None:
        self._frames = self._begin()
        self._kept = {}
        self._next = self._bytes = 0
