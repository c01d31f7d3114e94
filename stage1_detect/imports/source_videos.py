"""The formats of objects, the search for videos in a source, and their match to the listed videos
of a data set.

Ids must be equal. If no id is equal, one that differs only in case (required for VLOG's list) or in
the extension of a video file is accepted, unless the match is ambiguous. Videos without a match are
reported.
"""

import logging
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from orn.data_manifests.find_videos import without_suffix
from orn.data_manifests.text_files import read_class_names
from orn.shared.data_files import not_a_file, walk
from orn.shared.errors import ConfigError, ObjectImportError
from orn.stage1_detect.imports import (
    authors_vlog,
    boxes,
    coco,
    mask_images,
    supervision_sinks,
    ultralytics_labels,
)
from orn.stage1_detect.imports import epic100_objects as epic100
from orn.stage1_detect.imports.import_config import FormatName, ImportConfig
from orn.stage1_detect.imports.object_table import ObjectTable
from orn.stage1_detect.imports.source_objects import SourceFrame, SourceRecord, SourceVideo

logger = logging.getLogger(__name__)


READERS: dict[str, Callable[[Path], Iterator[SourceFrame]]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}
"""Readers of the formats with one pickle per video, whose masks have frames of their own."""
_CLIP_NAME = "clip.pkl"
"""Name of each file of the format `authors`; its folder is the id of the video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFormat:
    """A format whose objects lie in frames of the videos; a file has records of many videos, or,
    with `is_folder`, files have records of one frame."""

    suffix: str
    """End of the names of files; several are separated by `|`."""
    read: Callable[[Path, re.Pattern[str], dict[str, None]], Iterator[SourceRecord]]
    """Yields the records of a file, given the pattern of image names, and adds the names of its
    classes to a dict, which has those of --classes."""
    first: int = 0
    """Number of a video's first frame."""
    rate: float | None = None
    """Frame rate of the frame numbers in Hz; None for the video's frame rate."""
    is_folder: bool = False
    pattern: str = coco.FILE_NAME.pattern
    """Default pattern of names."""
    omits_empty: bool = False
    """Whether frames without objects are not in the files."""


RECORDS = {
    "coco": RecordFormat(suffix=".json", read=coco.read_coco),
    "something-else": RecordFormat(
        suffix=".json",
        read=boxes.read_something_else,
        first=1,
        rate=boxes.SOMETHING_ELSE_RATE,
    ),
    "csv": RecordFormat(suffix=".csv", read=boxes.read_table),
    "masks": RecordFormat(suffix=".png", read=mask_images.read_masks, is_folder=True),
    "supervision": RecordFormat(
        suffix=".csv|.json", read=supervision_sinks.read_supervision, omits_empty=True
    ),
    "ultralytics": RecordFormat(
        suffix=".txt",
        read=ultralytics_labels.read_labels,
        first=1,
        is_folder=True,
        pattern=ultralytics_labels.PATTERN,
        omits_empty=True,
    ),
}


def find_source_videos(
    config: ImportConfig, table: Path
) -> tuple[Sequence[SourceVideo], tuple[str, ...]]:
    """Return the videos in a source, sorted by file, and the names of its classes.

    For `authors` the id of a video is the path below the source, `ID/clip.pkl` or `ID.pkl`; for
    `epic100` it is the name of the file, in any folder.

    Args:
        config: the source.
        table: file for the table of records, which only other formats write.
    """
    source, form = config.source, RECORDS.get(config.form)
    suffix = form.suffix if form else ".pkl"
    problem = None if os.path.isdir(source) else not_a_file(source) or "a file"
    files = _files(source, suffix) if problem is None else []
    if problem == "a file" and form and not form.is_folder:
        files = [source]
    if not files:
        raise ObjectImportError(
            f"expected a folder with files *{suffix}, or such a file, except for authors, epic100, "
            f"masks and ultralytics, got {problem or 'none in the folder'}; correct SOURCE",
            where=source,
        )
    if form is None:
        found = [
            SourceVideo(
                id=_id_of(path.relative_to(source), config.form),
                path=path,
                read=READERS[config.form],
            )
            for path in files
        ]
        return found, ()
    names: dict[str, None] = {}
    classes, lines = config.options.classes, config.options.lines
    read: Callable[..., Iterator[SourceRecord]] = form.read
    if lines is not None:
        read = partial(read, lines=lines)
    numbered = [] if classes is None else [*read_class_names(classes)]

    def records_of(file: Path) -> Iterator[SourceRecord]:
        own = dict.fromkeys(numbered)
        yield from read(file, pattern, own)
        names.update(own)

    pattern = _pattern(config.options.names, form, source)
    given = config.options.first_frame
    first = form.first if given is None else given
    try:
        records = ObjectTable(table)
        groups = [(source, files)] if form.is_folder else [(path, [path]) for path in files]
        for path, group in groups:
            own = chain.from_iterable(map(records_of, group))
            records.add(path, own, first=first, rate=config.rate or form.rate)
        return records.finish(), tuple(names)
    except sqlite3.Error as err:
        raise ObjectImportError(
            f"could not be written ({err}); check the free space of its folder", where=table
        ) from err


