"""Frames without a clip store: decoded from the videos whenever a clip asks for them.

Frames, times and sizes are those that a store would have; the pixels are those before JPEG. What it
costs is decoding: a clip takes as long as the stretch of video before its frames.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ClipStoreError, VideoDecodeError
from shared.manifests.records import Video
from shared.video.frame_times import FrameTimes, KnownTimes, frame_times
from shared.video.read import content_digest, frame_seconds, read_frames
from stage2_train.clips.sampling import frames_between
from stage2_train.clips.transforms import CropWindow
from stage2_train.frames.jpeg import rescaled
from stage2_train.frames.schema import FailedClip, StoreSettings

__all__ = ["DecodedVideo", "DecodedVideos", "spread_over_videos", "warn_of_decoding"]

logger = logging.getLogger(__name__)

_CACHED_VIDEOS = 4096
"""Videos whose times stay in memory, in each process, if they fit."""
_CACHE_BYTES = 256 * 2**20
"""Memory for their times; an hour at 60 frames a second takes 3.5 MB."""
_NEAR_FRAMES = 48
"""Frames nearer to each other than this are read in one go instead of seeking twice."""


class DecodedVideo:
    """The frames of one video, rescaled as a store would have them."""

    def __init__(self, video: Video, settings: StoreSettings) -> None:
        self.id = video.id
        self._video = video
        self._settings = settings

    @cached_property
    def source_digest(self) -> str:
        """Digest of the file or folder; reads all of it."""
        return content_digest(self._video.path)

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing.

        Raises:
            VideoDecodeError: if nothing can be decoded.
        """
        told = self._told_seconds
        if told is not None:
            return told
        frames = read_frames(self._video.path, rate=self._video.rate, times=self._times)
        return np.array([frame.seconds for frame in frames], np.float64)

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places, in that order, repeats included.

        Args:
            frames_n: (n,) places.
            window: what to cut out of the frames; None: all.

        Raises:
            VideoDecodeError: if a frame does not exist or can no longer be decoded.
        """
        wanted = sorted(set(frames_n.tolist()))
        found: dict[int, NDArray[np.uint8]] = {}
        stretches = [wanted] if self._told_seconds is None else _stretches(wanted)
        for places in stretches:
            frames = read_frames(
                self._video.path,
                rate=self._video.rate,
                start=places[0],
                stop=places[-1] + 1,
                times=self._times,
            )
            needed = set(places)
            for frame in frames:
                if frame.index in needed:
                    image = rescaled(frame.image, self._settings)
                    found[frame.index] = image if window is None else window.cut(image)
        missing = [place for place in wanted if place not in found]
        if missing:
            raise VideoDecodeError(
                f"video {self.id}: wanted frame {missing[0]} of {self._video.path}, found none; "
                f"it has {len(self.seconds)} frames"
            )
        return np.stack([found[place] for place in frames_n.tolist()])

    def covers(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """True: nothing was left out."""
        return True

    def is_empty(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """Whether no frame lies in a time range; False where only decoding tells, and for a whole
        video, which has frames if it can be decoded.

        Raises:
            VideoDecodeError: if the video cannot be opened.
        """
        if start_seconds is None and stop_seconds is None:
            return False
        told = self._told_seconds
        if told is None:
            return False
        first, last = frames_between(told, start_seconds, stop_seconds)
        return first == last

    @property
    def size_bytes(self) -> int:
        """Memory that its times take, as far as they were read."""
        read = self.__dict__
        if isinstance(times := read.get("_times"), FrameTimes):
            return times.size_bytes
        seconds = read.get("seconds", read.get("_told_seconds"))
        return 0 if seconds is None else seconds.nbytes

    @cached_property
    def _times(self) -> KnownTimes:
        """Kept here, because training asks for videos in random order."""
        if self._video.path.is_dir():
            return "not read"
        return frame_times(self._video.path) or "only decoding tells"

    @cached_property
    def _told_seconds(self) -> NDArray[np.float64] | None:
        if isinstance(self._times, FrameTimes):
            return self._times.seconds
        if self._times == "only decoding tells":
            return None
        return frame_seconds(self._video.path, rate=self._video.rate)


class DecodedVideos:
    """Frames of the videos of a data set, decoded when they are asked for; may be pickled."""

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        root: Path,
        settings: StoreSettings,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: the videos.
            root: where they lie, for messages.
            settings: size of the frames.
            cache_bytes: memory for the times of videos, in each process.

        Raises:
            ClipStoreError: if the frames would not all have one size.
        """
        if settings.short_side is not None or settings.rate is not None:
            raise ClipStoreError(
                "decoding without a clip store: wanted one size of all frames and every frame, "
                f"found {settings.describe()}; store them with `orn clips`"
            )
        self.name = f"the videos under {root}"
        """What to call it in messages."""
        self.failed: tuple[FailedClip, ...] = ()
        """None: that a video cannot be decoded shows when it is asked for."""
        self._videos = {video.id: video for video in videos}
        self._settings = settings
        self._cache_bytes = cache_bytes
        self._opened: OrderedDict[str, DecodedVideo] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": OrderedDict()}

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def frames(self, video_id: str) -> DecodedVideo:
        """The frames of one video.

        Raises:
            ClipStoreError: if the data set does not have it.
        """
        opened = self._opened.pop(video_id, None)
        if opened is None:
            self._make_room()
            video = self._videos.get(video_id)
            if video is None:
                raise ClipStoreError(f"{self.name}: wanted video {video_id}, there is none")
            opened = DecodedVideo(video, self._settings)
        self._opened[video_id] = opened
        return opened

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self._settings.stored_size(1, 1)

    def _make_room(self) -> None:
        """Forgets the videos that were used longest ago until another one fits."""
        size_bytes = sum(video.size_bytes for video in self._opened.values())
        while self._opened and (
            len(self._opened) >= _CACHED_VIDEOS or size_bytes > self._cache_bytes
        ):
            _, oldest = self._opened.popitem(last=False)
            size_bytes -= oldest.size_bytes


def spread_over_videos(video_ids: Sequence[str], number: int) -> list[int]:
    """Places of the first segments of up to `number` videos, far apart in the order of the table.

    Args:
        video_ids: the video of each segment.
        number: how many at most.
    """
    firsts = sorted({video: place for place, video in reversed([*enumerate(video_ids)])}.values())
    step = max(-(-len(firsts) // number), 1)
    return firsts[::step]


def warn_of_decoding(
    make_clip: Callable[[int], object], segments: Iterable[int], *, workers: int
) -> None:
    """Measures how long some clips take and says in the log what training without a store costs.

    Args:
        make_clip: makes the clip of a segment.
        segments: a few of them.
        workers: processes that make batches.
    """
    began = time.perf_counter()
    number = 0
    for segment in segments:
        make_clip(segment)
        number += 1
    if number == 0:
        return
    seconds = (time.perf_counter() - began) / number
    logger.warning(
        "no clip store: each clip is decoded from its video, which took %.3f s for each of %d "
        "clips, so %d processes make at most %.3g clips a second; `orn clips` decodes every video "
        "once and makes loading take a few milliseconds",
        *(seconds, number, max(workers, 1), max(workers, 1) / seconds),
    )


def _stretches(places: Sequence[int]) -> list[list[int]]:
    """Runs of rising places in which none is far from the one before."""
    stretches: list[list[int]] = []
    for place in places:
        if stretches and place - stretches[-1][-1] <= _NEAR_FRAMES:
            stretches[-1].append(place)
        else:
            stretches.append([place])
    return stretches
