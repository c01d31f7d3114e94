"""Frames without a clip store: decoded from the videos whenever a clip asks for them.

They are read as those of a store are (`reader`). Frames, times and sizes are those that a store
would have; the pixels are those before JPEG, unless those after it are asked for. What it costs is
decoding: a clip takes as long as the stretch of video before its frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache, cachedmethod
from numpy.typing import NDArray

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import content_digest, read_frames
from orn.shared.video.reader import VideoReader, VideoTimes
from orn.stage2_train.frames.crop import CropWindow
from orn.stage2_train.frames.jpeg import decode_jpeg, encode_frame, rescaled
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import FailedClip, StoreSettings

_CACHE_BYTES = 256 * 2**20
"""Memory for times of videos, in each process; an hour at 60 frames a second takes 3.5 MB."""
_RECORD_BYTES = 1000
"""What a video counts for in it beside its times."""


def _by_id(videos: "DecodedVideos", video: Video) -> str:
    return video.id


@dataclass(frozen=True, slots=True, eq=False)
class DecodedVideo:
    """The frames of one video, rescaled as a store would have them; see `ClipFrames`."""

    _video: Video
    _all: "DecodedVideos"

    @property
    def id(self) -> str:
        """Id of the manifest."""
        return self._video.id

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder; reads all of it."""
        return content_digest(source_of(self._video))

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing.

        Raises:
            VideoDecodeError: if nothing can be decoded.
        """
        told = self._all.times(self._video).seconds
        return self._all.decoded_seconds(self._video) if told is None else told

    @property
    def known_seconds(self) -> NDArray[np.float64] | None:
        """The same where they are told without decoding; else None."""
        try:
            return self._all.times(self._video).seconds
        except VideoDecodeError:
            return None

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places.

        Raises:
            VideoDecodeError: if a frame does not exist, or can no longer be decoded.
        """
        wanted = sorted(set(frames_n.tolist()))
        found = {}
        for frame in self._all.reader(self._video).frames_at(wanted):
            picture = self._all.picture(frame.image)
            found[frame.index] = picture if window is None else window.cut(picture)
        missing = [place for place in wanted if place not in found]
        if missing:
            raise VideoDecodeError(
                f"video {self.id}: wanted frame {missing[0]} of {self._video.path}, found none; "
                f"it has {counted(len(self.seconds), 'frame')}"
            )
        return np.stack([found[place] for place in frames_n.tolist()])

    def covers(self, times: TimeRange) -> bool:
        """True: nothing was left out."""
        return True

    def is_empty(self, times: TimeRange) -> bool:
        """Whether no frame lies in a time range; False where only decoding tells, and for a whole
        video, which has frames if it can be decoded.

        Raises:
            VideoDecodeError: if the video cannot be opened.
        """
        if times == TimeRange():
            return False
        told_seconds_F = self._all.times(self._video).seconds
        if told_seconds_F is None:
            return False
        first, last = times.places(told_seconds_F)
        return first == last


class DecodedVideos:
    """Frames of a data set's videos, decoded when they are asked for; see `ClipStore`."""

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        root: Path,
        settings: StoreSettings,
        as_stored: bool = False,
        in_order: bool = False,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: of the data set.
            root: where they lie, for messages.
            settings: of the store that there would be.
            as_stored: whether frames are compressed as in a store and decoded again, so that all
                their pixels are those of the store.
            in_order: whether clips come video by video in the order of time, so that a video in
                which frames cannot be sought is decoded once, if at all possible.
            cache_bytes: memory for times of videos, in each process.

        Raises:
            ClipStoreError: if not every frame is wanted.
        """
        if settings.rate is not None:
            raise ClipStoreError(
                "decoding without a clip store: wanted every frame, "
                f"found {settings.describe()}; store them with `orn clips`"
            )
        self.name = f"the videos under {root}"
        """What to call it in messages."""
        self.failed: tuple[FailedClip, ...] = ()
        """None: that a video cannot be decoded shows when it is asked for."""
        self._videos = {video.id: video for video in videos}
        self._settings = settings
        self._as_stored = as_stored
        self._in_order = in_order
        self._cache_bytes = cache_bytes
        self._forget()

    def _forget(self) -> None:
        """Start with empty caches: times of videos, and the reader of the latest one."""
        size = lambda times: _RECORD_BYTES + times.size_bytes  # noqa: E731
        self._told: LRUCache[str, VideoTimes] = LRUCache(self._cache_bytes, getsizeof=size)
        self._decoded: LRUCache[str, NDArray[np.float64]]
        self._decoded = LRUCache(self._cache_bytes, getsizeof=attrgetter("nbytes"))
        self._latest: tuple[str, VideoReader] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: a copy in another process reads for itself."""
        read = ("_told", "_decoded", "_latest")
        return {name: value for name, value in self.__dict__.items() if name not in read}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def frames(self, video_id: str) -> DecodedVideo:
        """The frames of one video.

        Raises:
            ClipStoreError: if the data set does not have it.
        """
        video = self._videos.get(video_id)
        if video is None:
            raise ClipStoreError(f"{self.name}: wanted video {video_id}, there is none")
        return DecodedVideo(video, self)

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the frames of a video, which is opened where its shape counts.

        Raises:
            ClipStoreError: if the data set does not have it.
            VideoDecodeError: if it cannot be decoded, or its shape gives a frame that is too large.
        """
        if isinstance(self._settings.size, tuple):
            return self._settings.size
        return self.frames(video_id).read(np.zeros(1, np.int64)).shape[1:3]

    @cachedmethod(attrgetter("_told"), key=_by_id)
    def times(self, video: Video) -> VideoTimes:
        """Return the times of a video, as far as they are told without decoding."""
        return VideoTimes.of(source_of(video), rate=video.rate)

    @cachedmethod(attrgetter("_decoded"), key=_by_id)
    def decoded_seconds(self, video: Video) -> NDArray[np.float64]:
        """Return the times of a video by decoding it."""
        frames = read_frames(video.path, rate=video.rate, times=self.times(video).known)
        return np.array([frame.seconds for frame in frames], np.float64)

    def reader(self, video: Video) -> VideoReader:
        """Return a reader of a video: the one before, where clips come in order."""
        options: dict[str, Any] = {"rate": video.rate, "times": self.times(video)}
        if not self._in_order:
            return VideoReader(video.path, kept_bytes=0, **options)
        if self._latest is None or self._latest[0] != video.id:
            settings = self._settings
            shrink = lambda image_HW3: np.asarray(rescaled(image_HW3, settings))  # noqa: E731
            self._latest = video.id, VideoReader(video.path, shrink=shrink, **options)
        return self._latest[1]

    def picture(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a frame as a store would have it."""
        if self._as_stored:
            return decode_jpeg(encode_frame(image_HW3, self._settings))
        return np.asarray(rescaled(image_HW3, self._settings))


DatasetFrames = ClipStore | DecodedVideos
"""The frames of a data set's videos, stored or decoded."""
