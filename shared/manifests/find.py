"""Finding the files of listed videos under the folder of a data set.

A video is looked up by reading folders, each once, so that a list of a hundred thousand videos of
which few are there costs few system calls. Ids come from tables that others wrote, and are checked
where those are read: none has a `..` or begins with a slash.
"""

import errno
import logging
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from orn.shared.data_files import is_folder
from orn.shared.errors import DataRootError
from orn.shared.manifests.problems import id_problem
from orn.shared.text_table import counted

logger = logging.getLogger(__name__)


class FoundVideo(NamedTuple):
    """Where the file of a listed video is."""

    path: Path
    ignoring_case: bool
    """Found only by ignoring case, as VLOG's list asks for, or how accents are written."""


def expand(pattern: str, video_id: str) -> str:
    """The path of a video relative to the data set's folder, by the manifest's pattern."""
    person = video_id.partition("_")[0]
    return pattern.replace("{person}", person).replace("{id}", video_id)


def find_videos(
    folder: Path, pattern: str, video_ids: Sequence[str], *, are_folders: bool
) -> dict[str, FoundVideo]:
    """The videos that exist, by id, in the order of `video_ids`.

    Where no file has exactly the name that an id asks for, one is taken that has it when case, and
    how accents are written (NFC or NFD), are ignored, unless that is the file of another listed id,
    or another id asks for it in the same way. Links are followed; where they lead is looked at
    before the video is read (`orn.shared.manifests.source`), so that one video fails, not the job.

    Args:
        are_folders: whether videos are folders of frames, not files.

    Raises:
        DataRootError: if a folder that is looked through cannot be read.
    """
    tree = _Tree(folder, are_folders=are_folders)
    matches = {
        video_id: match
        for video_id in video_ids
        if (match := tree.find(expand(pattern, video_id))) is not None
    }
    claims = Counter(match.path for match in matches.values())
    found: dict[str, FoundVideo] = {}
    for video_id, match in matches.items():
        if match.unlikeness and claims[match.path] > 1:
            logger.warning(
                "%s is not taken for the video %r: others match it", match.path, video_id
            )
            continue
        path = Path(match.path)
        found[video_id] = FoundVideo(path=path, ignoring_case=match.unlikeness > 0)
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
    left_out = sorted(each for each in ids if id_problem(each))
    if left_out:
        logger.warning(
            "%s: %s left out, the id of the first, %s, %s; rename the file or folder",
            *(folder, counted(len(left_out), "video"), left_out[0], id_problem(left_out[0])),
        )
    return tuple(sorted(ids.difference(left_out)))


def named_folders(
    folder: Path, pattern: str, paths: Iterable[Path], data_root: Path
) -> dict[Path, tuple[Path, ...]]:
    """For the path of each video the folders above it that the user or the manifest names: the data
    root, the data set's folder, and those in front of the first one that depends on the video."""
    depth, fixed = len(folder.parts), len(_fixed_parts(pattern))
    named: dict[tuple[str, ...], tuple[Path, ...]] = {}
    found: dict[Path, tuple[Path, ...]] = {}
    for path in paths:
        inner = path.parts[depth : depth + fixed]
        if inner not in named:
            below = (folder.joinpath(*inner[:number]).absolute() for number in range(fixed + 1))
            named[inner] = (data_root.absolute(), *below)
        found[path] = named[inner]
    return found


def _fixed_parts(pattern: str) -> list[str]:
    """The folders of a pattern in front of the first one that depends on the video."""
    parts = pattern.split("/")
    return parts[: next(index for index, part in enumerate(parts) if "{" in part)]


class _Match(NamedTuple):
    """An entry of the file system that fits what was looked for."""

    path: str
    unlikeness: int
    """0 for exactly the name that was asked for, 1 for one that differs in how accents are written,
    2 for one that differs in case."""


class _Tree:
    """The folders below a data set's folder, each read at most once.

    Paths are texts here, and a file of exactly the name that was asked for is found without reading
    a folder, so that a hundred thousand videos take few seconds.
    """

    def __init__(self, folder: Path, *, are_folders: bool) -> None:
        self._top = str(folder)
        self._are_folders = are_folders
        self._folders: dict[str, list[_Match]] = {"": [_Match(self._top, 0)]}
        self._entries: dict[str, dict[str, list[str]]] = {}

    def find(self, relative: str) -> _Match | None:
        """The video at a path relative to the top, the exact one before those that are like it."""
        path = f"{self._top}/{relative}"
        if self._fits(path):
            return _Match(path, 0)
        parent, _, name = relative.rpartition("/")
        matches = [
            match
            for folder in self._folders_like(parent)
            for match in self._matches(folder, name)
            if self._fits(match.path)
        ]
        return min(
            matches,
            key=lambda match: _unlikeness(match.path.rpartition("/")[2], name),
            default=None,
        )

    def _fits(self, path: str) -> bool:
        """Whether there is a folder, or, for videos that are files, anything else: that a pipe is
        no video is said when it is read. Links are followed; one to itself fits, too."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116, paths are texts here
        except OSError as err:
            return err.errno == errno.ELOOP
        return stat.S_ISDIR(mode) == self._are_folders

    def _folders_like(self, relative: str) -> list[_Match]:
        """The folders at a path when case and accents are ignored, the exact one first."""
        if relative not in self._folders:
            above, _, name = relative.rpartition("/")
            matches = [
                match
                for parent in self._folders_like(above)
                for match in self._matches(parent, name)
                if is_folder(match.path)
            ]
            self._folders[relative] = sorted(matches, key=lambda each: (each.unlikeness, each))
        return self._folders[relative]

    def _matches(self, parent: _Match, name: str) -> list[_Match]:
        """The entries of a folder that have a name when case and accents are ignored."""
        if parent.path not in self._entries:
            entries: dict[str, list[str]] = {}
            try:
                for child in sorted(os.listdir(parent.path)):  # noqa: PTH208
                    entries.setdefault(_folded(child), []).append(child)
            except OSError as err:
                raise DataRootError(f"{parent.path}: cannot be read ({err.strerror})") from err
            self._entries[parent.path] = entries
        return [
            _Match(f"{parent.path}/{child}", max(parent.unlikeness, _unlikeness(child, name)))
            for child in self._entries[parent.path].get(_folded(name), [])
        ]


def _composed(name: str) -> str:
    """A name whose accents are written as parts of their letters, not behind them."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(_composed(name).casefold())


def _unlikeness(name: str, wanted: str) -> int:
    return 0 if name == wanted else 1 if _composed(name) == _composed(wanted) else 2
