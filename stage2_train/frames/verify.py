"""Checks that a clip store is whole, that its pictures decode, and that it is of today's videos."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from shared.errors import ClipStoreError, VideoDecodeError
from shared.jobs.progress import progress
from shared.manifests.records import Video
from shared.manifests.source import source_of
from shared.time_ranges import ALL_TIMES, TimeRanges
from shared.video.read import content_digest
from stage2_train.frames.jpeg import decode_jpeg
from stage2_train.frames.merge import StoredVideo, read_contents
from stage2_train.frames.schema import COLUMNS

__all__ = ["Problem", "verify_store"]

_BLOCK_FRAMES = 256
"""Frames whose bytes are in memory at once: 6.4 MB of VLOG at 256 x 256 pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a store."""

    video: str
    """Id of the video that it is about; empty where it is about the store as a whole."""
    message: str
    """What was wanted and what found."""


def verify_store(
    path: Path, videos: Sequence[Video], *, ranges: Mapping[str, TimeRanges]
) -> list[Problem]:
    """Everything that is wrong with a store; empty if it is whole and up to date.

    Every stored picture is decoded, every source is read once for its digest. Of each kind of
    problem of a video only the first place is told.

    Compared with the videos that are there now; `ranges` has the times that are wanted of a video,
    by its id, whole videos where there is no entry.

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
            with progress("verify", total=len(contents.videos), unit="videos") as bar:
                for stored in contents.videos:
                    source = sources.get(stored.video_id)
                    messages = [*_check_frames(file, stored), *_check_source(stored, source)]
                    problems += [Problem(video=stored.video_id, message=text) for text in messages]
                    bar.advance()
    except (ClipStoreError, OSError, KeyError, IndexError) as err:
        return [Problem(video="", message=str(err))]
    held = {stored.video_id: stored for stored in contents.videos}
    failed = {row.id for row in contents.failed}
    for video in videos:
        if video.id not in held:
            why = "it could not be decoded" if video.id in failed else "run `orn clips`"
            problems.append(Problem(video=video.id, message=f"is not in the store; {why}"))
        elif not held[video.id].times.covers(ranges.get(video.id, ALL_TIMES)):
            message = "lacks times of its segments; run `orn clips`"
            problems.append(Problem(video=video.id, message=message))
    return problems


def _check_lengths(file: h5py.File) -> Iterator[str]:
    """What is wrong with the lengths of columns and with their borders."""
    counted = {"videos": "video_id", "frames": "seconds", "bytes": "jpeg", "failed": "failed_id"}
    rows = {counts: len(file[name]) for counts, name in counted.items()}
    for name, column in COLUMNS.items():
        wanted, found = rows[column.counts], len(file[name])
        if column.borders_of is None:
            if found != wanted:
                yield f"wanted {wanted} rows of {name}, found {found}"
            continue
        last, borders = rows[column.borders_of], file[name][:]
        whole = len(borders) == wanted + 1 and borders[0] == 0 and borders[-1] == last
        if not whole or (np.diff(borders) < 0).any():
            yield f"wanted {wanted + 1} offsets {name} that rise from 0 to {last}, found others"


def _check_frames(file: h5py.File, video: StoredVideo) -> Iterator[str]:
    seconds_F, index_F = file["seconds"][video.frames], file["frame_index"][video.frames]
    if not np.isfinite(seconds_F).all() or (np.diff(seconds_F) <= 0).any():
        yield "wanted times that increase from frame to frame"
    if (index_F < 0).any() or (np.diff(index_F) <= 0).any():
        yield "wanted places in the source that increase from frame to frame"
    if not all(seconds in video.times for seconds in seconds_F.tolist()):
        yield "wanted frames inside the ranges that are said to be stored"
    yield from _check_pictures(file, video)


def _check_pictures(file: h5py.File, video: StoredVideo) -> Iterator[str]:
    """Checksum and pictures, read a block of frames at a time: a video may be larger than memory.

    Each video's bytes follow those of the one before, so all of them are in its frames.
    """
    frames = range(video.frames.start, video.frames.stop)
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
        digest = content_digest(source_of(video))
    except VideoDecodeError as err:
        yield f"its source cannot be read ({err})"
        return
    if digest != stored.source_digest:
        yield f"the video has changed: {stored.source_digest} was stored, {video.path} is {digest}"
