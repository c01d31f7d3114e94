"""Reads a clip store: any frames of any video, in any process.

HDF5 gives the table of contents; the long datasets are contiguous and are read through a read-only
map of the file, which has no lock and no file position. So a store may be used by threads, survives
a fork, and opens itself again after it was pickled into another process.
"""

import mmap
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import ClipStoreError
from stage2_train.clips.sampling import frames_between
from stage2_train.clips.transforms import CropWindow
from stage2_train.frames.jpeg import decode_jpeg
from stage2_train.frames.ranges import TimeRange, TimeRanges
from stage2_train.frames.schema import FailedClip, StoreSettings, read_failed, read_settings

__all__ = ["ClipFrames", "ClipStore"]

_CACHED_VIDEOS = 4096
"""Videos whose times and offsets stay in memory; a 10 s video takes 5 kB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Extent:
    """Where the numbers of one contiguous dataset lie in the file."""

    byte_offset: int
    dtype: np.dtype


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OpenStore:
    """An open store."""

    bytes: mmap.mmap
    settings: StoreSettings
    row_of: dict[str, int]
    digests: tuple[str, ...]
    source_sizes_V2: NDArray[np.int64]
    stored_sizes_V2: NDArray[np.int64]
    ranges: tuple[str, ...]
    video_offsets_V1: NDArray[np.int64]
    extents: dict[str, _Extent]
    failed: tuple[FailedClip, ...]

    def read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of one dataset, read-only."""
        extent = self.extents[name]
        offset = extent.byte_offset + start * extent.dtype.itemsize
        return np.frombuffer(self.bytes, extent.dtype, count=stop - start, offset=offset)


