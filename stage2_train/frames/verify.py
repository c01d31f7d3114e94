"""Verification of a clip store: its files, its frames, and changes to the videos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orn.shared.data_files import is_folder
from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.jobs.progress import progress
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import content_digest
from orn.stage2_train.frames.clip_file import ClipFrames
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoredVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in a store."""

    video: str
    """Id of the video; empty for a problem with the whole store."""
    message: str
    """Description, with the expected and the actual state."""


def verify_store(
    path: Path, videos: Sequence[Video], *, ranges: Mapping[str, TimeRanges]
) -> list[Problem]:
    """Return the problems in a store; an empty list if it is valid and up to date.

    This decodes every stored frame and computes the digest of every source. Only the first corrupt
    part of a video is reported.

    Args:
        path: folder of the store.
        videos: current videos to compare with the store.
        ranges: required times by video id; without an entry, the whole video.

    Raises:
        ClipStoreError: if there is no store.
    """
    try:
        store = ClipStore(path)
    except ClipStoreError as err:
        if not is_folder(path):
            raise
        return [Problem(video="", message=str(err).removeprefix(f"{path}: "))]
    problems = []
    sources = {video.id: video for video in videos}
    with progress("verify", total=len(store.ids), unit="videos") as bar:
        for video_id in store.ids:
            frames = store.frames(video_id)
            source = _check_source(frames.video, sources.get(video_id))
            problems += [
                Problem(video=video_id, message=text) for text in (*_damage(frames), *source)
            ]
            bar.advance()
    for video in videos:
        if video.id not in store:
            why = "the video could not be decoded" if video.id in store.tried else "run `orn clips`"
            problems.append(Problem(video=video.id, message=f"missing in the store; {why}"))
        elif not store.frames(video.id).video.times.covers(ranges.get(video.id, ALL_TIMES)):
            message = "lacks times of its segments; run `orn clips`"
            problems.append(Problem(video=video.id, message=message))
    return problems


def _damage(frames: ClipFrames) -> Iterator[str]:
    """Yield the first corrupt part of a video."""
    try:
        _check_rows(frames)
        _check_pictures(frames)
    except ClipStoreError as err:
        yield str(err).replace(f"video {frames.id}: ", "", 1)


def _check_rows(frames: ClipFrames) -> None:
    rows_F = frames.rows
    index_F, seconds_F = rows_F["index"], rows_F["seconds"]
    increase = (index_F[1:] > index_F[:-1]).all() and (seconds_F[1:] > seconds_F[:-1]).all()
    times = frames.video.times
    if not increase or (index_F < 0).any() or not all(each in times for each in seconds_F.tolist()):
        expected = "expected increasing indices and times within the stored ranges"
        raise frames.corruption("its times are", ValueError(expected))


def _check_pictures(frames: ClipFrames) -> None:
    """Decode all frames one by one, since a video may be larger than memory."""
    for frame in range(len(frames)):
        frames.read(np.array([frame]))


def _check_source(stored: StoredVideo, video: Video | None) -> Iterator[str]:
    if video is None:  # no longer in the data set, or without a file
        return
    try:
        digest = content_digest(video.path)
    except VideoDecodeError as err:
        yield f"its source cannot be read ({err})"
        return
    if digest != stored.source_digest:
        got = f"got {digest} in {video.path}"
        yield f"the video has changed: expected {stored.source_digest}, {got}; run `orn clips`"
    if video.rate != stored.rate:
        yield f"expected {stored.rate} frames/s, got {video.rate} in the manifest; run `orn clips`"
