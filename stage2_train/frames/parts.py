"""Parts of a clip store in work: a small HDF5 file a video, of the same format, renamed when whole.

A part holds one video, or one video that failed. JPEG bytes of a long video are chunked, since
their number is not known beforehand; everything else is as in the store. A part is named after its
video, so that whoever writes it, and however often, it holds the same.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain
from math import floor
from pathlib import Path

import h5py
import numpy as np

from orn.shared.errors import VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import Frame, content_digest, read_frames
from orn.stage2_train.frames.datasets import CHUNK_BYTES
from orn.stage2_train.frames.jpeg import encode_frame
from orn.stage2_train.frames.schema import (
    FailedClip,
    StoreSettings,
    column_checksum,
    ranges_text,
)
from orn.stage2_train.frames.writing import BUFFER_BYTES, write_columns, write_pictures, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """One video to decode and the file to write; goes to a worker process."""

    video: Video
    path: Path
    settings: StoreSettings
    ranges: TimeRanges = ALL_TIMES
    """Times of the video to store."""


def parts_folder(store: Path) -> Path:
    """Folder of the parts of a store."""
    return store.with_name(store.name + ".parts")


def part_path(store: Path, video_id: str) -> Path:
    """The part of one video."""
    return parts_folder(store) / f"{hashlib.sha256(video_id.encode()).hexdigest()[:32]}.h5"


def write_part(task: PartTask) -> FailedClip | None:
    """Decodes one video into a part; returns the failure that the part records, or None.

    Raises:
        PipelineError: if the disk refuses.
    """
    video = task.video
    try:
        write_frames(
            task.path,
            read_frames(source_of(video), rate=video.rate),
            video_id=video.id,
            source_digest=content_digest(video.path),
            settings=task.settings,
            ranges=task.ranges,
        )
    except VideoDecodeError as err:
        failed = FailedClip(id=video.id, reason=str(err))
        with writing(task.path, task.settings, (failed,)):
            return failed
    return None


def write_frames(
    path: Path,
    frames: Iterable[Frame],
    *,
    video_id: str,
    source_digest: str,
    settings: StoreSettings,
    ranges: TimeRanges = ALL_TIMES,
) -> None:
    """Writes the part of a video from its frames, of which few are in memory at a time.

    Of all frames of the video, those are kept that the rate picks and a range holds, of which there
    may be none.

    Raises:
        VideoDecodeError: if there is no frame.
        PipelineError: if the disk refuses.
    """
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise VideoDecodeError(f"video {video_id}: wanted at least one frame, found none")
    height, width, _ = first.image.shape
    stored_height, stored_width = settings.stored_size(height, width)
    row: dict[str, str | int] = {
        "video_id": video_id,
        "source_digest": source_digest,
        "source_height": height,
        "source_width": width,
        "stored_height": stored_height,
        "stored_width": stored_width,
        "ranges": ranges_text(ranges),
    }
    kept = within(at_rate(chain([first], remaining), settings.rate), ranges)
    with writing(path, settings) as file:
        _write_kept(file, kept, settings)
        write_columns(file, {name: [value] for name, value in row.items()})


def _write_kept(file: h5py.File, frames: Iterable[Frame], settings: StoreSettings) -> None:
    index_F: list[int] = []
    seconds_F: list[float] = []

    def encoded() -> Iterator[bytes]:
        for frame in frames:
            index_F.append(frame.index)
            seconds_F.append(frame.seconds)
            yield encode_frame(frame.image, settings)

    checksum, crc32c_F, sizes_F = write_pictures(encoded(), partial(_append, file))
    columns: dict[str, Sequence[float]] = {
        "jpeg_crc32": [checksum],
        "video_offsets": [0, len(index_F)],
        "seconds_crc32c": [column_checksum("seconds", seconds_F)],
        "frame_index_crc32c": [column_checksum("frame_index", index_F)],
        "frame_index": index_F,
        "seconds": seconds_F,
        "jpeg_offsets": [*accumulate(sizes_F, initial=0)],
        "frame_crc32c": crc32c_F,
    }
    write_columns(file, columns)


def _append(file: h5py.File, buffer: bytearray) -> None:
    if "jpeg" not in file and len(buffer) < BUFFER_BYTES:
        # as long as it is, where a chunk would take more than most short videos
        file["jpeg"] = np.frombuffer(buffer, np.uint8)
        return
    if "jpeg" not in file:
        file.create_dataset(
            "jpeg", shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(CHUNK_BYTES,)
        )
    jpeg = file["jpeg"]
    start = jpeg.shape[0]
    jpeg.resize((start + len(buffer),))
    jpeg[start:] = np.frombuffer(buffer, np.uint8)


def at_rate(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """The frames nearest to the times s, s + 1 / rate, s + 2 / rate, ... where s is the first
    frame's time; each once, so that a lower rate of the video is kept as it is.

    Of two frames equally near to a time, the earlier one is taken. The grid ends half an interval
    after the last frame. It belongs to the whole video, whatever is kept of it later.

    Args:
        frames: in order of time.
        rate: times a second; None keeps every frame.
    """
    if rate is None:
        yield from frames
        return
    remaining = iter(frames)
    before = next(remaining, None)
    if before is None:
        return
    origin, taken, half_interval = before.seconds, -1, 0.0
    for frame in remaining:
        half_interval = (frame.seconds - before.seconds) / 2
        last = _last_tick(before.seconds + half_interval - origin, rate)
        if last > taken:
            yield before
            taken = last
        before = frame
    if _last_tick(before.seconds + half_interval - origin, rate) > taken:
        yield before


def within(frames: Iterable[Frame], ranges: TimeRanges) -> Iterator[Frame]:
    """The frames whose time lies in one of the ranges; stops reading after the last range."""
    for frame in frames:
        if frame.seconds >= ranges.end:
            return
        if frame.seconds in ranges:
            yield frame


def _last_tick(seconds: float, rate: float) -> int:
    """Number of the last time of the grid that is not after `seconds`, but for rounding."""
    return floor(seconds * rate + 1e-9)
