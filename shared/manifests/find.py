"""Finding the files of listed videos under the folder of a data set.

A video is looked up by reading folders, each once, so that a list of a hundred thousand videos of
which few are there costs few system calls. Ids come from tables that others wrote: whatever they
say, no path outside of the data set's folder is ever handed out.
"""

import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shared.errors import DataRootError, ManifestError

__all__ = ["FoundVideo", "expand", "find_ids", "find_videos"]

logger = logging.getLogger(__name__)


class FoundVideo(NamedTuple):
    """Where the file of a listed video is."""

    path: Path
    ignoring_case: bool
    """Found only by ignoring case, as VLOG's list asks for."""


def expand(pattern: str, video_id: str) -> str:
    """The path of a video relative to the data set's folder, by the manifest's pattern."""
    person = video_id.partition("_")[0]
    return pattern.replace("{person}", person).replace("{id}", video_id)


def find_videos(
    folder: Path, pattern: str, video_ids: Sequence[str], *, are_folders: bool
) -> dict[str, FoundVideo]:
    """The videos that exist, by id, in the order of `video_ids`.

    Where no file has exactly the name that an id asks for, one is taken that has it when case is
    ignored, unless that is the file of another listed id, or another id asks for it in the same
    way. The folders in front of the id may be links to anywhere (to a larger disk, say); below
    them links may not lead out.

    Args:
        are_folders: whether videos are folders of frames, not files.

    Raises:
        ManifestError: naming an id whose file is a link that leads out of the data set's folder.
    """
    tree = _Tree(folder, num_fixed=len(_fixed_parts(pattern)), are_folders=are_folders)
    matches: dict[str, _Match] = {}
    for video_id in video_ids:
        match = tree.find(expand(pattern, video_id))
        if match is None:
            continue
        if match.is_outside:
            raise ManifestError(
                f"video id {video_id!r}: {match.path} is a link that leads out of the data set's "
                f"folder, to {os.path.realpath(match.path)}; copy the video there, or link the "
                f"whole folder {folder / '/'.join(_fixed_parts(pattern))}"
            )
        matches[video_id] = match
    claims = Counter(match.path for match in matches.values())
    found: dict[str, FoundVideo] = {}
    for video_id, match in matches.items():
        if not match.is_exact and claims[match.path] > 1:
            logger.warning(
                "%s is not taken for the video %r: others match it", match.path, video_id
            )
            continue
        found[video_id] = FoundVideo(path=Path(match.path), ignoring_case=not match.is_exact)
    return found


def find_ids(folder: Path, pattern: str, *, are_folders: bool) -> tuple[str, ...]:
    """Ids of all videos that lie under the data set's folder as the pattern says, sorted."""
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
    return tuple(sorted(ids))


def _fixed_parts(pattern: str) -> list[str]:
    """The folders of a pattern in front of the first one that depends on the video."""
    parts = pattern.split("/")
    return parts[: next(index for index, part in enumerate(parts) if "{" in part)]


class _Match(NamedTuple):
    """An entry of the file system that fits what was looked for."""

    path: str
    is_exact: bool
    is_outside: bool
    """Reached through a link that leads out of the data set's folder."""


class _Tree:
    """The folders below a data set's folder, each read at most once.

    Paths are texts here, and a file of exactly the name that was asked for, in folders that are no
    links, is found without reading a folder, so that a hundred thousand videos take few seconds.
    """

    def __init__(self, folder: Path, *, num_fixed: int, are_folders: bool) -> None:
        self._bases = {folder.resolve()}
        self._top = str(folder)
        self._num_fixed = num_fixed
        self._are_folders = are_folders
        self._has_kind = stat.S_ISDIR if are_folders else stat.S_ISREG
        self._plain: dict[str, bool] = {"": True}
        self._folders: dict[str, list[_Match]] = {"": [_Match(self._top, True, False)]}
        self._entries: dict[str, dict[str, list[os.DirEntry[str]]]] = {}

    def find(self, relative: str) -> _Match | None:
        """The video at a path relative to the top, the exact one before those in other case."""
        parent, _, name = relative.rpartition("/")
        if self._is_plain(parent):
            path = f"{self._top}/{relative}"
            if self._has_kind(_mode(path)):
                return _Match(path, True, False)
        matches = [
            (entry.name != name, self._match(folder, entry, name))
            for folder in self._folders_like(parent)
            for entry in self._entries_like(folder.path, name)
            if (entry.is_dir() if self._are_folders else entry.is_file())
        ]
        return min(matches, key=lambda match: match[0])[1] if matches else None

    def _is_plain(self, relative: str) -> bool:
        """Whether a folder has exactly this path, and neither it nor one above it is a link, but
        for those in front of the id."""
        plain = self._plain.get(relative)
        if plain is None:
            path = f"{self._top}/{relative}"
            parent, slash, _ = relative.rpartition("/")
            if relative.count("/") < self._num_fixed:
                plain = Path(path).is_dir()
            else:
                plain = stat.S_ISDIR(_mode(path))
            plain = self._plain[relative] = plain and (not slash or self._is_plain(parent))
        return plain

    def _folders_like(self, relative: str) -> list[_Match]:
        """The folders at a path when case is ignored, the exact one first."""
        if relative not in self._folders:
            above, _, name = relative.rpartition("/")
            matches = [
                self._match(parent, entry, name)
                for parent in self._folders_like(above)
                for entry in self._entries_like(parent.path, name)
                if entry.is_dir()
            ]
            if relative.count("/") < self._num_fixed:
                self._bases.update(Path(match.path).resolve() for match in matches)
                matches = [match._replace(is_outside=False) for match in matches]
            self._folders[relative] = sorted(matches, key=lambda each: (not each.is_exact, each))
        return self._folders[relative]

    def _match(self, parent: _Match, entry: os.DirEntry[str], name: str) -> _Match:
        path = f"{parent.path}/{entry.name}"
        is_outside = parent.is_outside
        if entry.is_symlink():
            real = Path(path).resolve()
            is_outside = not any(real.is_relative_to(base) for base in self._bases)
        return _Match(path, parent.is_exact and entry.name == name, is_outside)

    def _entries_like(self, folder: str, name: str) -> list[os.DirEntry[str]]:
        """The entries of a folder whose name is `name` when case is ignored, sorted."""
        if folder not in self._entries:
            entries: dict[str, list[os.DirEntry[str]]] = {}
            try:
                with os.scandir(folder) as children:
                    for child in sorted(children, key=lambda child: child.name):
                        entries.setdefault(child.name.casefold(), []).append(child)
            except OSError as err:
                raise DataRootError(f"{folder}: cannot be read ({err.strerror})") from err
            self._entries[folder] = entries
        return self._entries[folder].get(name.casefold(), [])


def _mode(path: str) -> int:
    """What an entry is, a link not followed; 0 if it is not there."""
    try:
        return os.lstat(path).st_mode
    except OSError:  # absent, or a name that the disk cannot have
        return 0
