"""Where the pictures under the masks come from: the videos of a data set, or nowhere.

Frames and detections meet by time, never by number: imported masks count frames of their own rate.
The clip store's pictures are in `orn.stage2_train.clips.store_pictures`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
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
from orn.shared.video.read import Frame, content_bytes, content_digest, estimate, read_frames
from orn.shared.video.reader import VideoReader

logger = logging.getLogger(__name__)

_REMEDY = "name the manifest with --dataset FILE.toml, or a clip store with --clips"

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
        reader = VideoReader(path, rate=rate)
        known_F = reader.times.seconds
        if known_F is None:  # only decoding tells them
            return _nearest_decoded(read_frames(path, rate=rate), seconds_n, farthest)
        return pictures_at(reader, nearest_places(known_F, seconds_n, farthest=farthest))


def pictures_of_shard(shard: Path, dataset: str | None, data_root: Path) -> Pictures:
    """Return the pictures of a shard's videos, of its data set as `dataset_of_shard` finds it.

    Raises:
        As `load_dataset`, for a data set that is named.
    """
    try:
        return VideoPictures(dataset_of_shard(shard, dataset), data_root)
    except PipelineError as err:
        if dataset is not None:
            raise
        return NoPictures(str(err))


def dataset_of_shard(shard: Path, dataset: str | None) -> str:
    """Return the name or file of the manifest of a shard's data set: the one that is named, else
    the one that the plan beside the shard names.

    Raises:
        As `manifest_of`, and JoinError if there is no plan.
    """
    if dataset is not None:
        return dataset
    plan = Plan.load(shard.parent)
    if plan is None:
        raise JoinError(
            f"{shard.parent}: expected a plan that names the data set, got none; name it with "
            "--dataset, or a clip store with --clips"
        )
    return manifest_of(plan, remedy=_REMEDY)


def pictures_or_grey(
    pictures: Pictures,
    video: VideoEntry,
    seconds_n: NDArray[np.float64],
    on_grey: Callable[[str], None],
) -> Iterator[NDArray[np.uint8] | None]:
    """Yield the picture nearest to each time, and None for all from the first that cannot be had.

    Args:
        pictures: where they are from.
        video: of which they are.
        seconds_n: (n,) rising times.
        on_grey: told why there are no more pictures.
    """
    done = 0
    try:
        for picture in pictures.frames(video, seconds_n):
            yield picture
            done += 1
    except PipelineError as err:
        on_grey(str(err))
    yield from [None] * (len(seconds_n) - done)


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


def _nearest_decoded(
    frames: Iterator[Frame], seconds_n: NDArray[np.float64], farthest: float
) -> Iterator[NDArray[np.uint8] | None]:
    """Yield the image of the nearest frame to each time, the earlier of two equally near, and None
    where it is farther than `farthest`; each frame is decoded once."""
    before, after = None, next(frames, None)
    for seconds in seconds_n.tolist():
        while after is not None and after.seconds < seconds:
            before, after = after, next(frames, None)
        beside = [each for each in (before, after) if each is not None]
        gaps = [abs(each.seconds - seconds) for each in beside]
        near = gaps and min(gaps) <= farthest
        yield beside[gaps.index(min(gaps))].image if near else None


def pictures_at(
    reader: VideoReader, places: Iterable[int | None]
) -> Iterator[NDArray[np.uint8] | None]:
    """Yield the image at each place of a video; None for one that is not there.

    Raises:
        VideoDecodeError: at the first, if no frame can be decoded.
    """
    for place in places:
        frame = None if place is None else reader.frame(place)
        yield None if frame is None else frame.image
