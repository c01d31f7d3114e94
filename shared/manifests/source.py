"""The file or folder that a video is read from, looked at before anything in it is opened."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from orn.shared.data_files import leads_out
from orn.shared.errors import VideoDecodeError
from orn.shared.manifests.records import Video

_PICTURES = (".jpg", ".jpeg")


def source_of(video: Video) -> Path:
    """The path of a video, all of which `orn.shared.data_files` allows to be read.

    Raises:
        VideoDecodeError: if it, or a picture of a frame folder, is a link that leads out of the
            folders in `Video.inside`.
    """
    if not video.inside:
        return video.path
    inside = tuple(_real(folder) for folder in video.inside)
    for path in (str(video.path), *_pictures(video.path)):
        real = leads_out(path, inside)
        if real is not None:
            raise VideoDecodeError(
                f"{path}: is a link that leads out of the data set's folder, to {real}; copy what "
                "is there, or link the whole folder of all videos"
            )
    return video.path


@lru_cache(maxsize=64)
def _real(folder: Path) -> Path:
    """One of the few folders that all videos lie in; asked for once."""
    return Path(os.path.realpath(folder))


def _pictures(folder: Path) -> Iterator[str]:
    """The pictures of a frame folder that are links."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() and entry.name.lower().endswith(_PICTURES):
                    yield entry.path
    except OSError:  # no folder, or one that its reader will not be able to read either
        return
