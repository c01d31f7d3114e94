"""Checks that a clip store is whole, that its pictures decode, and that it is of today's videos."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.jobs.progress import progress
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import content_digest
from orn.stage2_train.frames.jpeg import decode_frame
from orn.stage2_train.frames.reader import ClipFrames, ClipStore
from orn.stage2_train.frames.store_file import REMEDY


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
    try:
        store = ClipStore(path)
    except ClipStoreError as err:
        if not path.is_file():
            raise
        return [Problem(video="", message=str(err).removeprefix(f"{path}: "))]
    problems = []
    sources = {video.id: video for video in videos}
    with progress("verify", total=len(store.ids), unit="videos") as bar:
        for video_id in store.ids:
            frames = store.frames(video_id)
            source = _check_source(frames.source_digest, sources.get(video_id))
            messages = [*_damage(frames, path), *source]
            problems += [Problem(video=video_id, message=text) for text in messages]
            bar.advance()
    failed = {row.id for row in store.failed}
    for video in videos:
        if video.id not in store:
            why = "it could not be decoded" if video.id in failed else "run `orn clips`"
            problems.append(Problem(video=video.id, message=f"is not in the store; {why}"))
        elif not _covers(store, video.id, ranges.get(video.id, ALL_TIMES)):
            message = "lacks times of its segments; run `orn clips`"
            problems.append(Problem(video=video.id, message=message))
    return problems


def _covers(store: ClipStore, video_id: str, times: TimeRanges) -> bool:
    """Whether some times of a video are stored; True where that cannot be read, which was told."""
    try:
        return store.frames(video_id).times.covers(times)
    except ClipStoreError:
        return True


def _damage(frames: ClipFrames, path: Path) -> Iterator[str]:
    """What is damaged of a video; of its times, its places and its pictures the first thing."""
    start = f"{path}: video {frames.id}: "
    for check in (_check_times, _check_places, _check_pictures):
        try:
            check(frames)
        except ClipStoreError as err:
            yield str(err).removeprefix(start).removesuffix(REMEDY)


def _check_times(frames: ClipFrames) -> None:
    times = frames.times
    if not all(seconds in times for seconds in frames.seconds.tolist()):
        problem = "wanted frames inside the ranges that are said to be stored, found others"
        raise frames.file.damage(frames.row, problem)


def _check_places(frames: ClipFrames) -> None:
    file, row = frames.file, frames.row
    index_F = file.of_frames("frame_index", row)
    if (index_F < 0).any():
        raise file.damage(row, f"wanted frame_index of at least 0, found {index_F.min()}")


def _check_pictures(frames: ClipFrames) -> None:
    """A frame at a time, since a video may be larger than memory."""
    file, row = frames.file, frames.row
    wanted, found = int(file.columns["jpeg_crc32"][row]), 0
    for frame, data in enumerate(file.jpeg_files(row, range(len(frames)))):
        try:
            decode_frame(data, file.stored_size(row))
        except (RuntimeError, ValueError) as err:
            raise file.no_picture(row, frame, err) from err
        found = zlib.crc32(data, found)
    if found != wanted:
        problem = f"wanted JPEG bytes with CRC-32 {wanted:08x}, found {found:08x}"
        raise file.damage(row, problem)


def _check_source(stored: str, video: Video | None) -> Iterator[str]:
    if video is None:  # no longer in the data set, or its file is gone: nothing to compare with
        return
    try:
        digest = content_digest(source_of(video))
    except VideoDecodeError as err:
        yield f"its source cannot be read ({err})"
        return
    if digest != stored:
        yield f"the video has changed: {stored} was stored, {video.path} is {digest}"
