"""The formats: how the videos of a source are found, and how the frames of one are read."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orn.shared.data_files import link_target_outside
from orn.shared.errors import ConfigError, ObjectImportError
from orn.stage1_detect.imports import authors_vlog, boxes, coco, epic100
from orn.stage1_detect.imports.records import RecordList
from orn.stage1_detect.imports.request import FormatName, ImportRequest
from orn.stage1_detect.imports.source import SourceFrame, SourceObject, SourceVideo

logger = logging.getLogger(__name__)


READERS: dict[str, Callable[[Path], Iterator[SourceFrame]]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}
"""Of formats with a pickle a video, whose frames have a rate of their own."""
_CLIP_NAME = "clip.pkl"
"""What each file of the authors is called; its folder is the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFormat:
    """A format whose files have the objects of many videos, told by the frames of these."""

    suffix: str
    find: Callable[[Path, RecordList, re.Pattern[str]], tuple[list[SourceVideo], list[str]]]
    """The videos in a file and the names of its classes."""
    objects_in: Callable[[bytes, SourceVideo, str], Iterable[SourceObject]]
    """The objects of a record."""
    first: int = 0
    """Number of a video's first frame."""
    rate: float | None = None
    """Frames a second that are numbered; None for those of the video."""


RECORDS = {
    "coco": RecordFormat(suffix=".json", find=coco.find_in_coco, objects_in=coco.objects_of_coco),
    "something-else": RecordFormat(
        suffix=".json",
        find=boxes.find_in_something_else,
        objects_in=boxes.objects_of_something_else,
        first=1,
        rate=boxes.SOMETHING_ELSE_RATE,
    ),
    "csv": RecordFormat(suffix=".csv", find=boxes.find_in_table, objects_in=boxes.objects_of_table),
}


def find_videos(request: ImportRequest) -> tuple[list[SourceVideo], tuple[str, ...]]:
    """Return the videos of a source, by their files, and the names of its classes.

    For `authors` the id of a video is the path below the source, `ID/clip.pkl` or `ID.pkl`; for
    `epic100` it is the file's name, whatever folder it lies in.

    Raises:
        ObjectImportError: if there is no file, or one is not of the format.
        ConfigError: if an option is not one of the format.
    """
    source, form = request.source, RECORDS.get(request.form)
    suffix = form.suffix if form else ".pkl"
    files = [source] if form and source.is_file() else _files(source, suffix)
    if not files:
        raise ObjectImportError(
            f"{source}: expected a folder with files *{suffix} below it, got none; name the folder "
            "or file that has them"
        )
    if form is None:
        ids = (_id_of(path.relative_to(source), request.form) for path in files)
        return [SourceVideo(id=each, path=path) for each, path in zip(ids, files, strict=True)], ()
    found: list[SourceVideo] = []
    names: dict[str, None] = {}
    for path in files:
        check_inside(path, source)
        first = form.first if request.first_frame is None else request.first_frame
        records = RecordList(path, first=first, rate=request.rate or form.rate)
        videos, its_names = form.find(path, records, _pattern(request.names))
        found += videos
        names |= dict.fromkeys(its_names)
    return found, tuple(names)


def check_inside(path: Path, source: Path) -> None:
    """Check that a file of a source lies in it, whatever links there are.

    Raises:
        ObjectImportError: if it does not.
    """
    if path != source and link_target_outside(path, [source]):
        raise ObjectImportError(
            f"{path}: is a link that leads out of the folder of objects; copy what is there"
        )


def _pattern(names: str | None) -> re.Pattern[str]:
    """What the names of images tell; by default that of `VIDEO/anythingNUMBER.jpg`."""
    if names is None:
        return coco.FILE_NAME
    if names.count("{frame}") != 1 or names.count("{video}") > 1:
        raise ConfigError(
            f"--names {names}: expected {{frame}} once and {{video}} at most once, such as "
            "'{video}_{frame}.jpg'"
        )
    groups = {"{video}": "(?P<video>.+)", "{frame}": r"(?P<frame>\d{1,15})", "*": ".*?"}
    parts = re.split(r"(\{video\}|\{frame\}|\*)", names)
    return re.compile("".join(groups.get(part, re.escape(part)) for part in parts))


def _files(folder: Path, suffix: str) -> list[Path]:
    """The files below a folder, sorted; those that say what images are belong to another one."""

    def unlisted(err: OSError) -> None:
        logger.warning("%s: not looked into (%s)", err.filename, err.strerror or err)

    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=unlisted)
        for name in names
        if name.endswith(suffix) and not name.endswith(coco.IMAGES_SUFFIX)
    )


def _id_of(relative: Path, form: FormatName) -> str:
    if form == "epic100":
        return relative.stem
    if relative.name == _CLIP_NAME and len(relative.parts) > 1:
        return relative.parent.as_posix()
    return relative.with_suffix("").as_posix()
