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
from dataclasses import dataclass
from pathlib import Path

from shared.errors import DataRootError, ManifestError

__all__ = ["FoundVideo", "expand", "find_ids", "find_videos"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVideo:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """An entry of the file system that fits what was looked for."""

    path: str
    real: str
    """`path` with links followed."""
    is_exact: bool
    is_outside: bool
    """Reached through a link that leads out of the data set's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """An entry of a folder."""

    name: str
    is_link: bool
    mode: int
    """As of `os.stat`, a link followed."""


class _Tree:
    """The folders below a data set's folder, each read at most once.

    Paths are texts here and folders tell the kinds of their entries, so that finding a hundred
    thousand videos takes a second or two.
    """

    def __init__(self, folder: Path, *, num_fixed: int, are_folders: bool) -> None:
        real = str(folder.resolve())
        top = _Match(path=str(folder), real=real, is_exact=True, is_outside=False)
        self._bases = {Path(real)}
        self._num_fixed = num_fixed
        self._is_wanted = stat.S_ISDIR if are_folders else stat.S_ISREG
        self._folders: dict[str, list[_Match]] = {"": [top]}
        self._entries: dict[str, dict[str, list[_Entry]]] = {}

    def find(self, relative: str) -> _Match | None:
        """The video at a path relative to the top, the exact one before those in other case."""
        parent, _, name = relative.rpartition("/")
        folders = self._folders_named(parent)
        for folder in folders:
            entry = _entry_at(folder.path, name)
            if entry and self._is_wanted(entry.mode):
                return self._match(folder, entry, is_exact=folder.is_exact)
        for folder in folders:
            for entry in self._entries_like(folder.path, name):
                if self._is_wanted(entry.mode):
                    return self._match(folder, entry, is_exact=False)
        return None

    def _folders_named(self, relative: str) -> list[_Match]:
        """The folders at a path when case is ignored, the exact one first."""
        if relative not in self._folders:
            above, _, name = relative.rpartition("/")
            is_fixed = relative.count("/") < self._num_fixed
            matches = []
            for parent in self._folders_named(above):
                for entry in self._entries_like(parent.path, name):
                    if stat.S_ISDIR(entry.mode):
                        if is_fixed:
                            self._bases.add(Path(_real(parent, entry)))
                        is_exact = parent.is_exact and entry.name == name
                        matches.append(self._match(parent, entry, is_exact=is_exact))
            matches.sort(key=lambda match: (not match.is_exact, match.path))
            self._folders[relative] = matches
        return self._folders[relative]

    def _match(self, parent: _Match, entry: _Entry, *, is_exact: bool) -> _Match:
        real = _real(parent, entry)
        is_outside = parent.is_outside
        if entry.is_link:
            is_outside = not any(Path(real).is_relative_to(base) for base in self._bases)
        path = f"{parent.path}/{entry.name}"
        return _Match(path=path, real=real, is_exact=is_exact, is_outside=is_outside)

    def _entries_like(self, folder: str, name: str) -> list[_Entry]:
        """The entries of a folder whose name is `name` when case is ignored, sorted."""
        if folder not in self._entries:
            self._entries[folder] = _read_folder(folder)
        return self._entries[folder].get(name.casefold(), [])


def _real(parent: _Match, entry: _Entry) -> str:
    if entry.is_link:
        return os.path.realpath(f"{parent.path}/{entry.name}")
    return f"{parent.real}/{entry.name}"


def _entry_at(folder: str, name: str) -> _Entry | None:
    path = f"{folder}/{name}"
    try:
        mode = os.lstat(path).st_mode
        is_link = stat.S_ISLNK(mode)
        return _Entry(
            name=name, is_link=is_link, mode=Path(path).stat().st_mode if is_link else mode
        )
    except OSError:  # absent, a link to nowhere, or a name that the disk cannot have
        return None


def _read_folder(folder: str) -> dict[str, list[_Entry]]:
    """The files and folders in a folder, by their names with case folded."""
    entries: dict[str, list[_Entry]] = {}
    try:
        with os.scandir(folder) as children:
            for child in sorted(children, key=lambda child: child.name):
                mode = stat.S_IFDIR if child.is_dir() else stat.S_IFREG if child.is_file() else 0
                entry = _Entry(name=child.name, is_link=child.is_symlink(), mode=mode)
                entries.setdefault(child.name.casefold(), []).append(entry)
    except OSError as err:
        raise DataRootError(f"{folder}: cannot be read ({err.strerror})") from err
    return entries
