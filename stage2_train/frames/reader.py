"""Reads a clip store: any frames of any video, in any process.

HDF5 gives the table of contents; the long datasets are contiguous and are read through a read-only
map of the file, which has no lock and no file position. So a store may be used by threads, survives
a fork, and opens itself again after it was pickled into another process.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import ClipStoreError
from shared.time_ranges import TimeRange
from stage2_train.frames.crop import CropWindow
from stage2_train.frames.jpeg import decode_jpeg
from stage2_train.frames.schema import VIDEO_COLUMNS, parse_ranges, read_column, read_head

__all__ = ["ClipFrames", "ClipStore"]


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """The stored frames of one video, of which nothing is read before it is asked for."""

    id: str
    _row: int
    _store: "ClipStore"

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder that was decoded."""
        return str(self._store._columns["source_digest"][self._row])

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the stored frames."""
        columns, row = self._store._columns, self._row
        return int(columns["stored_height"][row]), int(columns["stored_width"][row])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing."""
        return self._store._seconds_F[self._places]

    @property
    def _places(self) -> slice:
        """Its frames in the store."""
        return slice(*self._store._columns["video_offsets"][self._row : self._row + 2].tolist())

    def __len__(self) -> int:
        """F, the number of frames."""
        places = self._places
        return int(places.stop - places.start)

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places of `seconds`, in that order, repeats
        included, or a window of them.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
        """
        stored = self.stored_size
        size = stored if window is None else (window.height, window.width)
        images = np.empty((len(frames_n), *size, 3), np.uint8)
        first, num_frames, jpeg = self._places.start, len(self), self._store._jpeg
        for place, frame in enumerate(frames_n.tolist()):
            if not 0 <= frame < num_frames:
                raise ClipStoreError(
                    f"video {self.id}: wanted frame {frame}, the store has {num_frames} frames"
                )
            start, stop = self._store._jpeg_offsets_F1[first + frame : first + frame + 2]
            try:
                image = decode_jpeg(jpeg[start:stop].tobytes())
                if image.shape[:2] != stored:
                    raise ValueError(f"wanted {stored}, found {image.shape[:2]} pixels")
                images[place] = image if window is None else window.cut(image)
            except (RuntimeError, ValueError) as err:
                raise ClipStoreError(
                    f"video {self.id}: frame {frame} is damaged in the store ({err}); "
                    "write it again with `orn clips --fresh`"
                ) from err
        return images

    def covers(self, times: TimeRange) -> bool:
        """Whether all frames of a time range are there, none having been left out."""
        return parse_ranges(self._store._columns["ranges"][self._row]).covers(times)

    def is_empty(self, times: TimeRange) -> bool:
        """Whether no stored frame lies in a time range."""
        first, last = times.places(self.seconds)
        return first == last


class ClipStore:
    """Frames of a data set's videos; may be pickled, forked and used by several workers."""

    def __init__(self, path: Path) -> None:
        """Opens the store.

        Raises:
            ClipStoreError: if there is none at `path`, or it is of another format.
        """
        if not path.is_file():
            raise ClipStoreError(f"{path}: there is no clip store; run `orn clips` to write it")
        self.path = path
        self.name = f"the clip store {path}"
        """What to call it in messages."""
        try:
            with h5py.File(path, "r") as file, path.open("rb") as raw:
                content = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
                self.settings, self.failed = read_head(file, path)
                names = (*VIDEO_COLUMNS, "video_offsets")
                self._columns = {name: read_column(file, name) for name in names}
                """The table of contents."""
                self._seconds_F, self._jpeg_offsets_F1, self._jpeg = (
                    _mapped(file[name], content) for name in ("seconds", "jpeg_offsets", "jpeg")
                )
        except (OSError, KeyError) as err:
            raise ClipStoreError(
                f"{path}: cannot be read as a clip store ({err}); "
                "write it again with `orn clips --fresh`"
            ) from err
        self._row_of = {name: row for row, name in enumerate(self._columns["video_id"])}

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[Path]]:
        """The path: a copy in another process opens the store for itself."""
        return ClipStore, (self.path,)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, in order of the store."""
        return tuple(self._row_of)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._row_of

    def frames(self, video_id: str) -> ClipFrames:
        """The frames of one video.

        Raises:
            ClipStoreError: if the store does not hold it.
        """
        row = self._row_of.get(video_id)
        if row is None:
            raise ClipStoreError(
                f"{self.path}: wanted video {video_id}, the store has {len(self._row_of)} others; "
                "run `orn clips` to add it"
            )
        return ClipFrames(video_id, row, self)

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the stored frames of a video."""
        return self.frames(video_id).stored_size


def _mapped(dataset: h5py.Dataset, content: mmap.mmap) -> NDArray[Any]:
    """The numbers of a contiguous dataset, read-only, where they lie in the file."""
    offset = dataset.id.get_offset()
    if offset is None and len(dataset):
        raise OSError(f"dataset {dataset.name} is not contiguous")
    return np.frombuffer(content, dataset.dtype, count=len(dataset), offset=offset or 0)