def _pattern(names: str | None, form: RecordFormat, source: Path) -> re.Pattern[str]:
    """Return the pattern of image names, by default `VIDEO/anythingNUMBER.jpg`, or of the paths of
    a folder whose files are frames."""
    begin = re.escape(Path(source, "x").as_posix()[:-1]) if form.is_folder else ""
    if names is None:
        return re.compile(begin + form.pattern)
    groups = {"{frame}": r"(?P<frame>\d{1,15})", "{video}": "(?P<video>.+)"}
    if form.suffix == ".png":
        groups |= {"{class}": "(?P<class>[^/]+?)", "{track}": r"(?P<track>\d{1,18})"}
    parts = re.split(r"(\{\w+\}|\*)", names)
    places = [part for part in parts if part.startswith("{")]
    if "{frame}" not in places or any(places.count(n) > 1 or n not in groups for n in places):
        raise ConfigError(
            where=f"--names {names}",
            expected=f"{{frame}}, and each of {', '.join(groups)} at most once",
            got=", ".join(places) or "none of them",
            remedy="use a pattern such as '{video}_{frame}.jpg'",
        )
    groups["*"] = ".*?"
    return re.compile(begin + "".join(groups.get(part, re.escape(part)) for part in parts))


def _files(folder: Path, suffix: str) -> list[Path]:
    """Return the sorted files below a folder, except those that describe images of results."""

    def unlisted(err: OSError) -> None:
        logger.warning("%s: skipped, cannot be listed (%s)", err.filename, err.strerror or err)

    return sorted(
        Path(parent, name)
        for parent, _, names in walk(folder, onerror=unlisted)
        for name in names
        if name.endswith((*suffix.split("|"),)) and not name.endswith(coco.IMAGES_SUFFIX)
    )


def _id_of(relative: Path, form: FormatName) -> str:
    if form == "epic100":
        return relative.stem
    if relative.name == _CLIP_NAME and len(relative.parts) > 1:
        return relative.parent.as_posix()
    return relative.with_suffix("").as_posix()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The match between source videos and listed videos."""

    matched: dict[str, SourceVideo]
    """Source video of each matched id, in the order of the list."""
    ignoring_case: tuple[str, ...]
    """Matched ids that differ in case in the source, not only in extension."""
    unmatched: tuple[SourceVideo, ...]
    """Source videos without a match."""
    ambiguous: tuple[str, ...]
    """Listed ids with several candidates."""


def match_videos(sources: Sequence[SourceVideo], video_ids: Iterable[str]) -> Matching:
    """Match the videos in a source to the ids of listed videos, which must be distinct."""
    video_ids = tuple(video_ids)
    exact, folded = _by_id(sources, fold=False), _by_id(sources, fold=True)
    matched = {name: exact[name][0] for name in video_ids if len(exact.get(name, ())) == 1}
    taken = {id(video) for video in matched.values()}
    unequal: dict[str, list[str]] = defaultdict(list)
    for name in video_ids:
        if name not in matched and without_suffix(name) in folded:
            unequal[without_suffix(name)].append(name)
    ambiguous: list[str] = []
    ignoring_case: list[str] = []
    for key, ids in unequal.items():
        left = [video for video in folded[key] if id(video) not in taken]
        if len(left) == len(ids) == 1:
            matched[ids[0]] = left[0]
            taken.add(id(left[0]))
            own, other = (text[: len(without_suffix(text))] for text in (ids[0], left[0].id))
            ignoring_case += ids if own != other else []
        elif left:
            ambiguous += ids
    return Matching(
        matched={name: matched[name] for name in video_ids if name in matched},
        ignoring_case=tuple(ignoring_case),
        unmatched=tuple(video for video in sources if id(video) not in taken),
        ambiguous=tuple(ambiguous),
    )


def match_files(sources: Sequence[SourceVideo], paths: Iterable[Path]) -> dict[Path, SourceVideo]:
    """Return the source video of each file: the one whose id, folders included, is the end of its
    path; of several, the longest. Files without one are left out.

    Raises:
        ObjectImportError: if several files or several source videos have the same end.
    """
    by_id, files = _by_id(sources, fold=True), dict[str, Path]()
    matched: dict[Path, SourceVideo] = {}
    for path in paths:
        parts = without_suffix(path.absolute().as_posix()).split("/")
        ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
        end = next((end for end in ends if end in by_id), None)
        if end is None:
            continue
        if len(by_id[end]) > 1:
            names = " and ".join(repr(video.id) for video in by_id[end])
            raise ObjectImportError(
                f"expected one match, got {names}; rename one of them", where=path
            )
        other = files.setdefault(end, path)
        if other != path:
            raise ObjectImportError(
                f"expected objects of its own, got those of {by_id[end][0].id!r}, which "
                f"{other} also matches; name the videos with their folders in the objects, or "
                "predict them one by one",
                where=path,
            )
        matched[path] = by_id[end][0]
    return matched


def _by_id(sources: Iterable[SourceVideo], *, fold: bool) -> dict[str, list[SourceVideo]]:
    videos: dict[str, list[SourceVideo]] = defaultdict(list)
    for video in sources:
        videos[without_suffix(video.id) if fold else video.id].append(video)
    return videos
