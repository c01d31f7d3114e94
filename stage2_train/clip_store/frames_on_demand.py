"""The frames of a video without a clip store, decoded on demand, for predictions.

F frames of the video that a store would contain, n selected frames, N frames of a window, H W
pixels, C channels, h w cells.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import indices_at_rate, seconds_per_frame
from orn.shared.video.read import VideoReader, seconds_of_frames
from orn.stage2_train.clip_store.clip_store import ClipFrames, ClipStore
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clip_store.frame_maps import MAPPED_FRAMES, FrameMapper
from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame, rescaled
from orn.stage2_train.clip_store.motion_windows import MotionReader
from orn.stage2_train.clip_store.store_format import MAP_DTYPE, StoreSettings
from orn.stage2_train.clip_store.surroundings import window_indices

_KEPT_BYTES = 32 * 2**20
"""Size of the maps, and of the motion maps, that are kept for windows that overlap."""


class DecodedVideo:
    """A video as a source of clips, with the same times, pixels and maps as a clip store with the
    same settings; see `ClipStore` and `ClipFrames`. It has the frames at the rate of the store,
    also if the store has only the center frames of segments."""

    name = "the video"

    def __init__(
        self, video: Video, settings: StoreSettings, mapper: FrameMapper | None = None
    ) -> None:
        """Read the times of the frames, or decode the video if it does not contain them.

        Args:
            video: the video.
            settings: settings of the store.
            mapper: computes the maps of frames; None if these are not read.

        Raises:
            VideoDecodeError: if the video cannot be decoded.
        """
        decoded_seconds = seconds_of_frames(video.path, rate=video.rate)
        self.decoded_seconds = decoded_seconds
        """Presentation times of all frames of the video."""
        self._index_F = np.arange(len(decoded_seconds))
        if settings.rate is not None:
            self._index_F = indices_at_rate(decoded_seconds, settings.rate)
        self.seconds = decoded_seconds[self._index_F]
        """(F,) float64 presentation times, increasing."""
        self._video, self._settings = video, settings
        self._reader = VideoReader(
            video.path,
            rate=video.rate,
            shrink=lambda image_HW3: np.asarray(rescaled(image_HW3, settings)),
        )
        self._mapper = mapper
        self._maps: LRUCache[int, NDArray[Any]] = LRUCache(_KEPT_BYTES, lambda maps: maps.nbytes)
        self._motions: LRUCache[int, NDArray[Any]] = LRUCache(_KEPT_BYTES, lambda maps: maps.nbytes)
        self._motion: MotionReader | None = None
        if settings.motion is not None:
            self._motion = MotionReader(video.path, settings.motion, rate=video.rate)

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the rescaled frames."""
        return self._settings.size

    def frames(self, video_id: str) -> "DecodedVideo":
        """Return the frames of the only video."""
        return self

    @property
    def frame_seconds(self) -> float:
        """Mean seconds from a frame of the video to the next; see `seconds_per_frame`."""
        return seconds_per_frame(self._index_F, self.seconds)

    def indices_in(self, times: TimeRange) -> NDArray[np.int64]:
        """Return the indices of the frames in a time range."""
        return np.arange(*times.rows(self.seconds))

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) uint8 RGB: the frames at these indices, or a window of each.

        Raises:
            VideoDecodeError: if a frame does not exist or cannot be decoded.
        """

        def picture(image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
            whole = decode_jpeg(encode_frame(image_HW3, self._settings))
            return whole if window is None else window.cut(whole)

        return self._pictures(self._index_F[frames_n], picture)

    def maps(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return (n, C, h, w) float16: the maps of the frames at these indices, computed in the
        batches of a clip store.

        Raises:
            VideoDecodeError: if a frame cannot be decoded.
        """
        batches = {number: self._mapped(number) for number in sorted({*frames_n // MAPPED_FRAMES})}
        rows = [batches[index // MAPPED_FRAMES][index % MAPPED_FRAMES] for index in frames_n]
        return np.stack(rows)

    def _mapped(self, number: int) -> NDArray[Any]:
        """Return the maps of a batch of frames, computed once while it is kept."""
        assert self._mapper is not None, "a video without a network"
        if (maps := self._maps.get(number)) is None:
            first = number * MAPPED_FRAMES
            frames = np.arange(first, min(first + MAPPED_FRAMES, len(self.seconds)))
            are_windows = self._settings.maps is not None and self._settings.maps.window is not None
            maps = self._mapper(self.windows(frames) if are_windows else self.read(frames))
            self._maps[number] = maps
        return maps

    def windows(self, frames_n: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, N, H, W, 3) uint8 RGB: the windows from which a video network computes the
        maps of the frames at these indices.

        Raises:
            VideoDecodeError: if a frame cannot be decoded.
        """
        maps = self._settings.maps
        assert maps is not None and maps.window is not None, "settings without a video network"
        window, seconds_D = maps.window, self.decoded_seconds
        slices = [window.slice_at(seconds) for seconds in self.seconds[frames_n].tolist()]
        indices_nN = np.stack([window_indices(seconds_D, index, window) for index in slices])
        images = self._pictures(indices_nN.ravel(), lambda image_HW3: image_HW3)
        return images.reshape(*indices_nN.shape, *images.shape[1:])

    def _pictures(
        self,
        indices_n: NDArray[np.int64],
        picture: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) the pictures of the decoded frames at these indices."""
        indices = sorted(set(indices_n.tolist()))
        frames = self._reader.frames_at(indices)
        pictures = {frame.index: picture(frame.image) for frame in frames}
        missing = [index for index in indices if index not in pictures]
        if missing:
            raise VideoDecodeError(
                f"video {self._video.id}: expected frame {missing[0]} in {self._video.path}, got "
                f"{counted(len(self.decoded_seconds), 'frame')}"
            )
        return np.stack([pictures[index] for index in indices_n.tolist()])

    def motion(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return (n, C, h, w) float16: the motion maps of the frames at these indices.

        Raises:
            VideoDecodeError: if a frame cannot be decoded.
        """
        reader = self._motion
        assert reader is not None, "settings without motion"
        for index in sorted({*frames_n.tolist()} - self._motions.keys()):
            self._motions[index] = reader.mean(self.seconds[index]).astype(MAP_DTYPE)
        return np.stack([self._motions[index] for index in frames_n.tolist()])


DatasetFrames = ClipStore | DecodedVideo
"""The frames of videos, stored or decoded."""
VideoFrames = ClipFrames | DecodedVideo
"""The frames of one video."""