class ClipFrames:
    """The stored frames of one video."""

    __slots__ = (
        "_jpeg_offsets_F1",
        "_ranges",
        "_store",
        "height",
        "id",
        "seconds",
        "source_digest",
        "stored_size",
        "width",
    )

    def __init__(self, store: _OpenStore, video_id: str, row: int) -> None:
        self._store = store
        start, stop = (int(offset) for offset in store.video_offsets_V1[row : row + 2])
        self._jpeg_offsets_F1 = store.read("jpeg_offsets", start, stop + 1).tolist()
        self.id = video_id
        self.source_digest = store.digests[row]
        """Digest of the file or folder that was decoded."""
        self.height, self.width = (int(side) for side in store.source_sizes_V2[row])
        """Rows and columns of the source, upright."""
        self.stored_size = (int(store.stored_sizes_V2[row, 0]), int(store.stored_sizes_V2[row, 1]))
        """(height, width) of the stored frames."""
        self.seconds: NDArray[np.float64] = store.read("seconds", start, stop)
        """(F,) float64 presentation times, increasing."""
        self._ranges = store.ranges[row]

    def __len__(self) -> int:
        """F, the number of frames."""
        return len(self.seconds)

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames asked for, in that order, repeats included.

        Args:
            frames_n: (n,) places in the video, each in [0, F).
            window: what to cut out of the frames; None: all.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
        """
        store, offsets = self._store, self._jpeg_offsets_F1
        size = self.stored_size if window is None else (window.height, window.width)
        images = np.empty((len(frames_n), *size, 3), np.uint8)
        first_byte = store.extents["jpeg"].byte_offset
        for place, frame in enumerate(frames_n.tolist()):
            if not 0 <= frame < len(offsets) - 1:
                raise ClipStoreError(
                    f"video {self.id}: wanted frame {frame}, the store has {len(self)} frames"
                )
            start, stop = first_byte + offsets[frame], first_byte + offsets[frame + 1]
            try:
                image = decode_jpeg(store.bytes[start:stop])
                if image.shape[:2] != self.stored_size:
                    raise ValueError(f"wanted {self.stored_size}, found {image.shape[:2]} pixels")
                images[place] = image if window is None else window.cut(image)
            except (RuntimeError, ValueError) as err:
                raise ClipStoreError(
                    f"video {self.id}: frame {frame} is damaged in the store ({err}); "
                    "write it again with `orn clips --fresh`"
                ) from err
        return images

    def covers(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """Whether the store holds all frames of a time range; None leaves that end open."""
        start = float("-inf") if start_seconds is None else start_seconds
        stop = float("inf") if stop_seconds is None else stop_seconds
        return _ranges(self._ranges).covers(TimeRanges.of([TimeRange(start, stop)]))

    def is_empty(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """Whether no stored frame lies in a time range."""
        first, last = frames_between(self.seconds, start_seconds, stop_seconds)
        return first == last


class ClipStore:
    """Frames of the videos of a data set; may be pickled, forked and used by several workers."""

    def __init__(self, path: Path) -> None:
        """Opens the store.

        Raises:
            ClipStoreError: if there is none at `path`, or it is of another format.
        """
        self.path = path
        self._opened: _OpenStore | None = None
        self._videos: OrderedDict[str, ClipFrames] = OrderedDict()
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._opened = None
        self._videos = OrderedDict()

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"the clip store {self.path}"

    @property
    def settings(self) -> StoreSettings:
        """Size, quality and rate of the frames."""
        return self._open().settings

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, in order of the store."""
        return tuple(self._open().row_of)

    @property
    def failed(self) -> tuple[FailedClip, ...]:
        """Videos of which nothing could be decoded."""
        return self._open().failed

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._open().row_of

    def frames(self, video_id: str) -> ClipFrames:
        """The frames of one video.

        Raises:
            ClipStoreError: if the store does not hold it.
        """
        opened = self._open()
        video = self._videos.get(video_id)
        if video is not None:
            self._videos.move_to_end(video_id)
            return video
        row = opened.row_of.get(video_id)
        if row is None:
            raise ClipStoreError(
                f"{self.path}: wanted video {video_id}, the store has {len(opened.row_of)} others; "
                "run `orn clips` to add it"
            )
        video = self._videos[video_id] = ClipFrames(opened, video_id, row)
        if len(self._videos) > _CACHED_VIDEOS:
            self._videos.popitem(last=False)
        return video

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the stored frames of a video."""
        return self.frames(video_id).stored_size

    def _open(self) -> _OpenStore:
        if self._opened is None:
            self._opened = _open_store(self.path)
        return self._opened


def _open_store(path: Path) -> _OpenStore:
    if not path.is_file():
        raise ClipStoreError(f"{path}: there is no clip store; run `orn clips` to write it")
    try:
        with h5py.File(path, "r") as file, path.open("rb") as raw:
            return _OpenStore(
                bytes=mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ),
                settings=read_settings(file, path),
                row_of={name: row for row, name in enumerate(file["video_id"].asstr()[:])},
                digests=tuple(file["source_digest"].asstr()[:]),
                source_sizes_V2=np.stack([file["source_height"][:], file["source_width"][:]], 1),
                stored_sizes_V2=np.stack([file["stored_height"][:], file["stored_width"][:]], 1),
                ranges=tuple(file["ranges"].asstr()[:]),
                video_offsets_V1=file["video_offsets"][:],
                extents={name: _extent(file[name]) for name in ("seconds", "jpeg_offsets", "jpeg")},
                failed=read_failed(file),
            )
    except (OSError, KeyError) as err:
        raise ClipStoreError(
            f"{path}: cannot be read as a clip store ({err}); "
            "write it again with `orn clips --fresh`"
        ) from err


@lru_cache(maxsize=_CACHED_VIDEOS)
def _ranges(text: str) -> TimeRanges:
    return TimeRanges.from_text(text)


def _extent(dataset: h5py.Dataset) -> _Extent:
    offset = dataset.id.get_offset()
    if offset is None and len(dataset):
        raise OSError(f"dataset {dataset.name} is not contiguous")
    return _Extent(byte_offset=offset or 0, dtype=dataset.dtype)
