"""Which file of masks belongs to which listed video.

The id that a file's place gives must be the listed one. Where no file has it exactly, one that
differs in case only is taken, as VLOG's list asks for, unless two files or two ids come into
question. Nothing is guessed and nothing is passed over in silence.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

logger = logging.getLogger(__name__)

Format = Literal["authors", "epic100"]

_SUFFIX = ".pkl"
_CLIP_NAME = f"clip{_SUFFIX}"
"""What each file of the authors is called; its folder is the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Files that claim one video."""

    ids: tuple[str, ...]
    """The listed ids that come into question."""
    files: tuple[Path, ...]
    """The files that were not taken."""
    is_settled: bool
    """Whether each of the ids has a file of exactly its name beside these, which was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What became of the files and of the listed videos."""

    matched: dict[str, Path]
    """File of each listed video that has one, in the order of the list."""
    ignoring_case: tuple[str, ...]
    """Ids of `matched` whose file differs in case."""
    unmatched: tuple[Path, ...]
    """Files that belong to no listed video."""
    duplicates: tuple[Duplicate, ...]
    """Files of which more than one claims a video."""
    without: tuple[str, ...]
    """Listed ids for which there is no file, those of unsettled duplicates included."""


def find_files(folder: Path, form: Format) -> list[tuple[str, Path]]:
    """The id and the path of each mask file below a folder, sorted by path.

    For `authors` the id is the path below `folder`, `ID/clip.pkl` or `ID.pkl`; for `epic100` it is
    the file's name, whatever folder it lies in.
    """

    def unlisted(err: OSError) -> None:
        logger.warning("%s: not looked into (%s)", err.filename, err.strerror or err)

    found = []
    for parent, folders, names in os.walk(folder, onerror=unlisted):
        folders.sort()
        for name in names:
            if name.endswith(_SUFFIX):
                path = Path(parent, name)
                found.append((_id_of(path.relative_to(folder), form), path))
    return sorted(found, key=lambda pair: pair[1])


def match_files(files: Iterable[tuple[str, Path]], video_ids: Sequence[str]) -> Matching:
    """Pairs files, each an id and a path, with listed videos, each listed once."""
    files_of: dict[str, list[tuple[str, Path]]] = {}
    for file_id, path in files:
        files_of.setdefault(file_id.casefold(), []).append((file_id, path))
    ids_of: dict[str, list[str]] = {}
    for video_id in video_ids:
        if video_id.casefold() in files_of:
            ids_of.setdefault(video_id.casefold(), []).append(video_id)

    matched: dict[str, Path] = {}
    ignoring_case: list[str] = []
    duplicates: list[Duplicate] = []
    for key, ids in ids_of.items():
        exact, rest_ids, rest_files = _exact_pairs(ids, files_of[key])
        matched |= exact
        if len(rest_ids) == len(rest_files) == 1:
            matched[rest_ids[0]] = rest_files[0]
            ignoring_case.append(rest_ids[0])
        elif rest_files:
            duplicates.append(
                Duplicate(
                    ids=tuple(rest_ids or ids), files=tuple(rest_files), is_settled=not rest_ids
                )
            )
    return Matching(
        matched={each: matched[each] for each in video_ids if each in matched},
        ignoring_case=tuple(ignoring_case),
        unmatched=tuple(
            path for key, pairs in files_of.items() if key not in ids_of for _, path in pairs
        ),
        duplicates=tuple(duplicates),
        without=tuple(each for each in video_ids if each not in matched),
    )


def meant_folders(
    folder: Path, files: Iterable[tuple[str, Path]], video_ids: Iterable[str]
) -> list[Path]:
    """The folders, above or below one, from which the files in it have listed ids, sorted; the
    format is `authors`, in which the way to a file is part of its id.

    Args:
        folder: the folder that was given.
        files: what `find_files` found in it.
        video_ids: the listed ids.
    """
    listed = {each.casefold() for each in video_ids}
    before = folder.absolute().parts[1:]  # without the root
    most_parts = max((each.count("/") for each in listed), default=0)
    meant: set[Path] = set()
    for file_id, path in files:
        parts = file_id.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[depth:]).casefold() in listed:
                meant.add(folder.joinpath(*parts[:depth]))
        in_folder = [] if path.name == _CLIP_NAME and path.parent == folder else parts
        for height in range(1, min(most_parts + 1, len(before)) + 1):
            if "/".join([*before[-height:], *in_folder]).casefold() in listed:
                meant.add(folder.absolute().parents[height - 1])
    return sorted(meant)


def _exact_pairs(
    ids: list[str], files: list[tuple[str, Path]]
) -> tuple[dict[str, Path], list[str], list[Path]]:
    """Ids with the one file that has exactly their name, and the ids and files that are left."""
    exact: dict[str, Path] = {}
    for video_id in ids:
        paths = [path for file_id, path in files if file_id == video_id]
        if len(paths) == 1:
            exact[video_id] = paths[0]
    taken = set(exact.values())
    return (
        exact,
        [video_id for video_id in ids if video_id not in exact],
        [path for _, path in files if path not in taken],
    )


def _id_of(relative: Path, form: Format) -> str:
    if form == "epic100":
        return relative.stem
    if relative.name == _CLIP_NAME and len(relative.parts) > 1:
        return relative.parent.as_posix()
    return relative.with_suffix("").as_posix()
