"""Frames without a clip store: decoded from the videos whenever a clip asks for them.

They are read as those of a store are (`reader`). Frames, times and sizes are those that a store
would have; the pixels are those before JPEG, unless those after it are asked for. What it costs is
decoding: a clip takes as long as the stretch of video before its frames.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Times:
    """What is known of the times of a video."""

    told: VideoTimes
    seconds: NDArray[np.float64] | None
    """(F,); None where only decoding tells, and nobody has asked yet."""

    @property
    def size_bytes(self) -> int:
        """Memory that they take."""
        decoded = 0 if self.seconds is None else self.seconds.nbytes
        return _RECORD_BYTES + (self.told.size_bytes or decoded)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedVideo:
    """The frames of one video, rescaled as a store would have them; see `ClipFrames`."""

    _video: Video
    _settings: StoreSettings
    _kept: "LRUCache[str, _Times]"
    """Times of videos, by id: training asks for videos in random order."""
    _as_stored: bool = False
    """Whether pixels are those after JPEG."""
    _readers: dict[str, VideoReader] | None = None
    """That of the latest video; None where clips come in any order."""

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
        times = self._times()
        if times.seconds is not None:
            return times.seconds
        video = self._video
        frames = read_frames(video.path, rate=video.rate, times=times.told.known)
        seconds_F = np.array([frame.seconds for frame in frames], np.float64)
        self._keep(_Times(told=times.told, seconds=seconds_F))
        return seconds_F

    @property
    def told_seconds(self) -> NDArray[np.float64] | None:
        """The same where they are told without decoding; else None."""
        try:
            return self._times().told.seconds
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
        for frame in self._reader().frames_at(wanted):
            picture = self._picture(frame.image)
            found[frame.index] = picture if window is None else window.cut(picture)
        missing = [place for place in wanted if place not in found]
        if missing:
            raise VideoDecodeError(
                f"video {self.id}: wanted frame {missing[0]} of {self._video.path}, found none; "
                f"it has {counted(len(self.seconds), 'frame')}"
            )
        return np.stack([found[place] for place in frames_n.tolist()])

    def _reader(self) -> VideoReader:
        video, times = self._video, self._times().told
        if self._readers is None:
            return VideoReader(video.path, rate=video.rate, times=times, kept_bytes=0)
        if self.id not in self._readers:
            self._readers.clear()
            settings = self._settings
            self._readers[self.id] = VideoReader(
                video.path,
                rate=video.rate,
                times=times,
                shrink=lambda image_HW3: np.asarray(rescaled(image_HW3, settings)),
            )
        return self._readers[self.id]

    def _picture(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._as_stored:
            return decode_jpeg(encode_frame(image_HWC, self._settings))
        return np.asarray(rescaled(image_HWC, self._settings))

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
        told_seconds_F = self._times().told.seconds
        if told_seconds_F is None:
            return False
        first, last = times.places(told_seconds_F)
        return first == last

    def _times(self) -> _Times:
        kept = self._kept.get(self.id)
        if kept is not None:
            return kept
        told = VideoTimes.of(source_of(self._video), rate=self._video.rate)
        times = _Times(told=told, seconds=told.seconds)
        self._keep(times)
        return times

    def _keep(self, times: _Times) -> None:
        with suppress(ValueError):  # larger than the cache
            self._kept[self.id] = times


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
        self._readers: dict[str, VideoReader] | None = {} if in_order else None
        self._times = _new_cache(cache_bytes)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: a copy in another process reads for itself."""
        readers: dict[str, VideoReader] | None = None if self._readers is None else {}
        return {**self.__dict__, "_times": _new_cache(self._times.maxsize), "_readers": readers}

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
        return DecodedVideo(video, self._settings, self._times, self._as_stored, self._readers)

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the frames of a video, which is opened where its shape counts.

        Raises:
            ClipStoreError: if the data set does not have it.
            VideoDecodeError: if it cannot be decoded, or its shape gives a frame that is too large.
        """
        if isinstance(self._settings.size, tuple):
            return self._settings.size
        return self.frames(video_id).read(np.zeros(1, np.int64)).shape[1:3]


DatasetFrames = ClipStore | DecodedVideos
"""The frames of a data set's videos, stored or decoded."""


def _new_cache(size_bytes: float) -> "LRUCache[str, _Times]":
    return LRUCache(size_bytes, getsizeof=attrgetter("size_bytes"))
