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
    found: dict[str, FoundVideo] = {}
    for video_id in video_ids:
        match = tree.find(expand(pattern, video_id))
        if match is None:
            continue
        if match.is_outside:
            raise ManifestError(
                f"video id {video_id!r}: {match.path} is a link that leads out of the data set's "
                f"folder, to {match.path.resolve()}; copy the video there, or link the "
                f"whole folder {folder / '/'.join(_fixed_parts(pattern))}"
            )
        found[video_id] = FoundVideo(path=match.path, ignoring_case=not match.is_exact)
    claims = Counter(video.path for video in found.values())
    for video_id, video in list(found.items()):
        if video.ignoring_case and claims[video.path] > 1:
            logger.warning(
                "%s is not taken for the video %r: others match it", video.path, video_id
            )
            del found[video_id]
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

    path: Path
    real: Path
    """`path` with links followed."""
    is_exact: bool
    is_outside: bool
    """Reached through a link that leads out of the data set's folder."""


class _Tree:
    """The folders below a data set's folder, each read at most once."""

    def __init__(self, folder: Path, *, num_fixed: int, are_folders: bool) -> None:
        real = folder.resolve()
        top = _Match(path=folder, real=real, is_exact=True, is_outside=False)
        self._bases = {real}
        self._num_fixed = num_fixed
        self._is_wanted = stat.S_ISDIR if are_folders else stat.S_ISREG
        self._folders: dict[tuple[str, ...], list[_Match]] = {(): [top]}
        self._entries: dict[Path, dict[str, list[str]]] = {}

    def find(self, relative: str) -> _Match | None:
        """The video at a path relative to the top, the exact one before those in other case."""
        *parents, name = relative.split("/")
        folders = self._folders_named(tuple(parents))
        for folder in folders:
            match = self._child(folder, name, is_exact=folder.is_exact)
            if match:
                return match
        for folder in folders:
            for other in self._names_like(folder.path, name):
                match = self._child(folder, other, is_exact=False)
                if match:
                    return match
        return None

    def _folders_named(self, parts: tuple[str, ...]) -> list[_Match]:
        """The folders at a path when case is ignored, the exact one first."""
        if parts not in self._folders:
            is_fixed = len(parts) <= self._num_fixed
            matches = []
            for parent in self._folders_named(parts[:-1]):
                for name in self._names_like(parent.path, parts[-1]):
                    is_exact = parent.is_exact and name == parts[-1]
                    match = self._child(parent, name, is_exact=is_exact, folder_is_fixed=is_fixed)
                    if match:
                        matches.append(match)
            matches.sort(key=lambda match: (not match.is_exact, match.path))
            self._folders[parts] = matches
        return self._folders[parts]

    def _child(
        self, parent: _Match, name: str, *, is_exact: bool, folder_is_fixed: bool | None = None
    ) -> _Match | None:
        """An entry of a folder, if it is a video or, with `folder_is_fixed` given, a folder."""
        is_wanted = self._is_wanted if folder_is_fixed is None else stat.S_ISDIR
        path = parent.path / name
        try:
            is_link = stat.S_ISLNK(path.lstat().st_mode)
            if not is_wanted(path.stat().st_mode):
                return None
        except OSError:  # absent, a link to nowhere, or a name that the disk cannot have
            return None
        real = path.resolve() if is_link else parent.real / name
        if folder_is_fixed:
            self._bases.add(real)
        is_outside = parent.is_outside
        if is_link:
            is_outside = not any(real.is_relative_to(base) for base in self._bases)
        return _Match(path=path, real=real, is_exact=is_exact, is_outside=is_outside)

    def _names_like(self, folder: Path, name: str) -> list[str]:
        """Names of the entries of a folder that are `name` when case is ignored, sorted."""
        if folder not in self._entries:
            entries: dict[str, list[str]] = {}
            try:
                for entry in folder.iterdir():
                    entries.setdefault(entry.name.casefold(), []).append(entry.name)
            except OSError as err:
                raise DataRootError(f"{folder}: cannot be read ({err.strerror})") from err
            self._entries[folder] = entries
        return sorted(self._entries[folder].get(name.casefold(), ()))
