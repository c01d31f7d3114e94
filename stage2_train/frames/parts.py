"""Parts of a clip store in work: a small HDF5 file a video, of the same format, renamed when whole.

A part holds one video, or one video that failed. Its JPEG bytes are chunked, since their number is
not known beforehand; everything else is as in the store. A part is named after its video, so that
whoever writes it, and however often, it holds the same.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import h5py
import numpy as np

from shared.errors import VideoDecodeError
from shared.jobs.atomic_file import replacing
from shared.manifests.records import Video
from shared.video.read import Frame, content_digest, read_frames
from stage2_train.frames.jpeg import encode_frame
from stage2_train.frames.pick import at_rate, within
from stage2_train.frames.ranges import ALL_TIMES, TimeRanges
from stage2_train.frames.schema import FailedClip, StoreSettings, write_failed, write_settings

__all__ = ["PartTask", "part_path", "parts_folder", "write_frames", "write_part"]

_CHUNK_BYTES = 2**20
_BUFFER_BYTES = 8 * 2**20
"""JPEG bytes held in memory before they go to the file: bounds memory for videos of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """One video to decode and the file to write; goes to a worker process."""

    video: Video
    """What to decode."""
    path: Path
    """Where the part goes."""
    settings: StoreSettings
    """Size, quality and rate of the frames."""
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
            read_frames(video.path, rate=video.rate),
            video_id=video.id,
            source_digest=content_digest(video.path),
            settings=task.settings,
            ranges=task.ranges,
        )
    except VideoDecodeError as err:
        failed = FailedClip(id=video.id, reason=str(err))
        with _new_part(task.path, task.settings, failed=(failed,)):
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

    Args:
        path: the part.
        frames: every frame of the video; those are kept that the rate picks and a range holds, of
            which there may be none.
        video_id: id of the manifest.
        source_digest: digest of what was decoded.
        settings: size, quality and rate.
        ranges: times to store.

    Raises:
        VideoDecodeError: if there is no frame.
        PipelineError: if the disk refuses.
    """
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise VideoDecodeError(f"video {video_id}: wanted at least one frame, found none")
    height, width, _ = first.image.shape
    with _new_part(path, settings) as file:
        _write_kept(
            file, within(at_rate(chain([first], remaining), settings.rate), ranges), settings
        )
        string = h5py.string_dtype()
        stored_height, stored_width = settings.stored_size(height, width)
        file.create_dataset("video_id", data=[video_id], dtype=string)
        file.create_dataset("source_digest", data=[source_digest], dtype=string)
        file.create_dataset("source_height", data=np.array([height], np.int64))
        file.create_dataset("source_width", data=np.array([width], np.int64))
        file.create_dataset("stored_height", data=np.array([stored_height], np.int64))
        file.create_dataset("stored_width", data=np.array([stored_width], np.int64))
        file.create_dataset("ranges", data=[ranges.to_text()], dtype=string)


def _write_kept(file: h5py.File, frames: Iterable[Frame], settings: StoreSettings) -> None:
    jpeg = file.create_dataset(
        "jpeg", shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(_CHUNK_BYTES,)
    )
    index_F: list[int] = []
    seconds_F: list[float] = []
    offsets_F1 = [0]
    checksum = 0
    buffer = bytearray()
    for frame in frames:
        data = encode_frame(frame.image, settings)
        checksum = zlib.crc32(data, checksum)
        index_F.append(frame.index)
        seconds_F.append(frame.seconds)
        offsets_F1.append(offsets_F1[-1] + len(data))
        buffer += data
        if len(buffer) >= _BUFFER_BYTES:
            _append(jpeg, buffer)
            buffer = bytearray()
    _append(jpeg, buffer)
    file.create_dataset("jpeg_crc32", data=np.array([checksum], np.uint32))
    file.create_dataset("video_offsets", data=np.array([0, len(index_F)], np.int64))
    file.create_dataset("frame_index", data=np.array(index_F, np.int64))
    file.create_dataset("seconds", data=np.array(seconds_F, np.float64))
    file.create_dataset("jpeg_offsets", data=np.array(offsets_F1, np.int64))


@contextmanager
def _new_part(
    path: Path, settings: StoreSettings, *, failed: Sequence[FailedClip] = ()
) -> Iterator[h5py.File]:
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        write_settings(file, settings)
        write_failed(file, failed)
        yield file


def _append(jpeg: h5py.Dataset, buffer: bytearray) -> None:
    start = jpeg.shape[0]
    jpeg.resize((start + len(buffer),))
    jpeg[start:] = np.frombuffer(buffer, np.uint8)
