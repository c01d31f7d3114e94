"""Where the videos of a data set lie: their files are found under its folder, and looked at before
one is opened.

Ids come from tables that others wrote, and are checked where those are read: none has a `..` or
begins with a slash.
"""

import errno
import logging
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from orn.shared.data_files import is_folder, link_target_outside
from orn.shared.errors import DataRootError, VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.manifests.text_files import id_problem
from orn.shared.text import counted

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".jpg", ".jpeg")


class FoundVideo(NamedTuple):
    """Where the file of a listed video is."""

    path: Path
    ignoring_case: bool
    """Found only by ignoring case, as VLOG's list asks for, or how accents are written."""


def expand(pattern: str, video_id: str) -> str:
    """Return the path of a video relative to the data set's folder, by the manifest's pattern."""
    person = video_id.partition("_")[0]
    return pattern.replace("{person}", person).replace("{id}", video_id)


def some_videos(videos: Sequence[Video], number: int) -> Sequence[Video]:
    """Return at most so many of the videos, spread evenly over them, to measure something on."""
    return videos[:: max(len(videos) // number, 1)][:number]


def find_videos(
    folder: Path, pattern: str, video_ids: Sequence[str], *, are_folders: bool
) -> dict[str, FoundVideo]:
    """Return the videos that exist, by id, in the order of `video_ids`.

    Where no file has exactly the name that an id asks for, one is taken that has it when case, and
    how accents are written (NFC or NFD), are ignored, unless that is the file of another listed id,
    or another id asks for it in the same way. Links are followed; where they lead is looked at
    before the video is read (`source_of`), so that one video fails, not the job.

    Args:
        folder: of the data set.
        pattern: where the video of an id lies in it.
        video_ids: those that are listed.
        are_folders: whether videos are folders of frames, not files.

    Raises:
        DataRootError: if a folder that is looked through cannot be read.
    """
    tree = _Tree(str(folder), are_folders=are_folders)
    matches = {
        video_id: match
        for video_id in video_ids
        if (match := tree.find(expand(pattern, video_id))) is not None
    }
    claims = Counter(match.path for match in matches.values())
    found: dict[str, FoundVideo] = {}
    for video_id, (unlikeness, path) in matches.items():
        if unlikeness and claims[path] > 1:
            logger.warning("%s is not taken for the video %r: others match it", path, video_id)
        else:
            found[video_id] = FoundVideo(path=Path(path), ignoring_case=unlikeness > 0)
    return found


def find_ids(folder: Path, pattern: str, *, are_folders: bool) -> tuple[str, ...]:
    """Return the sorted ids of all videos that lie under the folder as the pattern says.

    One that a table must not hold, such as bytes that are not UTF-8, is left out with a warning.
    """
    expression = re.compile(
        re.escape(pattern)
        .replace(re.escape("{id}"), "(?P<id>.+)", 1)
        .replace(re.escape("{id}"), "(?P=id)")
        .replace(re.escape("{person}"), "[^/]+")
    )
    ids = set()
    for parent, folders, files in os.walk(folder.joinpath(*_fixed_parts(pattern))):
        for name in folders if are_folders else files:
            relative = (Path(parent) / name).relative_to(folder).as_posix()
            match = expression.fullmatch(relative)
            if match and expand(pattern, match["id"]) == relative:
                ids.add(match["id"])
    left_out = sorted(filter(id_problem, ids))
    if left_out:
        logger.warning(
            "%s: %s left out; expected %s as the id, got %r; rename the file or folder",
            *(folder, counted(len(left_out), "video"), id_problem(left_out[0]), left_out[0]),
        )
    return tuple(sorted(ids.difference(left_out)))


def named_folders(
    folder: Path, pattern: str, paths: Iterable[Path], data_root: Path
) -> tuple[Path, ...]:
    """Return the folders above videos that the user or the manifest names: the data root, the data
    set's folder, and those in front of the first one that depends on the video."""
    depth, fixed = len(folder.parts), len(_fixed_parts(pattern))
    deepest = {path.parts[: depth + fixed] for path in paths}
    below = {each[:stop] for each in deepest for stop in range(depth, depth + fixed + 1)}
    return (data_root.absolute(), *(Path(*each).absolute() for each in sorted(below)))


def source_of(video: Video) -> Path:
    """Return the path of a video, all of which `orn.shared.data_files` allows to be read.

    Raises:
        VideoDecodeError: if it, or a picture of a frame folder, is a link that leads out of the
            folders in `Video.inside`.
    """
    if not video.inside:
        return video.path
    inside = tuple(_real(folder) for folder in video.inside)
    for path in (str(video.path), *_linked_pictures(video.path)):
        real = link_target_outside(path, inside)
        if real is not None:
            raise VideoDecodeError(
                f"{path}: is a link that leads out of the data set's folder, to {real}; copy what "
                "is there, or link the whole folder of all videos"
            )
    return video.path


@lru_cache(maxsize=64)
def _real(folder: Path) -> Path:
    """Return where one of the few folders that all videos lie in really is; asked for once."""
    return Path(os.path.realpath(folder))


def _linked_pictures(folder: Path) -> Iterator[str]:
    """Yield the pictures of a frame folder that are links."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() and entry.name.lower().endswith(PICTURE_SUFFIXES):
                    yield entry.path
    except OSError:  # no folder, or one that its reader will not be able to read either
        return


def _fixed_parts(pattern: str) -> list[str]:
    """Return the folders of a pattern in front of the first one that depends on the video."""
    parts = pattern.split("/")
    return parts[: next(index for index, part in enumerate(parts) if "{" in part)]


class _Match(NamedTuple):
    """An entry of the file system that fits what was looked for."""

    unlikeness: int
    """0 for exactly the name that was asked for, 1 for one that differs in how accents are written,
    2 for one that differs in case."""
    path: str


class _Tree:
    """The folders below a data set's folder, each read at most once.

    Paths are texts here, and a file of exactly the name that was asked for is found without reading
    a folder, so that a hundred thousand videos take few seconds.
    """

    def __init__(self, top: str, *, are_folders: bool) -> None:
        self._top = top
        self._are_folders = are_folders
        self._folders: dict[str, list[_Match]] = {"": [_Match(0, top)]}
        self._entries: dict[str, dict[str, list[str]]] = {}

    def find(self, relative: str) -> _Match | None:
        """Return the video at a path relative to the top, the exact one before those like it."""
        exact = _Match(0, f"{self._top}/{relative}")
        if self._fits(exact):
            return exact
        return min(filter(self._fits, self._like(relative)), default=None)

    def _fits(self, match: _Match) -> bool:
        """Return whether there is a folder, or, for videos that are files, anything else: that a
        pipe is no video is said when it is read. Links are followed; one to itself fits, too."""
        try:
            mode = os.stat(match.path).st_mode  # noqa: PTH116, paths are texts here
        except OSError as err:
            return err.errno == errno.ELOOP
        return stat.S_ISDIR(mode) == self._are_folders

    def _like(self, relative: str) -> list[_Match]:
        """Return what is at a path when case and accents are ignored."""
        above, _, name = relative.rpartition("/")
        return [
            _Match(max(folder.unlikeness, _unlikeness(child, name)), f"{folder.path}/{child}")
            for folder in self._folders_like(above)
            for child in self._children(folder.path).get(_folded(name), [])
        ]

    def _folders_like(self, relative: str) -> list[_Match]:
        if relative not in self._folders:
            matches = self._like(relative)
            self._folders[relative] = [match for match in matches if is_folder(match.path)]
        return self._folders[relative]

    def _children(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder by what they are when case and accents are ignored."""
        if folder not in self._entries:
            entries: dict[str, list[str]] = {}
            try:
                for child in os.listdir(folder):  # noqa: PTH208
                    entries.setdefault(_folded(child), []).append(child)
            except OSError as err:
                raise DataRootError(f"{folder}: cannot be read ({err.strerror})") from err
            self._entries[folder] = entries
        return self._entries[folder]


def _composed(name: str) -> str:
    """Return a name whose accents are written as parts of their letters, not behind them."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(_composed(name).casefold())


def _unlikeness(name: str, wanted: str) -> int:
    return 0 if name == wanted else 1 if _composed(name) == _composed(wanted) else 2
