"""One file out of older ones and finished parts: in bounded memory, renamed when whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import google_crc32c
import h5py
import numpy as np

from orn.shared.time_ranges import TimeRanges
from orn.stage2_train.frames.schema import VIDEO_COLUMNS, FailedClip, StoreSettings, parse_ranges
from orn.stage2_train.frames.store_file import StoreFile, read_store
from orn.stage2_train.frames.writing import (
    create_column,
    write_columns,
    write_pictures,
    writing,
)

_COPIED = tuple(name for name in VIDEO_COLUMNS if not name.endswith("_crc32c"))
"""Columns of a video that are copied; the checksums are made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVideo:
    """One video of a store or part: its row of the columns, and where it lies."""

    video_id: str
    source_digest: str
    source_height: int
    source_width: int
    stored_height: int
    stored_width: int
    ranges: str
    jpeg_crc32: int
    path: Path
    """The file that holds it."""
    row: int
    """Its place in that file."""
    num_frames: int
    """How many frames are stored."""
    num_bytes: int
    """Of their JPEG files."""

    @property
    def times(self) -> TimeRanges:
        """Times that are stored."""
        return parse_ranges(self.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one file holds."""

    path: Path
    seal: int
    """Checksum in its seal."""
    follows: object
    """That of the file it was added to; None where it is the first one of a store."""
    settings: StoreSettings
    videos: tuple[StoredVideo, ...]
    """In order of the file."""
    failed: tuple[FailedClip, ...]


def read_contents(path: Path) -> Contents:
    """The table of contents of a store or part.

    Raises:
        ClipStoreError: if it cannot be read, or is of another format.
    """
    file = read_store(path)
    columns = [file.columns[name].tolist() for name in _COPIED]
    frames_V1 = file.columns["video_offsets"]
    bytes_V1 = file.columns["jpeg_offsets"][frames_V1]
    videos = []
    for row, values in enumerate(zip(*columns, strict=True)):
        file.times(row)  # so that what cannot be read is found here
        video = StoredVideo(
            **dict(zip(_COPIED, values, strict=True)),
            path=path,
            row=row,
            num_frames=int(frames_V1[row + 1] - frames_V1[row]),
            num_bytes=int(bytes_V1[row + 1] - bytes_V1[row]),
        )
        if not 0 <= video.num_bytes <= file.jpeg.length:
            raise file.damage(row, f"wanted jpeg_offsets that rise, found {video.num_bytes} bytes")
        videos.append(video)
    return Contents(
        path=path,
        seal=file.seal,
        follows=file.follows,
        settings=file.settings,
        videos=tuple(videos),
        failed=file.failed,
    )


def merge(
    path: Path,
    *,
    settings: StoreSettings,
    videos: Sequence[StoredVideo],
    failed: Sequence[FailedClip] = (),
    follows: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Writes a file of `videos`, in this order; what was at `path` stays until it is whole.

    Calls `advance` after each video; see `writing` for `follows`.

    Raises:
        ClipStoreError: if a video is damaged where it lies.
        PipelineError: if the disk refuses.
    """
    frames_V1 = [*accumulate((video.num_frames for video in videos), initial=0)]
    num_bytes = sum(video.num_bytes for video in videos)
    with writing(path, settings, failed, follows=follows) as file:
        lengths = dict.fromkeys(("frame_index", "seconds", "frame_crc32c"), frames_V1[-1])
        lengths |= {"jpeg_offsets": frames_V1[-1] + 1, "jpeg": num_bytes}
        for name, length in lengths.items():
            create_column(file, name, length)
        file["jpeg_offsets"][0] = 0
        made: dict[str, list[int]] = {"seconds_crc32c": [], "frame_index_crc32c": []}
        source: StoreFile | None = None
        byte = 0
        for video, frame in zip(videos, frames_V1, strict=False):
            if source is None or source.path != video.path:
                source = read_store(video.path)
            for name, checksum in _copy_times(file, source, video, frame).items():
                made[f"{name}_crc32c"].append(checksum)
            _copy_pictures(file, source, video, frame, byte)
            byte += video.num_bytes
            advance()
        rows = {name: [getattr(video, name) for video in videos] for name in _COPIED}
        write_columns(file, {**rows, **made, "video_offsets": frames_V1})


def _copy_times(
    file: h5py.File, source: StoreFile, video: StoredVideo, frame: int
) -> dict[str, int]:
    """Copies the times and places of a video to `frame` and what follows; their checksums."""
    checksums = {}
    for name in ("seconds", "frame_index"):
        values_F = source.of_frames(name, video.row)
        file[name][frame : frame + video.num_frames] = values_F
        checksums[name] = google_crc32c.value(values_F.tobytes())
    return checksums


def _copy_pictures(
    file: h5py.File, source: StoreFile, video: StoredVideo, frame: int, byte: int
) -> None:
    """Copies the JPEG files of a video to `byte` and what follows."""
    done = byte

    def put(buffer: bytearray) -> None:
        nonlocal done
        file["jpeg"][done : done + len(buffer)] = np.frombuffer(buffer, np.uint8)
        done += len(buffer)

    files = source.jpeg_files(video.row, range(video.num_frames))
    checksum, crc32c_F, sizes_F = write_pictures(files, put)
    if checksum != video.jpeg_crc32:
        raise source.damage(
            video.row,
            f"wanted JPEG bytes with CRC-32 {video.jpeg_crc32:08x}, found {checksum:08x}",
        )
    stop = frame + video.num_frames
    file["frame_crc32c"][frame:stop] = crc32c_F
    file["jpeg_offsets"][frame + 1 : stop + 1] = byte + np.cumsum(sizes_F, dtype=np.int64)
