"""One store out of an older one and finished parts: in bounded memory, renamed when whole."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from shared.errors import ClipStoreError
from shared.jobs.atomic_file import replacing
from stage2_train.frames.ranges import TimeRanges
from stage2_train.frames.schema import (
    FailedClip,
    StoreSettings,
    read_failed,
    read_settings,
    write_failed,
    write_settings,
)

__all__ = ["Contents", "StoredVideo", "merge", "read_contents"]

_COPY_BYTES = 16 * 2**20

_TEXTS = ("video_id", "source_digest", "ranges")
_NUMBERS = ("source_height", "source_width", "stored_height", "stored_width", "jpeg_crc32")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVideo:
    """Where one video lies in a store or part."""

    id: str
    """Id of the manifest."""
    digest: str
    """Digest of the source."""
    height: int
    """Rows of the source, upright."""
    width: int
    """Columns of the source."""
    stored_height: int
    """Rows of its stored frames."""
    stored_width: int
    """Columns of its stored frames."""
    ranges: TimeRanges
    """Times that are stored."""
    jpeg_crc32: int
    """Checksum of its JPEG bytes."""
    path: Path
    """The file that holds it."""
    first_frame: int
    """Its first frame in that file."""
    num_frames: int
    """How many it has."""
    first_byte: int
    """Where its JPEG bytes start in that file."""
    num_bytes: int
    """How many it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one file holds."""

    settings: StoreSettings
    """Size and quality of its frames."""
    videos: tuple[StoredVideo, ...]
    """In order of the file."""
    failed: tuple[FailedClip, ...]
    """Videos recorded as undecodable."""


def read_contents(path: Path) -> Contents:
    """The table of contents of a store or part.

    Raises:
        ClipStoreError: if it cannot be read, or is of another format.
    """
    try:
        with h5py.File(path, "r") as file:
            settings = read_settings(file, path)
            videos = _videos(file, path)
            return Contents(settings=settings, videos=videos, failed=read_failed(file))
    except (OSError, KeyError) as err:
        raise ClipStoreError(
            f"{path}: cannot be read as a clip store ({err}); remove it and run `orn clips` again"
        ) from err


def _videos(file: h5py.File, path: Path) -> tuple[StoredVideo, ...]:
    if "video_id" not in file:
        return ()
    frames = file["video_offsets"][:]
    bytes_V1 = file["jpeg_offsets"][:][frames]
    columns = {
        name: file[name].asstr()[:] if name in _TEXTS else file[name][:].tolist()
        for name in (*_TEXTS, *_NUMBERS)
    }
    return tuple(
        StoredVideo(
            id=columns["video_id"][row],
            digest=columns["source_digest"][row],
            height=columns["source_height"][row],
            width=columns["source_width"][row],
            stored_height=columns["stored_height"][row],
            stored_width=columns["stored_width"][row],
            ranges=TimeRanges.from_text(columns["ranges"][row]),
            jpeg_crc32=columns["jpeg_crc32"][row],
            path=path,
            first_frame=int(frames[row]),
            num_frames=int(frames[row + 1] - frames[row]),
            first_byte=int(bytes_V1[row]),
            num_bytes=int(bytes_V1[row + 1] - bytes_V1[row]),
        )
        for row in range(len(frames) - 1)
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
    string = h5py.string_dtype()
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        write_settings(file, settings)
        file.create_dataset("video_id", data=[video.id for video in videos], dtype=string)
        file.create_dataset("source_digest", data=[video.digest for video in videos], dtype=string)
        file.create_dataset("source_height", data=_column(video.height for video in videos))
        file.create_dataset("source_width", data=_column(video.width for video in videos))
        file.create_dataset("stored_height", data=_column(video.stored_height for video in videos))
        file.create_dataset("stored_width", data=_column(video.stored_width for video in videos))
        ranges = [video.ranges.to_text() for video in videos]
        file.create_dataset("ranges", data=ranges, dtype=string)
        checksums = [video.jpeg_crc32 for video in videos]
        file.create_dataset("jpeg_crc32", data=np.array(checksums, np.uint32))
        write_failed(file, failed)
        _copy_frames(file, videos, advance)


def _copy_frames(
    file: h5py.File, videos: Sequence[StoredVideo], advance: Callable[[], None]
) -> None:
    frames_V1 = np.cumsum(_column([0, *(video.num_frames for video in videos)]))
    bytes_V1 = np.cumsum(_column([0, *(video.num_bytes for video in videos)]))
    num_frames, num_bytes = int(frames_V1[-1]), int(bytes_V1[-1])
    file.create_dataset("video_offsets", data=frames_V1)
    index = file.create_dataset("frame_index", shape=(num_frames,), dtype=np.int64)
    seconds = file.create_dataset("seconds", shape=(num_frames,), dtype=np.float64)
    jpeg_offsets = file.create_dataset("jpeg_offsets", shape=(num_frames + 1,), dtype=np.int64)
    jpeg = file.create_dataset("jpeg", shape=(num_bytes,), dtype=np.uint8)
    jpeg_offsets[0] = 0
    source_path: Path | None = None
    with ExitStack() as stack:
        for video, first_frame, first_byte in zip(videos, frames_V1, bytes_V1, strict=False):
            if video.path != source_path:
                stack.close()
                source_path = video.path
                source = stack.enter_context(h5py.File(source_path, "r"))
            there = slice(video.first_frame, video.first_frame + video.num_frames)
            here = slice(int(first_frame), int(first_frame) + video.num_frames)
            index[here] = source["frame_index"][there]
            seconds[here] = source["seconds"][there]
            ends = source["jpeg_offsets"][there.start + 1 : there.stop + 1]
            jpeg_offsets[here.start + 1 : here.stop + 1] = ends - video.first_byte + first_byte
            for done in range(0, video.num_bytes, _COPY_BYTES):
                size = min(_COPY_BYTES, video.num_bytes - done)
                start = video.first_byte + done
                jpeg[int(first_byte) + done : int(first_byte) + done + size] = source["jpeg"][
                    start : start + size
                ]
            advance()


def _column(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)
