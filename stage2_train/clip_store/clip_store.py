"""Random access to the frames of a clip store.

Frames and times are read and verified on demand. A file is opened with HDF5 once; times and frames
are then read at their offsets, without HDF5. A store can be pickled, forked and shared by threads.
"""

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

import h5py
import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from orn.shared.config.fields import problems_of
from orn.shared.data_files import json_digest, open_file, open_stamped
from orn.shared.errors import ClipStoreError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import seconds_per_frame
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clip_store.jpeg import decode_jpeg, jpeg_decoder
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    FRAME_ROW,
    INDEX_NAME,
    MAP_DTYPE,
    RECORDED_SETTINGS,
    RECORDS,
    ClipFileRecord,
    FailedClip,
    StoredVideo,
    map_bytes,
)

_ROWS_BYTES = 2**25
"""Cache size per process for rows of frames."""
_ROW_BYTES = 500
"""Approximate size of a cache entry without its rows."""
_HEAD = b"\x89HDF\r\n\x1a\n\x03"
"""First bytes of an HDF5 file whose metadata have checksums."""
_REMEDY = "remove the file and run `orn clips` to store its videos again"
_ERRORS = (
    *(OSError, LookupError, RuntimeError, TypeError, ValueError, MemoryError),
    AttributeError,  # for a group in place of a data set
)
"""Exceptions that h5py and decoders raise for a corrupt file."""


def read_record(path: Path) -> ClipFileRecord:
    """Return the record of a file.

    Raises:
        ClipStoreError: if the file is corrupt or has a different format.
    """
    with open_file(path, error=ClipStoreError) as raw:
        head = raw.read(len(_HEAD))
    try:
        if head != _HEAD:
            raise OSError("unexpected first bytes")
        with h5py.File(path, "r", locking=False) as file:
            return replace(
                RECORDS.validate_json(file["record"][()].tobytes()),
                jpeg_offset=file["jpeg"].id.get_offset() or 0,
                frames_offset=file["frames"].id.get_offset() or 0,
                maps_offset=_offset(file, "maps"),
                motion_offset=_offset(file, "motion"),
            )
    except ValidationError as err:
        reason = problems_of(err, ClipFileRecord)
    except _ERRORS as err:
        reason = _message(err)
    raise ClipStoreError(f"{path}: not a valid file of a clip store ({reason}); {_REMEDY}")


def _offset(file: h5py.File, name: str) -> int:
    """Return the offset of an optional dataset; 0 without it."""
    return file[name].id.get_offset() or 0 if name in file else 0


