"""Reads a clip store: any frames of any video, in any process.

Frames are read through a map of the file (`store_file`). So a store may be used by threads,
survives a fork, and opens itself again after it was pickled into another process. What is read is
checked there: the times of a video when they are first asked for, each picture every time.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ClipStoreError
from orn.shared.text_table import counted
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames.crop import CropWindow
from orn.stage2_train.frames.files import files_there, read_files
from orn.stage2_train.frames.jpeg import decode_frame
from orn.stage2_train.frames.store_file import StoreFile, read_store


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """The stored frames of one video, of which nothing is read before it is asked for."""

    id: str
    file: StoreFile
    """The file of the store that holds them."""
    row: int
    """Its place in that file."""
    _checked: set[str]
    """Videos whose times were checked."""

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder that was decoded."""
        return str(self.file.columns["source_digest"][self.row])

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the stored frames."""
        return self.file.stored_size(self.row)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing; checked once.

        Raises:
            ClipStoreError: if they are damaged.
        """
        if self.id not in self._checked:
            self.file.of_frames("seconds", self.row)
            self._checked.add(self.id)
        return self.file.columns["seconds"][self.file.places(self.row)]

    @property
    def told_seconds(self) -> NDArray[np.float64]:
        """The same: a store knows them."""
        return self.seconds

    def __len__(self) -> int:
        """F, the number of frames."""
        places = self.file.places(self.row)
        return int(places.stop - places.start)

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places of `seconds`, in that order, repeats
        included, or a window of them.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
        """
        stored, num_frames = self.stored_size, len(self)
        size = stored if window is None else (window.height, window.width)
        images = np.empty((len(frames_n), *size, 3), np.uint8)
        frames = frames_n.tolist()
        for frame in frames:
            if not 0 <= frame < num_frames:
                raise ClipStoreError(
                    f"{self.file.path}: video {self.id}: wanted frame {frame}, the store has "
                    f"{counted(num_frames, 'frame')}"
                )
        for place, data in enumerate(self.file.jpeg_files(self.row, frames)):
            try:
                image = decode_frame(data, stored)
            except (RuntimeError, ValueError) as err:
                raise self.file.no_picture(self.row, frames[place], err) from err
            images[place] = image if window is None else window.cut(image)
        return images

    @property
    def times(self) -> TimeRanges:
        """Times that are stored.

        Raises:
            ClipStoreError: if that cannot be read.
        """
        return self.file.times(self.row)

    def covers(self, times: TimeRange) -> bool:
        """Whether all frames of a time range are there, none having been left out.

        Raises:
            ClipStoreError: if that cannot be read.
        """
        return self.times.covers(times)

    def is_empty(self, times: TimeRange) -> bool:
        """Whether no stored frame lies in a time range."""
        first, last = times.places(self.seconds)
        return first == last


class ClipStore:
    """Frames of a data set's videos; may be pickled, forked and used by several workers."""

    def __init__(self, path: Path) -> None:
        """Opens the store.

        Raises:
            ClipStoreError: if there is none at `path`, it is damaged or of another format, or its
                files do not fit together.
        """
        self.path = path
        self.name = f"the clip store {path}"
        """What to call it in messages."""
        self._stamps = files_there(path)
        self.files = read_files(path, read_store)
        self.settings = self.files[0].settings
        self._places: dict[str, tuple[StoreFile, int]] = {}
        for file in self.files:
            self._add(file)
        failed = {row.id: row for file in self.files for row in file.failed}
        self.failed = tuple(row for row in failed.values() if row.id not in self)
        """Videos that are not in the store, since they could not be decoded."""
        self._checked: set[str] = set()

    def _add(self, file: StoreFile) -> None:
        """The videos of a file beside those of the files before it."""
        twice = [name for name in file.columns["video_id"] if name in self._places]
        problem = None
        if file.settings != self.settings:
            problem = f"{self.settings.describe()}, found {file.settings.describe()}"
        elif twice:
            problem = f"no video of a file before it, found {twice[0]}"
        if problem is not None:
            raise ClipStoreError(
                f"{file.path}: as a part of {self.path} wanted {problem}; remove it and run "
                "`orn clips` again"
            )
        self._places |= {name: (file, row) for row, name in enumerate(file.columns["video_id"])}

    def __reduce__(self) -> tuple[Callable[..., "ClipStore"], tuple[Path]]:
        """The path: a copy in another process opens the store for itself.

        Raises:
            ClipStoreError: if another file has taken its place in which these videos are not the
                same, or none.
        """
        if files_there(self.path) != self._stamps:
            now = ClipStore(self.path)
            if not set(self.ids) <= set(now.ids) or now.digest(self.ids) != self.digest(self.ids):
                raise ClipStoreError(
                    f"{self.path}: the clip store has changed since it was opened; bring back the "
                    "one that was there, or start anew with this one"
                )
        return ClipStore, (self.path,)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, in order of the store."""
        return tuple(self._places)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._places

    def frames(self, video_id: str) -> ClipFrames:
        """The frames of one video.

        Raises:
            ClipStoreError: if the store does not hold it.
        """
        place = self._places.get(video_id)
        if place is None:
            raise ClipStoreError(
                f"{self.path}: wanted video {video_id}, the store has "
                f"{counted(len(self._places), 'other')}; run `orn clips` to add it"
            )
        return ClipFrames(video_id, *place, self._checked)

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the stored frames of a video."""
        return self.frames(video_id).stored_size

    def digest(self, video_ids: Iterable[str]) -> str:
        """SHA-256 of what is stored of some videos, by the checksums of their pictures; equal for
        stores that hold others beside them."""
        digest = hashlib.sha256(repr(self.settings).encode())
        for video_id in sorted(set(video_ids)):
            file, row = self._places[video_id]
            digest.update(video_id.encode())
            for name in ("seconds", "frame_crc32c"):
                digest.update(file.columns[name][file.places(row)].tobytes())
        return digest.hexdigest()
