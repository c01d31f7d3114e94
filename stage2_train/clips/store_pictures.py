"""Frames from a clip store as backgrounds for the masks in a shard."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import JoinError
from orn.shared.inspect.pictures import nearest_places
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.stage2_train.frames.reader import ClipStore


class StorePictures:
    """Implementation of `orn.shared.inspect.pictures.Pictures`; frames are rescaled to the aspect
    ratio of the detections' grid.

    Raises:
        ClipStoreError: see `ClipStore`.
    """

    def __init__(self, path: Path) -> None:
        self._store = ClipStore(path)
        self.name = self._store.name

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """Yield the stored frame nearest to each time, or None if none is within a frame interval.

        Raises:
            JoinError: if the store's frames are from a different file.
            ClipStoreError: if the video is missing or a frame is corrupt.
        """
        stored = self._store.frames(video.id)
        if video.source_digest not in (UNKNOWN_SOURCE, stored.source_digest):
            raise JoinError(
                f"{self.name}: its frames are from a different file than the detections; run `orn "
                "clips` again with --fresh"
            )
        height, _ = stored.stored_size
        size = (max(round(height * video.width / video.height), 1), height)
        for place in nearest_places(stored.seconds, seconds_n, farthest=1 / video.rate):
            if place is None:
                yield None
            else:
                yield np.asarray(cv2.resize(stored.read(np.array([place]))[0], size), np.uint8)
