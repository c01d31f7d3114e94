"""Checks that a clip store is whole, that its pictures decode, and that it is of today's videos."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from shared.errors import ClipStoreError, VideoDecodeError
from shared.jobs.progress import progress
from shared.manifests.records import Video
from shared.video.read import content_digest
from stage2_train.frames.jpeg import decode_jpeg
from stage2_train.frames.merge import StoredVideo, read_contents
from stage2_train.frames.ranges import ALL_TIMES, TimeRanges

__all__ = ["Problem", "verify_store"]

_BLOCK_FRAMES = 256
"""Frames whose bytes are in memory at once: 6.4 MB of VLOG at 256 x 256 pixels."""
_VIDEO_COLUMNS = (
    "video_id",
    "source_digest",
    "source_height",
    "source_width",
    "stored_height",
    "stored_width",
    "ranges",
    "jpeg_crc32",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a store."""

    video: str
    """Id of the video that it is about; empty where it is about the store as a whole."""
    message: str
    """What was wanted and what found."""


def verify_store(
    path: Path, videos: Sequence[Video], *, ranges: dict[str, TimeRanges]
) -> list[Problem]:
    """Everything that is wrong with a store; empty if it is whole and up to date.

    Every stored picture is decoded, every source is read once for its digest. Of each kind of
    problem of a video only the first place is told.

    Args:
        path: the store.
        videos: the videos that are there now.
        ranges: times of a video that are wanted, by its id; whole videos where there is no entry.

    Raises:
        ClipStoreError: if there is no store.
    """
    if not path.is_file():
        raise ClipStoreError(f"{path}: there is no clip store; run `orn clips` to write it")
    try:
        contents = read_contents(path)
        with h5py.File(path, "r") as file:
            problems = [Problem(video="", message=text) for text in _check_lengths(file)]
            if problems:
                return problems
            sources = {video.id: video for video in videos}
            failed = {row.id for row in contents.failed}
            with progress("verify", total=len(contents.videos), unit="videos") as bar:
                for stored in contents.videos:
                    messages = [
                        *_check_frames(file, stored),
                        *_check_source(stored, sources.get(stored.id)),
                    ]
                    problems += [Problem(video=stored.id, message=text) for text in messages]
                    bar.advance()
    except (ClipStoreError, OSError, IndexError) as err:
        return [Problem(video="", message=str(err))]
    held = {stored.id: stored for stored in contents.videos}
    return problems + list(_check_wanted(videos, held, failed=failed, ranges=ranges))


def _check_lengths(file: h5py.File) -> Iterator[str]:
    num_videos = len(file["video_id"])
    for name in _VIDEO_COLUMNS:
        if len(file[name]) != num_videos:
            yield f"wanted {num_videos} rows of {name}, found {len(file[name])}"
    num_frames = len(file["seconds"])
    if len(file["frame_index"]) != num_frames:
        yield f"wanted {num_frames} rows of frame_index, found {len(file['frame_index'])}"
    for name, rows, last in (
        ("video_offsets", num_videos, num_frames),
        ("jpeg_offsets", num_frames, len(file["jpeg"])),
    ):
        offsets = file[name][:]
        whole = len(offsets) == rows + 1 and offsets[0] == 0 and offsets[-1] == last
        if not whole or (np.diff(offsets) < 0).any():
            yield f"wanted {rows + 1} offsets {name} that rise from 0 to {last}, found others"


def _check_frames(file: h5py.File, video: StoredVideo) -> Iterator[str]:
    frames = slice(video.first_frame, video.first_frame + video.num_frames)
    seconds_F, index_F = file["seconds"][frames], file["frame_index"][frames]
    if not np.isfinite(seconds_F).all() or (np.diff(seconds_F) <= 0).any():
        yield "wanted times that increase from frame to frame"
    if (index_F < 0).any() or (np.diff(index_F) <= 0).any():
        yield "wanted places in the source that increase from frame to frame"
    if not all(seconds in video.ranges for seconds in seconds_F.tolist()):
        yield "wanted frames inside the ranges that are said to be stored"
    yield from _check_pictures(file, video)


def _check_pictures(file: h5py.File, video: StoredVideo) -> Iterator[str]:
    """Checksum and pictures, read a block of frames at a time: a video may be larger than memory.

    Each video's bytes follow those of the one before, so all of them are in its frames.
    """
    frames = range(video.first_frame, video.first_frame + video.num_frames)
    checksum = 0
    problem: str | None = None
    for first in frames[::_BLOCK_FRAMES]:
        stop = min(first + _BLOCK_FRAMES, frames.stop)
        offsets = file["jpeg_offsets"][first : stop + 1]
        content = file["jpeg"][offsets[0] : offsets[-1]].tobytes()
        checksum = zlib.crc32(content, checksum)
        for frame, (start, end) in enumerate(pairwise(offsets - offsets[0]), first):
            problem = problem or _picture_problem(content[start:end], video, frame - frames.start)
    if checksum != video.jpeg_crc32:
        yield f"wanted JPEG bytes with checksum {video.jpeg_crc32:08x}, found {checksum:08x}"
    if problem is not None:
        yield problem


def _picture_problem(content: bytes, video: StoredVideo, place: int) -> str | None:
    size = (video.stored_height, video.stored_width)
    try:
        found = decode_jpeg(content).shape[:2]
    except (RuntimeError, ValueError) as err:
        return f"frame {place} cannot be decoded ({str(err).splitlines()[0]})"
    if found == size:
        return None
    return f"frame {place}: wanted a picture of {size[0]}x{size[1]}, found {found[0]}x{found[1]}"


def _check_source(stored: StoredVideo, video: Video | None) -> Iterator[str]:
    if video is None:  # no longer in the data set, or its file is gone: nothing to compare with
        return
    try:
        digest = content_digest(video.path)
    except VideoDecodeError as err:
        yield f"its source cannot be read ({err})"
        return
    if digest != stored.digest:
        yield f"the video has changed: {stored.digest} was stored, {video.path} is {digest}"


def _check_wanted(
    videos: Sequence[Video],
    held: dict[str, StoredVideo],
    *,
    failed: set[str],
    ranges: dict[str, TimeRanges],
) -> Iterator[Problem]:
    for video in videos:
        stored = held.get(video.id)
        if stored is None:
            why = "it could not be decoded" if video.id in failed else "run `orn clips`"
            yield Problem(video=video.id, message=f"is not in the store; {why}")
        elif not stored.ranges.covers(ranges.get(video.id, ALL_TIMES)):
            yield Problem(video=video.id, message="lacks times of its segments; run `orn clips`")
