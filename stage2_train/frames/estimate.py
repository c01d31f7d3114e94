"""How large a clip store will be, from a few sample frames of a few videos."""

import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from shared.errors import ClipStoreError, VideoDecodeError
from shared.manifests.records import Video
from shared.video.read import probe, read_frames
from stage2_train.frames.jpeg import encode_frame
from stage2_train.frames.parts import parts_folder
from stage2_train.frames.ranges import ALL_TIMES, TimeRanges
from stage2_train.frames.schema import StoreSettings

__all__ = ["StoreEstimate", "check_space", "estimate_store", "readable_bytes"]

_SAMPLE_VIDEOS = 8
_SAMPLE_FRAMES = 16
"""Frames decoded of each sample video, every fourth of which is encoded."""
_USUAL_SECONDS = 10.0
"""Length of a video whose header does not tell."""
_CERTAINLY = 1.5
"""How many times too little the space must be to be refused: an estimate may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEstimate:
    """What is still to be stored, estimated, and the space there is for it."""

    num_frames: int
    """Frames."""
    frame_bytes: float
    """Bytes of a frame, measured on the samples."""
    free_bytes: int
    """Free on the store's disk, with what is thrown away first."""
    held_bytes: int
    """What the store and its parts hold already and is copied along."""

    @property
    def added_bytes(self) -> int:
        """Bytes of the frames that are still to be stored."""
        return round(self.num_frames * self.frame_bytes)

    @property
    def needed_bytes(self) -> int:
        """Free space needed at the worst moment: parts, and beside them the store they become."""
        return 2 * self.added_bytes + self.held_bytes

    def describe(self) -> str:
        """The estimate in a line."""
        return (
            f"about {self.num_frames:,} frames of {readable_bytes(self.frame_bytes)}, "
            f"{readable_bytes(self.added_bytes)} in all; at the end, when parts and store lie side "
            f"by side, {readable_bytes(self.needed_bytes)} of free space are needed, "
            f"{readable_bytes(self.free_bytes)} are free"
        )


def estimate_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges],
    replaces: bool = False,
) -> StoreEstimate:
    """The estimate for videos that are still to be stored; decodes a few frames of a few of them.

    Args:
        videos: what is still to be stored.
        path: the store.
        settings: size, quality and rate.
        ranges: times of a video to store, by its id; whole videos where there is no entry.
        replaces: whether what is there is thrown away first.
    """
    step = max(len(videos) // _SAMPLE_VIDEOS, 1)
    sizes: list[float] = []
    num_frames: list[float] = []
    for video in videos[::step][:_SAMPLE_VIDEOS]:
        try:
            sizes += _frame_bytes(video, settings)
            num_frames.append(_num_frames(video, settings, ranges.get(video.id, ALL_TIMES)))
        except VideoDecodeError:
            num_frames.append(0.0)
    files = [path, *parts_folder(path).glob("*")]
    held = sum(file.stat().st_size for file in files if file.is_file())
    free = shutil.disk_usage(_existing(path.absolute().parent)).free
    return StoreEstimate(
        num_frames=round(statistics.fmean(num_frames or [0.0]) * len(videos)),
        frame_bytes=statistics.fmean(sizes) if sizes else 0.0,
        free_bytes=free + held if replaces else free,
        held_bytes=0 if replaces else held,
    )


def check_space(estimate: StoreEstimate, path: Path) -> None:
    """Refuses work for which the disk clearly has no space.

    Raises:
        ClipStoreError: saying what is needed and what is there.
    """
    if estimate.needed_bytes > _CERTAINLY * estimate.free_bytes:
        raise ClipStoreError(
            f"{path}: does not fit: {estimate.describe()}; choose another --out, a smaller --size, "
            "--quality or --rate, --frames labelled, or part of the data set with --limit"
        )


def readable_bytes(size: float) -> str:
    """A size with a unit, such as `1.5 GB`; decimal units, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _frame_bytes(video: Video, settings: StoreSettings) -> list[float]:
    frames = islice(read_frames(video.path, rate=video.rate, stop=_SAMPLE_FRAMES), 0, None, 4)
    return [float(len(encode_frame(frame.image, settings))) for frame in frames]


def _num_frames(video: Video, settings: StoreSettings, ranges: TimeRanges) -> float:
    info = probe(video.path, rate=video.rate)
    counted = info.estimated_frames
    duration = _USUAL_SECONDS if counted is None else counted / info.rate
    rate = info.rate if settings.rate is None else min(info.rate, settings.rate)
    return ranges.length(duration) * rate


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
