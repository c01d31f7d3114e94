"""Where the pictures under the masks come from: the videos of a data set, or nowhere.

Frames and detections meet by time, never by number: imported masks count frames of their own rate.
The clip store's pictures are in `orn.stage2_train.clips.store_pictures`.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import JoinError, PipelineError
from orn.shared.jobs.plan import Plan
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.source import source_of
from orn.shared.shards.completed import manifest_of
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.video.read import (
    content_bytes,
    content_digest,
    estimate,
    frame_seconds,
    read_frames,
)

logger = logging.getLogger(__name__)

_REMEDY = "name the manifest with --dataset FILE.toml, or a clip store with --clips"

_READ_ON_FRAMES = 60
"""Frames up to which reading on is cheaper than opening the file again further on."""
_HALF = 0.51
"""Of the time between two pictures: none between them is farther from the nearer."""


class Pictures(Protocol):
    """A source of the frames that were looked at."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """The picture nearest to each of (n,) rising times, (H, W, 3) uint8 RGB, all of one size;
        None for a time that no picture is near.

        Raises:
            PipelineError: if the video has no pictures here; says why.
        """


class NoPictures:
    """No pictures at all, and why."""

    def __init__(self, reason: str) -> None:
        self.name = "none"
        self._reason = reason

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """Raises JoinError with the reason."""
        raise JoinError(self._reason)


class VideoPictures:
    """Frames decoded from the videos of a data set.

    Raises:
        As `load_dataset`.
    """

    def __init__(self, dataset: str, data_root: Path) -> None:
        loaded = load_dataset(dataset, data_root, labels=False)
        self.name = f"the videos of {loaded.name} under {loaded.root}"
        self._videos = {video.id: video for video in loaded.videos}
        self._root = loaded.root

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """As `Pictures`; a file that is not the one that was looked at is refused."""
        listed = self._videos.get(video.id)
        if listed is None:
            raise JoinError(f"there is no file of this video under {self._root}")
        path, rate = source_of(listed), listed.rate
        if video.source_digest != UNKNOWN_SOURCE and (
            content_bytes(path) != video.source_bytes or content_digest(path) != video.source_digest
        ):
            raise JoinError(f"{path} is not the file that was looked at: its content differs")
        farthest = max(1 / video.rate, _HALF / estimate(path, rate=rate).rate)
        known = frame_seconds(path, rate=rate)
        if known is None:
            return _nearest_of_all(path, rate, seconds_n, farthest)
        return sought_pictures(path, rate, nearest_places(known, seconds_n, farthest=farthest))


def pictures_of_shard(shard: Path, dataset: str | None, data_root: Path) -> Pictures:
    """The pictures of a shard's videos: of the data set that is named, else of the one that the
    plan beside the shard names, by the manifest that it was made with.

    Raises:
        As `load_dataset`, for a data set that is named.
    """
    if dataset is not None:
        return VideoPictures(dataset, data_root)
    try:
        plan = Plan.load(shard.parent)
        if plan is None:
            return NoPictures(
                "no plan beside the shard says which data set it is of; name it with --dataset, "
                "or a clip store with --clips"
            )
        return VideoPictures(manifest_of(plan, remedy=_REMEDY), data_root)
    except PipelineError as err:
        return NoPictures(str(err))


def nearest_places(
    known_F: NDArray[np.float64], seconds_n: NDArray[np.float64], *, farthest: float
) -> list[int | None]:
    """The place of the nearest of (F,) rising times to each of (n,), None where it is farther than
    `farthest` and than half of the usual time between the former."""
    if not len(known_F):
        return [None] * len(seconds_n)
    farthest = max(farthest, _HALF * frame_interval(known_F, otherwise=0))
    found = nearest_frames(known_F, seconds_n, interval=2 * farthest)
    return [
        place if near else None
        for place, near in zip(found.rows_n.tolist(), found.is_near_n.tolist(), strict=True)
    ]


def sought_pictures(
    path: Path, rate: float | None, places: Sequence[int | None]
) -> Iterator[NDArray[np.uint8] | None]:
    """Frames by their place in the stream, rising; None for one that is not there.

    Raises:
        VideoDecodeError: at the first, if no frame can be decoded.
    """
    reader, frame = None, None
    for place in places:
        if place is None:
            yield None
            continue
        if reader is None or (frame is not None and place - frame.index > _READ_ON_FRAMES):
            reader, frame = read_frames(path, rate=rate, start=place), None
        while frame is None or frame.index < place:
            frame = next(reader, None)
            if frame is None:
                reader = iter(())
                break
        yield None if frame is None else frame.image


def _nearest_of_all(
    path: Path, rate: float | None, seconds_n: NDArray[np.float64], farthest: float
) -> Iterator[NDArray[np.uint8] | None]:
    """Frames by their time, where only decoding tells it."""
    reader = read_frames(path, rate=rate)
    frame, following = None, next(reader, None)
    for seconds in seconds_n.tolist():
        while following is not None and (
            frame is None
            or abs(following.seconds - seconds) < abs(frame.seconds - seconds)
            or following.seconds <= seconds
        ):
            frame, following = following, next(reader, None)
        is_near = frame is not None and abs(frame.seconds - seconds) <= farthest
        yield frame.image if frame is not None and is_near else None
