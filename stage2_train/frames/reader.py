"""Reads a clip store: any frames of any video, in any process.

Pictures and times are read when they are asked for (`clip_file`), and checked then. So a store may
be used by threads and forked, and a pickled one opens the same files in another process.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from orn.shared.data_files import Stamp, is_folder
from orn.shared.errors import ClipStoreError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.frames.clip_file import ClipFile, gone, read_record
from orn.stage2_train.frames.crop import CropWindow
from orn.stage2_train.frames.jpeg import decode_frame
from orn.stage2_train.frames.schema import CLIP_FILES, ClipFileRecord, FailedClip, StoredVideo

INDEX_NAME = "clips.index.json"


_INDEX = IndexKind(
    name=INDEX_NAME,
    version="orn-clips 3",
    lines=TypeAdapter(IndexedFile[ClipFileRecord]),
    read=read_record,
    least_files=8,
)
ClipFiles = dict[Path, IndexedFile[ClipFileRecord]]


def is_clip_store(folder: Path) -> bool:
    """Return whether there is a file of a clip store in a folder."""
    return is_folder(folder) and any(folder.glob(CLIP_FILES.pattern))


def read_clip_files(folder: Path) -> ClipFiles:
    """Return what the files of a store hold, in their order; nothing of a folder that is absent.

    Raises:
        ClipStoreError: if a file is damaged.
    """
    if not is_folder(folder):
        return {}
    return index_folder(folder, sorted(folder.glob(CLIP_FILES.pattern)), _INDEX)


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """The stored frames of one video, of which nothing is read before it is asked for."""

    file: ClipFile
    """The file that holds them."""
    video: StoredVideo

    @property
    def id(self) -> str:
        """Id of the manifest."""
        return self.video.id

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder that was decoded."""
        return self.video.source_digest

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the stored frames."""
        return self.video.height, self.video.width

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times, increasing.

        Raises:
            ClipStoreError: if they are damaged.
        """
        seconds_F: NDArray[np.float64] = self.file.rows(self.video)["seconds"]
        return seconds_F

    @property
    def told_seconds(self) -> NDArray[np.float64]:
        """The same: a store knows them."""
        return self.seconds

    def __len__(self) -> int:
        """F, the number of frames."""
        return self.video.num_frames

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) uint8 RGB, the frames at these places of `seconds`, in that order,
        repeats included, or a window of them.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
        """
        size = self.stored_size if window is None else (window.height, window.width)
        images = np.empty((len(frames_n), *size, 3), np.uint8)
        frames = frames_n.tolist()
        for frame in frames:
            if not 0 <= frame < len(self):
                raise ClipStoreError(
                    f"{self.file.path}: video {self.id}: expected frame {frame}, got "
                    f"{counted(len(self), 'frame')}"
                )
        files = self.file.jpeg_files(self.video, frames)
        for place, (frame, data) in enumerate(zip(frames, files, strict=True)):
            try:
                image = decode_frame(data, self.stored_size)
            except (RuntimeError, ValueError) as err:
                raise self.file.damage(self.video, f"frame {frame} is", err) from err
            images[place] = image if window is None else window.cut(image)
        return images

    def covers(self, times: TimeRange) -> bool:
        """Return whether all frames of a time range are there, none having been left out."""
        return self.video.times.covers(times)

    def is_empty(self, times: TimeRange) -> bool:
        """Return whether no stored frame lies in a time range."""
        if times == TimeRange():
            return len(self) == 0
        first, last = times.places(self.seconds)
        return first == last


class ClipStore:
    """Frames of a data set's videos; may be pickled, forked and used by several workers."""

    def __init__(self, path: Path, files: ClipFiles | None = None) -> None:
        """Open the store in a folder.

        Args:
            path: the folder.
            files: what `read_clip_files` returned; None reads it.

        Raises:
            ClipStoreError: if there is none, a file is damaged or of another format, or the files
                do not fit together.
        """
        files = read_clip_files(path) if files is None else files
        if not files:
            found = "none in it" if is_folder(path) else "no such folder"
            raise ClipStoreError(
                f"{path}: expected a clip store, a folder of files such as clips-000000.h5, got "
                f"{found}; run `orn clips` to write it"
            )
        self.path = path
        self.name = f"the clip store {path}"
        """What to call it in messages."""
        self._files = {file: each.stamp for file, each in files.items()}
        self.settings = next(iter(files.values())).record.settings
        self._videos: dict[str, tuple[ClipFile, StoredVideo]] = {}
        self.tried: dict[str, FailedClip] = {}
        """Videos that could not be decoded when they were last tried, stored or not."""
        for file, each in files.items():
            if each.record.settings != self.settings:
                raise ClipStoreError(
                    f"{file}: expected {self.settings.describe()} as in the files before it, got "
                    f"{each.record.settings.describe()}; remove the file and run `orn clips` again"
                )
            opened = ClipFile(
                path=file,
                stamp=each.stamp,
                jpeg_place=each.record.jpeg_place,
                frames_place=each.record.frames_place,
            )
            for video in each.record.videos:
                self._videos[video.id] = (opened, video)
                self.tried.pop(video.id, None)
            self.tried |= {row.id: row for row in each.record.failed}
        self.failed = tuple(row for name, row in self.tried.items() if name not in self)
        """Videos that are not in the store, since they could not be decoded."""

    def __reduce__(self) -> tuple[Callable[..., "ClipStore"], tuple[Path, dict[Path, Stamp]]]:
        """The files: a copy in another process opens the same ones for itself."""
        return _opened_again, (self.path, self._files)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, in order of the files."""
        return tuple(self._videos)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._videos

    def frames(self, video_id: str) -> ClipFrames:
        """Return the frames of one video.

        Raises:
            ClipStoreError: if the store does not hold it.
        """
        place = self._videos.get(video_id)
        if place is None:
            raise ClipStoreError(
                f"{self.path}: expected video {video_id}, got {counted(len(self._videos), 'other')}"
                "; run `orn clips` to add it"
            )
        return ClipFrames(*place)

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """Return (height, width) of the stored frames of a video."""
        return self.frames(video_id).stored_size

    def digest(self, video_ids: Iterable[str]) -> str:
        """Return the SHA-256 of what is stored of some videos, by their checksums; equal for stores
        that hold others beside them."""
        videos = (self.frames(video_id).video for video_id in sorted(set(video_ids)))
        content = [(video.id, video.num_frames, video.crc32) for video in videos]
        return hashlib.sha256(repr((self.settings, content)).encode()).hexdigest()


def _opened_again(path: Path, files: dict[Path, Stamp]) -> ClipStore:
    """Raises ClipStoreError if a file is another one by now, or gone."""
    now = read_clip_files(path)
    changed = [file for file, stamp in files.items() if file not in now or now[file].stamp != stamp]
    if changed:
        raise gone(changed[0])
    return ClipStore(path, {file: now[file] for file in files})