def _message(err: Exception) -> str:
    return (str(err) or type(err).__name__).splitlines()[0]


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """The stored frames of one video, read on demand."""

    path: Path
    """The file that contains the frames."""
    file: IndexedFile[ClipFileRecord]
    video: StoredVideo

    @property
    def source_digest(self) -> str:
        """Digest of the decoded file or folder."""
        return self.video.source_digest

    @property
    def rows(self) -> NDArray[Any]:
        """(F,) rows of type `FRAME_ROW`.

        Raises:
            ClipStoreError: if they are corrupt.
        """
        try:
            return _rows(self)
        except _ERRORS as err:
            raise self.corruption("its times are", err) from err

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing; for errors, see `rows`."""
        seconds_F: NDArray[np.float64] = self.rows["seconds"]
        return seconds_F

    @property
    def frame_seconds(self) -> float:
        """Mean seconds from a frame of the video to the next; see `seconds_per_frame`."""
        return seconds_per_frame(self.rows["index"], self.seconds)

    def __len__(self) -> int:
        """Return F, the number of frames."""
        return self.video.num_frames

    def jpeg(self, frame: int) -> bytes:
        """Return a frame as a JPEG file.

        Raises:
            ClipStoreError: if the frame does not exist or is corrupt.
        """
        row = self.rows[frame]
        offset = self.file.record.jpeg_offset + self.video.first_byte + int(row["start"])
        try:
            return _read(self, offset, int(row["size"]), int(row["crc32"]))
        except _ERRORS as err:
            raise self.corruption(f"frame {frame} is", err) from err

    def maps(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return (n, C, h, w) float16: the maps of the frames at these indices into `seconds`.

        Raises:
            ClipStoreError: if the store has no maps, or a map is corrupt.
        """
        offset, crc32_F = self.file.record.maps_offset, self.rows["map_crc32"]
        return self._maps("maps", frames_n, offset=offset, crc32_F=crc32_F)

    def motion(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return (n, C, h, w) float16: the motion maps of the frames at these indices.

        Raises:
            ClipStoreError: if the store has no motion, or a map is corrupt.
        """
        offset, crc32_F = self.file.record.motion_offset, self.rows["motion_crc32"]
        return self._maps("motion", frames_n, offset=offset, crc32_F=crc32_F)

    def _maps(
        self, name: str, frames_n: NDArray[np.int64], *, offset: int, crc32_F: NDArray[np.uint32]
    ) -> NDArray[np.float16]:
        """Return the maps of frames from the dataset with this name and offset in the file."""
        shape = self.file.record.settings.shapes.get(name)
        if shape is None:
            raise ClipStoreError(f"{self.path}: expected frames with {name}, got frames without")
        maps_nChw, size = np.empty((len(frames_n), *shape), MAP_DTYPE), map_bytes(shape)
        for map_Chw, frame in zip(maps_nChw, frames_n.tolist(), strict=True):
            start = offset + (self.video.first_frame + frame) * size
            try:
                data = _read(self, start, size, int(crc32_F[frame]))
            except _ERRORS as err:
                raise self.corruption(f"{name} of frame {frame} are", err) from err
            map_Chw[...] = np.frombuffer(data, MAP_DTYPE).reshape(shape)
        return maps_nChw

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) uint8 RGB: the frames at these indices into `seconds`, in that order
        and possibly repeated, or a window of each.

        Raises:
            ClipStoreError: if a frame does not exist or is corrupt.
        """
        size = self.file.record.settings.size if window is None else window.size
        jpeg_decoder()  # whose absence is no damage
        images = np.empty((len(frames_n), *size, 3), np.uint8)
        for row, frame in enumerate(frames_n.tolist()):
            try:
                image = decode_jpeg(self.jpeg(frame))
                images[row] = image if window is None else window.cut(image)
            except (RuntimeError, ValueError) as err:
                raise self.corruption(f"frame {frame} is", err) from err
        return images

    def indices_in(self, times: TimeRange) -> NDArray[np.int64]:
        """Return the increasing indices of the frames that a segment with this time range reads."""
        if self.file.record.settings.clip_frames is None:
            return np.arange(*times.rows(self.seconds))
        clips = (clip.frames for clip in self.video.clips if clip.times == times)
        return np.array(next(clips, ()), np.int64)

    def covers(self, times: TimeRange) -> bool:
        """Return whether all frames that a segment with this time range reads are stored."""
        if self.file.record.settings.clip_frames is not None:
            return times in self.video.times.ranges
        return self.video.times.covers(times)

    def corruption(self, what: str, err: Exception) -> ClipStoreError:
        """Return an error for a corrupt part of the video."""
        if isinstance(err, ClipStoreError):
            return err
        if isinstance(err, OSError | MemoryError):
            return ClipStoreError(
                f"{self.path}: cannot be read ({_message(err)}); check the disk, the permissions "
                "and the memory, and run the command again"
            )
        return ClipStoreError(
            f"{self.path}: video {self.video.id}: {what} corrupt ({_message(err)}); {_REMEDY}"
        )


def _read(of: ClipFrames, offset: int, size: int, crc32: int) -> bytes:
    """Return `size` bytes at an offset of a file, after checking their CRC-32."""
    data = open_stamped(of.path, of.file.stamp, ClipStoreError).read(offset, size)
    if len(data) != size or zlib.crc32(data) != crc32:
        raise ValueError(f"expected {size} bytes with CRC-32 {crc32:08x}")
    return data


@cached(
    LRUCache(_ROWS_BYTES, getsizeof=lambda rows_F: rows_F.nbytes + _ROW_BYTES),
    key=lambda of: (of.path, of.file.stamp, of.video.first_frame, of.video.num_frames),
    lock=RLock(),
)
def _rows(of: ClipFrames) -> NDArray[Any]:
    video = of.video
    offset = of.file.record.frames_offset + video.first_frame * FRAME_ROW.itemsize
    size = video.num_frames * FRAME_ROW.itemsize
    data = _read(of, offset, size, video.crc32)
    rows_F = np.frombuffer(data, FRAME_ROW)
    if not all((rows_F[name][1:] > rows_F[name][:-1]).all() for name in ("index", "seconds")):
        raise ValueError("expected increasing indices and times")
    return rows_F


_INDEX = IndexKind(
    name=INDEX_NAME,
    version="orn-clips 8",
    lines=TypeAdapter(IndexedFile[ClipFileRecord]),
    read=read_record,
    least_files=8,
)


def is_clip_store(folder: Path) -> bool:
    """Return whether a folder contains a file of a clip store."""
    return os.path.isdir(folder) and any(folder.glob(CLIP_FILES.pattern))


class ClipStore:
    """Stored frames of a data set's videos; can be pickled and shared by workers."""

    def __init__(self, path: Path) -> None:
        """Open the store in a folder.

        Raises:
            ClipStoreError: if there is no store, a file is corrupt or has a different format, or
                files have different settings.
        """
        if not is_clip_store(path):
            got = "no such files" if os.path.isdir(path) else "no such folder"
            raise ClipStoreError(
                f"{path}: expected a clip store, a folder of files such as clips-000000.h5, got "
                f"{got}; run `orn clips` to create it"
            )
        files = index_folder(path, sorted(path.glob(CLIP_FILES.pattern)), _INDEX)
        self.path = path
        self.name = f"the clip store {path}"
        """Name in messages."""
        self.settings = next(iter(files.values())).record.settings
        self._videos: dict[str, ClipFrames] = {}
        self.tried: dict[str, FailedClip] = {}
        """Videos whose last decoding failed, including those with frames from before."""
        for file, indexed in files.items():
            settings = indexed.record.settings
            if settings != self.settings:
                raise ClipStoreError(
                    f"{file}: expected {self.settings.describe()} as in the preceding files, got "
                    f"{settings.describe()}; remove the file and run `orn clips` again"
                )
            for video in indexed.record.videos:
                self._videos[video.id] = ClipFrames(file, indexed, video)
                self.tried.pop(video.id, None)
            self.tried |= {row.id: row for row in indexed.record.failed}
        self.failed = tuple(row for name, row in self.tried.items() if name not in self)
        """Videos that could not be decoded and are not in the store."""

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[Path]]:
        """Return the path of the folder, which a copy in another process reopens."""
        return ClipStore, (self.path,)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, ordered by file."""
        return tuple(self._videos)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def frames(self, video_id: str) -> ClipFrames:
        """Return the frames of one video.

        Raises:
            ClipStoreError: if the video is missing.
        """
        frames = self._videos.get(video_id)
        if frames is None:
            raise ClipStoreError(
                f"{self.path}: expected video {video_id}, got {counted(len(self._videos), 'other')}"
                "; run `orn clips` to add it"
            )
        return frames

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the stored frames."""
        return self.settings.size

    def digest(self, video_ids: Iterable[str]) -> str:
        """Return the SHA-256 of some videos' stored frames, computed from their checksums; other
        videos in the store have no effect."""
        videos = (self.frames(video_id).video for video_id in sorted(set(video_ids)))
        content = [(video.id, video.num_frames, video.crc32) for video in videos]
        return json_digest([RECORDED_SETTINGS.dump_python(self.settings, mode="json"), content])
