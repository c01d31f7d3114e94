"""Pictures and labels of the videos in a shard, from their data set.

Pictures and detections are matched by time, since imported masks have their own frame rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.load import (
    data_root_of,
    load_dataset,
    load_listing,
    load_manifest,
    manifest_of,
)
from orn.data_manifests.records import Segment
from orn.shared.errors import JoinError, PipelineError
from orn.shared.jobs.plan import Plan
from orn.shared.shards.shard_format import UNKNOWN_SOURCE, VideoEntry
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.video.read import (
    VideoReader,
    content_bytes,
    content_digest,
    estimate,
    seconds_of_frames,
)

_REMEDY = "specify the manifest with --dataset FILE.toml"

_HALF = 0.51
"""Maximum distance to the nearest picture, as a fraction of the interval between pictures."""


class NoPictures:
    """A source without pictures, and the reason why there are none."""

    def __init__(self, reason: str) -> None:
        self.name = "none"
        self._reason = reason

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """Always raise JoinError, because no pictures are available."""
        raise JoinError(self._reason)


class VideoPictures:
    """Frames decoded from the videos of a data set."""

    def __init__(self, dataset: str, data_root: Path | None) -> None:
        loaded = load_dataset(dataset, data_root, labels=False)
        self.name = f"the videos of {loaded.name} under {loaded.root}"
        self._videos = {video.id: video for video in loaded.videos}
        self._root = loaded.root

    def frames(
        self, video: VideoEntry, seconds_n: NDArray[np.float64]
    ) -> Iterator[NDArray[np.uint8] | None]:
        """Yield the picture nearest to each of (n,) increasing times, (H, W, 3) uint8 RGB of equal
        size; None for a time without a nearby picture.

        Raises:
            PipelineError: if there are no pictures of the video, or its file has different content.
        """
        listed = self._videos.get(video.id)
        if listed is None:
            raise JoinError(f"no file for this video under {self._root}")
        path, rate = listed.path, listed.rate
        if video.source_digest != UNKNOWN_SOURCE and (
            content_bytes(path) != video.source_bytes or content_digest(path) != video.source_digest
        ):
            raise JoinError(
                f"{path} differs from the file that these detections were computed from"
            )
        reader, known_F = VideoReader(path, rate=rate), seconds_of_frames(path, rate=rate)
        farthest = max(1 / video.rate, _HALF / estimate(path, rate=rate).rate)
        farthest = max(farthest, _HALF * frame_interval(known_F, otherwise=0))
        nearest = nearest_frames(known_F, seconds_n, interval=2 * farthest)
        shown = (
            reader.frame(row) if near else None
            for row, near in zip(nearest.rows_n.tolist(), nearest.is_near_n.tolist(), strict=True)
        )
        return (None if frame is None else frame.image for frame in shown)


Pictures = VideoPictures | NoPictures
"""A source of pictures of the frames with detections; `name` is its description."""


def pictures_of_shard(shard: Path, dataset: str | None, data_root: Path | None) -> Pictures:
    """Return the source of pictures for a shard; `data_of_shard` selects the data set."""
    try:
        return VideoPictures(*data_of_shard(shard, dataset, data_root))
    except PipelineError as err:
        if dataset is not None:
            raise
        return NoPictures(str(err))


def data_of_shard(
    shard: Path, dataset: str | None, data_root: Path | None
) -> tuple[str, Path | None]:
    """Return the name or file of the manifest of a shard's data set, and the data root: those given
    if they are, else those recorded in the plan next to the shard; None: the data set's.

    Raises:
        JoinError: if there is no plan, and no data set is given.
    """
    plan = Plan.load(shard.parent)
    if data_root is None and plan is not None and plan.data_root is not None:
        data_root = Path(plan.data_root)
    if dataset is not None:
        return dataset, data_root
    if plan is None:
        raise JoinError(f"{shard.parent}: no plan specifies the data set; pass --dataset")
    return manifest_of(plan, remedy=_REMEDY), data_root


def pictures_or_gray(
    pictures: Pictures,
    video: VideoEntry,
    seconds_n: NDArray[np.float64],
    on_gray: Callable[[str], None],
) -> Iterator[NDArray[np.uint8] | None]:
    """Yield the picture nearest to each time; after the first error, yield None for every time.

    Args:
        pictures: source of the pictures.
        video: the video.
        seconds_n: (n,) increasing times.
        on_gray: called with the message of the error.
    """
    done = 0
    try:
        for picture in pictures.frames(video, seconds_n):
            yield picture
            done += 1
    except PipelineError as err:
        on_gray(str(err))
    yield from [None] * (len(seconds_n) - done)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLabels:
    """Labeled video segments with A activity classes."""

    title: str = "none"
    """Description of the data set that they are from, or of why there are none."""
    classes: tuple[str, ...] = ()
    """Names of the A classes."""
    segments: tuple[Segment, ...] = ()
    """Segments with their labels, in the order of the label table."""


def labels_of(dataset: str, data_root: Path | None) -> ActivityLabels:
    """Return the labels of a data set.

    Args:
        dataset: name or file of its manifest.
        data_root: folder of all data sets; None: the data set's.
    """
    manifest = load_manifest(dataset)
    listing = load_listing(manifest, data_root)
    return ActivityLabels(
        title=f"{manifest.name} under {data_root_of(manifest, data_root)}",
        classes=listing.classes,
        segments=listing.segments,
    )
