"""Random access to the frames of a clip store.

Frames and times are read and verified on demand (`clip_file`). A store can be pickled, forked and
shared by threads.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import TypeAdapter

from orn.shared.data_files import Stamp, is_folder
from orn.shared.errors import ClipStoreError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.open_files import changed
from orn.shared.text import counted
from orn.stage2_train.clip_store.clip_file import ClipFrames, read_record
from orn.stage2_train.clip_store.store_format import CLIP_FILES, ClipFileRecord, FailedClip

INDEX_NAME = "clips.index.json"
_INDEX = IndexKind(
    name=INDEX_NAME,
    version="orn-clips 4",
    lines=TypeAdapter(IndexedFile[ClipFileRecord]),
    read=read_record,
    least_files=8,
)
ClipFiles = dict[Path, IndexedFile[ClipFileRecord]]


def is_clip_store(folder: Path) -> bool:
    """Return whether a folder contains a file of a clip store."""
    return is_folder(folder) and any(folder.glob(CLIP_FILES.pattern))


def read_clip_files(folder: Path) -> ClipFiles:
    """Return the records of a store's files, in order; empty if the folder is missing.

    Raises:
        ClipStoreError: if a file is corrupt.
    """
    if not is_folder(folder):
        return {}
    return index_folder(folder, sorted(folder.glob(CLIP_FILES.pattern)), _INDEX)


class ClipStore:
    """Stored frames of a data set's videos; can be pickled and shared by workers."""

    def __init__(self, path: Path, files: ClipFiles | None = None) -> None:
        """Open the store in a folder.

        Args:
            path: the folder.
            files: result of `read_clip_files`; None calls it.

        Raises:
            ClipStoreError: if there is no store, a file is corrupt or has a different format, or
                files have different settings.
        """
        files = read_clip_files(path) if files is None else files
        if not files:
            got = "no such files" if is_folder(path) else "no such folder"
            raise ClipStoreError(
                f"{path}: expected a clip store, a folder of files such as clips-000000.h5, got "
                f"{got}; run `orn clips` to create it"
            )
        self.path = path
        self.name = f"the clip store {path}"
        """Name in messages."""
        self._files = {file: each.stamp for file, each in files.items()}
        self.settings = next(iter(files.values())).record.settings
        self._videos: dict[str, ClipFrames] = {}
        self.tried: dict[str, FailedClip] = {}
        """Videos whose last decoding failed, including those with frames from before."""
        for file, each in files.items():
            if each.record.settings != self.settings:
                raise ClipStoreError(
                    f"{file}: expected {self.settings.describe()} as in the preceding files, got "
                    f"{each.record.settings.describe()}; remove the file and run `orn clips` again"
                )
            for video in each.record.videos:
                self._videos[video.id] = ClipFrames(file, each, video)
                self.tried.pop(video.id, None)
            self.tried |= {row.id: row for row in each.record.failed}
        self.failed = tuple(row for name, row in self.tried.items() if name not in self)
        """Videos that could not be decoded and are not in the store."""

    def __reduce__(self) -> tuple[Callable[..., "ClipStore"], tuple[Path, dict[Path, Stamp]]]:
        """Return the path and stamps of the files, which a copy in another process reopens."""
        return _reopened, (self.path, self._files)

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

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """Return (height, width) of the stored frames of a video."""
        return self.frames(video_id).stored_size

    def digest(self, video_ids: Iterable[str]) -> str:
        """Return the SHA-256 of some videos' stored frames, computed from their checksums; other
        videos in the store have no effect."""
        videos = (self.frames(video_id).video for video_id in sorted(set(video_ids)))
        content = [(video.id, video.num_frames, video.crc32) for video in videos]
        return hashlib.sha256(repr((self.settings, content)).encode()).hexdigest()


def _reopened(path: Path, files: dict[Path, Stamp]) -> ClipStore:
    """Reopen a store; raise ClipStoreError if a file has changed or is missing."""
    now = read_clip_files(path)
    differing = [
        file for file, stamp in files.items() if file not in now or now[file].stamp != stamp
    ]
    if differing:
        raise ClipStoreError(changed(differing[0]))
    return ClipStore(path, {file: now[file] for file in files})
