"""Find the videos given on a command line: files, folders of files, folders of frames."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from orn.data_manifests.find_videos import VIDEO_SUFFIXES
from orn.data_manifests.records import Video
from orn.shared.data_files import walk
from orn.shared.errors import ConfigError
from orn.shared.text import path_text, utf8
from orn.shared.video.frame import PICTURE_SUFFIXES


def find_given_videos(sources: Sequence[str], *, rate: float | None = None) -> tuple[Video, ...]:
    """Return unique videos, in the order of the arguments, then by name.

    The id of a video is its path, with escapes for bytes that are not valid UTF-8. A missing file
    is included, and fails later.

    Args:
        sources: arguments given to the command.
        rate: frame rate in Hz of folders of frames.

    Raises:
        ConfigError: if an argument is empty, a folder has no video, or the frame rate of a folder
            is missing.
    """
    videos: dict[str, Video] = {}
    for source in sources:
        for video in _of_source(source, rate):
            videos.setdefault(os.path.realpath(video.path), video)
    return tuple(videos.values())


def output_paths(
    out: Path | None,
    videos: Sequence[Video],
    *,
    suffix: str = ".mp4",
    option: str = "--overlay",
) -> dict[str, Path]:
    """Return the output of each video by id: `out`, or a file in it unless it ends in the suffix.

    Args:
        out: file or folder; None for no output.
        videos: the videos.
        suffix: suffix of the files.
        option: option that gave `out`, for messages.

    Raises:
        ConfigError: if `out` is one file for several videos.
    """
    if out is None:
        return {}
    if out.suffix.lower() != suffix:
        return {video.id: out / f"{video.path.stem}{suffix}" for video in videos}
    if len(videos) > 1:
        raise ConfigError(
            where=f"{option} {path_text(out)}",
            expected=f"a folder for {len(videos):,} videos",
            got="a file",
            remedy=f"omit {suffix}",
        )
    return {video.id: out for video in videos}


def _of_source(source: str, rate: float | None) -> Iterator[Video]:
    if not source:  # as a path, it would be the current folder
        raise ConfigError("VIDEO: expected a file or a folder, got an empty string")
    path = Path(source)
    if not os.path.isdir(path):
        yield Video(id=utf8(source), path=path)
        return
    num_videos = 0
    for folder, subfolders, names in walk(path):
        subfolders[:] = [subfolder for subfolder in subfolders if not subfolder.startswith(".")]
        videos = [
            Video(id=utf8(str(file)), path=file)
            for file in (Path(folder, name) for name in names)
            if _is_kind(file.name, VIDEO_SUFFIXES)
        ]
        if not videos and any(_is_kind(name, PICTURE_SUFFIXES) for name in names):
            subfolders.clear()
            if rate is None:
                raise ConfigError(
                    f"{path_text(folder)}: a folder of frames requires a frame rate; pass it with "
                    "--rate"
                )
            videos = [Video(id=utf8(folder), path=Path(folder), rate=rate)]
        num_videos += len(videos)
        yield from videos
    if not num_videos:
        raise ConfigError(
            f"{path_text(source)}: no videos or folders of JPEGs; use files that end in "
            f"{', '.join(VIDEO_SUFFIXES)}"
        )


def _is_kind(name: str, suffixes: Sequence[str]) -> bool:
    return Path(name).suffix.lower() in suffixes and not name.startswith(".")
