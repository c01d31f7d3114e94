"""One store out of an older one and finished parts: in bounded memory, renamed when whole."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import h5py

from shared.errors import ClipStoreError
from shared.jobs.atomic_file import replacing
from shared.time_ranges import TimeRanges
from stage2_train.frames.schema import (
    COLUMNS,
    VIDEO_COLUMNS,
    FailedClip,
    StoreSettings,
    parse_ranges,
    read_column,
    read_head,
    write_columns,
    write_head,
)

__all__ = ["Contents", "StoredVideo", "merge", "read_contents"]

_COPY_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVideo:
    """One video of a store or part: its row of `VIDEO_COLUMNS`, and where its frames lie."""

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
    frames: slice
    """Its frames in that file."""
    bytes: slice
    """Their JPEG bytes in that file."""

    @property
    def times(self) -> TimeRanges:
        """Times that are stored."""
        return parse_ranges(self.ranges)

    @property
    def num_frames(self) -> int:
        """How many frames are stored."""
        return int(self.frames.stop - self.frames.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one file holds."""

    settings: StoreSettings
    videos: tuple[StoredVideo, ...]
    """In order of the file."""
    failed: tuple[FailedClip, ...]


def read_contents(path: Path) -> Contents:
    """The table of contents of a store or part.

    Raises:
        ClipStoreError: if it cannot be read, or is of another format.
    """
    try:
        with h5py.File(path, "r") as file:
            settings, failed = read_head(file, path)
            return Contents(settings=settings, videos=_videos(file, path), failed=failed)
    except (OSError, KeyError) as err:
        raise ClipStoreError(
            f"{path}: cannot be read as a clip store ({err}); remove it and run `orn clips` again"
        ) from err


def _videos(file: h5py.File, path: Path) -> tuple[StoredVideo, ...]:
    if "video_id" not in file:
        return ()
    frames_V1 = read_column(file, "video_offsets")
    bytes_V1 = read_column(file, "jpeg_offsets")[frames_V1].tolist()
    frames_V1 = frames_V1.tolist()
    columns = [read_column(file, name).tolist() for name in VIDEO_COLUMNS]
    return tuple(
        StoredVideo(
            **dict(zip(VIDEO_COLUMNS, values, strict=True)),
            path=path,
            frames=slice(*frames_V1[row : row + 2]),
            bytes=slice(*bytes_V1[row : row + 2]),
        )
        for row, values in enumerate(zip(*columns, strict=True))
    )


def merge(
    path: Path,
    *,
    settings: StoreSettings,
    videos: Sequence[StoredVideo],
    failed: Sequence[FailedClip] = (),
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Writes a store of `videos`, in this order; what was at `path` stays until it is whole.

    Calls `advance` after each video.

    Raises:
        PipelineError: if the disk refuses.
    """
    frames_V1 = [*accumulate((video.num_frames for video in videos), initial=0)]
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        write_head(file, settings, failed)
        rows = {name: [getattr(video, name) for video in videos] for name in VIDEO_COLUMNS}
        write_columns(file, {**rows, "video_offsets": frames_V1})
        _copy_frames(file, videos, frames_V1, advance)


def _copy_frames(
    file: h5py.File,
    videos: Sequence[StoredVideo],
    frames_V1: Sequence[int],
    advance: Callable[[], None],
) -> None:
    sizes = [video.bytes.stop - video.bytes.start for video in videos]
    bytes_V1 = [*accumulate(sizes, initial=0)]
    num_frames, num_bytes = frames_V1[-1], bytes_V1[-1]
    lengths = {"frame_index": num_frames, "seconds": num_frames, "jpeg_offsets": num_frames + 1}
    index, seconds, jpeg_offsets, jpeg = (
        file.create_dataset(name, shape=(length,), dtype=COLUMNS[name].dtype)
        for name, length in {**lengths, "jpeg": num_bytes}.items()
    )
    jpeg_offsets[0] = 0
    source_path: Path | None = None
    with ExitStack() as stack:
        for video, frame, byte, size in zip(videos, frames_V1, bytes_V1, sizes, strict=False):
            if video.path != source_path:
                stack.close()
                source_path = video.path
                source = stack.enter_context(h5py.File(source_path, "r"))
            there, here = video.frames, slice(frame, frame + video.num_frames)
            index[here] = source["frame_index"][there]
            seconds[here] = source["seconds"][there]
            ends = source["jpeg_offsets"][there.start + 1 : there.stop + 1]
            jpeg_offsets[here.start + 1 : here.stop + 1] = ends - video.bytes.start + byte
            for done in range(0, size, _COPY_BYTES):
                stop = min(done + _COPY_BYTES, size)
                block = source["jpeg"][video.bytes.start + done : video.bytes.start + stop]
                jpeg[byte + done : byte + stop] = block
            advance()
