"""Parts of a clip store in work: a small HDF5 file a video, of the same format, renamed when whole.

A part holds one video, or one video that failed. Its JPEG bytes are chunked, since their number is
not known beforehand; everything else is as in the store.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from shared.atomic_file import replacing
from shared.errors import VideoDecodeError
from shared.manifests.records import Video
from shared.video import Frame, content_digest, read_frames
from stage2_train.clips.jpeg import encode_frame
from stage2_train.clips.schema import FailedClip, StoreSettings, write_failed, write_settings

__all__ = ["PartTask", "parts_folder", "write_frames", "write_part"]

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
    """Size and quality of the frames."""


def parts_folder(store: Path) -> Path:
    """Folder of the parts of a store."""
    return store.with_name(store.name + ".parts")


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
) -> None:
    """Writes the part of a video from its frames, of which few are in memory at a time.

    Raises:
        VideoDecodeError: if there is no frame.
        PipelineError: if the disk refuses.
    """
    with _new_part(path, settings) as file:
        jpeg = file.create_dataset(
            "jpeg", shape=(0,), maxshape=(None,), dtype=np.uint8, chunks=(_CHUNK_BYTES,)
        )
        index_F: list[int] = []
        seconds_F: list[float] = []
        offsets_F1 = [0]
        size = (0, 0)
        buffer = bytearray()
        for frame in frames:
            size = size if index_F else frame.image.shape[:2]
            data = encode_frame(frame.image, settings)
            index_F.append(frame.index)
            seconds_F.append(frame.seconds)
            offsets_F1.append(offsets_F1[-1] + len(data))
            buffer += data
            if len(buffer) >= _BUFFER_BYTES:
                _append(jpeg, buffer)
                buffer = bytearray()
        if not index_F:
            raise VideoDecodeError(f"video {video_id}: wanted at least one frame, found none")
        _append(jpeg, buffer)
        file.create_dataset("video_id", data=[video_id], dtype=h5py.string_dtype())
        file.create_dataset("source_digest", data=[source_digest], dtype=h5py.string_dtype())
        file.create_dataset("source_height", data=np.array([size[0]], np.int64))
        file.create_dataset("source_width", data=np.array([size[1]], np.int64))
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
