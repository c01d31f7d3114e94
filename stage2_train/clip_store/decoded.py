"""Frames without a clip store, decoded from the videos on demand.

The interface is the same as for a store (`reader`), with the same frames, times and sizes. Pixels
are not compressed as JPEG unless requested. Decoding is slow: for each clip, the video is decoded
from a key frame before the clip.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache, cachedmethod
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.shared.video.random_access import VideoReader, VideoTimes
from orn.shared.video.read import content_digest, read_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame, rescaled
from orn.stage2_train.clip_store.motion_windows import MotionReader
from orn.stage2_train.clip_store.store_format import MAP_DTYPE, FailedClip, StoreSettings
from orn.stage2_train.clip_store.surroundings import window_places

_CACHE_BYTES = 256 * 2**20
"""Cache size per process for times of videos; an hour at 60 frames/s takes 3.5 MB."""
_RECORD_BYTES = 1000
"""Approximate size of a cache entry without its times."""


class ProcessCache(LRUCache[Any, Any]):
    """Cache of limited size in bytes for one process: a pickled copy is empty."""

    def __init__(self, most_bytes: int, size: Callable[[Any], int]) -> None:
        super().__init__(most_bytes, size)
        self.size = size

    def __reduce__(self) -> tuple[Any, ...]:
        return ProcessCache, (self.maxsize, self.size)

    def keep(self, key: Any, value: Any) -> None:
        """Add a value, unless it is larger than the cache."""
        with suppress(ValueError):
            self[key] = value


def _times_bytes(times: VideoTimes) -> int:
    return _RECORD_BYTES + times.size_bytes


def _one(reader: VideoReader | MotionReader) -> int:
    return 1


def _by_id(videos: "DecodedVideos", video: Video) -> str:
    return video.id


@dataclass(frozen=True, slots=True, eq=False)
class DecodedVideo:
    """The frames of one video, rescaled as in a store; see `ClipFrames`."""

    _video: Video
    _all: "DecodedVideos"

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder, which is read completely."""
        return content_digest(self._video.path)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing.

        Raises:
            VideoDecodeError: if the video cannot be decoded.
        """
        known = self._all.times(self._video).seconds
        return self._all.decoded_seconds(self._video) if known is None else known

    @property
    def known_seconds(self) -> NDArray[np.float64] | None:
        """(F,) float64 presentation times if they are known without decoding, otherwise None."""
        try:
            return self._all.times(self._video).seconds
        except VideoDecodeError:
            return None

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) uint8 RGB: the frames at these indices, or a window of each.

        Raises:
            VideoDecodeError: if a frame does not exist or cannot be decoded.
        """

        def picture(image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
            whole = self._all.picture(image_HW3)
            return whole if window is None else window.cut(whole)

        return self._pictures(frames_n, picture)

    def windows(self, frames_n: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, N, H, W, 3) uint8 RGB: the windows from which a video network computes the
        maps of the frames at these indices.

        Raises:
            ClipStoreError: if the settings have no maps of a video network.
            VideoDecodeError: if a frame cannot be decoded.
        """
        maps = self._all.settings.maps
        if maps is None or maps.window is None:
            raise ClipStoreError(
                f"{self._all.name}: expected settings with maps of a video network, got none"
            )
        window, seconds_F = maps.window, self.seconds
        slices = [window.slice_at(seconds) for seconds in seconds_F[frames_n].tolist()]
        places_nN = np.stack([window_places(seconds_F, index, window) for index in slices])
        images = self._pictures(places_nN.ravel(), self._all.uncompressed)
        return images.reshape(*places_nN.shape, *images.shape[1:])

    def _pictures(
        self,
        frames_n: NDArray[np.int64],
        picture: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) the pictures of the frames at these indices."""
        places = sorted(set(frames_n.tolist()))
        frames = self._all.reader(self._video).frames_at(places)
        pictures = {frame.index: picture(frame.image) for frame in frames}
        missing = [place for place in places if place not in pictures]
        if missing:
            raise VideoDecodeError(
                f"video {self._video.id}: expected frame {missing[0]} in {self._video.path}, got "
                f"{counted(len(self.seconds), 'frame')}"
            )
        return np.stack([pictures[place] for place in frames_n.tolist()])

    def motion(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return (n, C, h, w) float16: the motion maps of the frames at these indices, as a store
        contains them.

        Raises:
            ClipStoreError: if the settings include no motion.
            VideoDecodeError: if a frame cannot be decoded.
        """
        reader, seconds_F = self._all.motion_reader(self._video), self.seconds
        maps = {place: reader.mean(seconds_F[place]) for place in sorted(set(frames_n.tolist()))}
        return np.stack([maps[place] for place in frames_n.tolist()]).astype(MAP_DTYPE)

    def places_in(self, times: TimeRange) -> NDArray[np.int64]:
        """Return the indices of the frames in a time range; for errors, see `seconds`."""
        return np.arange(*times.places(self.seconds))

    def covers(self, times: TimeRange) -> bool:
        """Return True: all frames are available."""
        return True

    def is_empty(self, times: TimeRange) -> bool:
        """Return whether a time range contains no frames; False for whole videos, and if times are
        not known without decoding.

        Raises:
            VideoDecodeError: if the video cannot be opened.
        """
        if times == TimeRange():
            return False
        known_seconds_F = self._all.times(self._video).seconds
        if known_seconds_F is None:
            return False
        first, last = times.places(known_seconds_F)
        return first == last


class DecodedVideos:
    """Frames of a data set's videos, decoded on demand; see `ClipStore`."""

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        root: Path,
        settings: StoreSettings,
        as_stored: bool = False,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        """Initialize without opening videos.

        Args:
            videos: videos of the data set.
            root: their folder, for messages.
            settings: settings that a store would have.
            as_stored: whether to compress and decode frames as in a store, which gives the same
                pixels as the store.
            cache_bytes: cache size per process for times of videos.

        Raises:
            ClipStoreError: if the settings select only some frames.
        """
        if settings.rate is not None:
            raise ClipStoreError(
                "--no-clip-store requires settings that keep every frame, got "
                f"{settings.describe()}; store these frames with `orn clips`"
            )
        self.name = f"the videos under {root}"
        """Name in messages."""
        self.failed: tuple[FailedClip, ...] = ()
        """Always empty: errors occur when a video is read."""
        self._videos = {video.id: video for video in videos}
        self.settings = settings
        """Settings that a store would have."""
        self._as_stored = as_stored
        self._known = ProcessCache(cache_bytes, _times_bytes)
        self._decoded = ProcessCache(cache_bytes, attrgetter("nbytes"))
        self._readers = ProcessCache(1, _one)
        """The reader of the most recent video."""
        self._motion = ProcessCache(1, _one)
        """The reader of its motion."""

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def frames(self, video_id: str) -> DecodedVideo:
        """Return the frames of one video.

        Raises:
            ClipStoreError: if the video is missing.
        """
        video = self._videos.get(video_id)
        if video is None:
            raise ClipStoreError(f"{self.name}: no video {video_id}")
        return DecodedVideo(video, self)

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the rescaled frames."""
        return self.settings.size

    @cachedmethod(attrgetter("_known"), key=_by_id)
    def times(self, video: Video) -> VideoTimes:
        """Return the times of a video that are known without decoding."""
        return VideoTimes.of(video.path, rate=video.rate)

    @cachedmethod(attrgetter("_decoded"), key=_by_id)
    def decoded_seconds(self, video: Video) -> NDArray[np.float64]:
        """Return the times of a video by decoding it."""
        frames = read_frames(video.path, rate=video.rate, times=self.times(video).known)
        return np.array([frame.seconds for frame in frames], np.float64)

    def reader(self, video: Video) -> VideoReader:
        """Return a reader for a video. The reader of the last one is kept: if clips are read in
        order, a video that does not support seeking is decoded once."""
        if video.id not in self._readers:
            self._readers[video.id] = VideoReader(
                video.path, rate=video.rate, times=self.times(video), shrink=self.uncompressed
            )
        reader: VideoReader = self._readers[video.id]
        return reader

    def motion_reader(self, video: Video) -> MotionReader:
        """Return a reader for the motion of a video, which continues if clips are in order."""
        motion = self.settings.motion
        if motion is None:
            raise ClipStoreError(f"{self.name}: expected settings with motion, got none")
        if video.id not in self._motion:
            times = self.times(video)
            self._motion[video.id] = MotionReader(video.path, motion, rate=video.rate, times=times)
        reader: MotionReader = self._motion[video.id]
        return reader

    def picture(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a rescaled frame, compressed and decoded if `as_stored`."""
        if self._as_stored:
            return decode_jpeg(encode_frame(image_HW3, self.settings))
        return self.uncompressed(image_HW3)

    def uncompressed(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a rescaled frame."""
        return np.asarray(rescaled(image_HW3, self.settings))


DatasetFrames = ClipStore | DecodedVideos
"""The frames of a data set's videos, stored or decoded."""
