"""Reader for the lists of Something-Something v1 and v2 (Goyal et al. 2017), one per split.

v2: JSON files with entries {"id", "label", "template", "placeholders"}; the template is the class
name with placeholders in [brackets]. v1: lines of id;class. The test lists contain only ids.
"""

import functools
import logging
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from orn.data_manifests.manifest import SomethingLabels
from orn.data_manifests.records import Listing, Segment, Split
from orn.data_manifests.text_files import (
    VideoId,
    checked_class,
    each_row,
    read_class_names,
    read_json,
    read_lines,
    split_tables,
)
from orn.shared.errors import ManifestError
from orn.shared.text import counted, nearest

logger = logging.getLogger(__name__)

_WHAT = "one of Something-Something's lists"


@dataclass(frozen=True, slots=True)
class _Clip:
    """An entry of a list."""

    id: VideoId
    template: str | None = None
    """The class, with placeholders in brackets; None if it is not published."""

    @property
    def name(self) -> str:
        """The class name."""
        return (self.template or "").replace("[", "").replace("]", "")


def read(spec: SomethingLabels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """Return the listing; a segment is a whole clip and has its id.

    Clips whose class is not in the list of classes are skipped and counted.

    Raises:
        DataRootError: if a file is missing.
        ManifestError: if entries are invalid, or no clip has a class from the list.
    """
    source = folder / spec.classes
    classes = _read_classes(source) if labels else {}
    paths, absent = split_tables(spec, folder, partial=partial)
    by_id: dict[str, Segment] = {}
    others: Counter[str] = Counter()

    def segment_of(split: Split, clip: _Clip) -> Segment:
        label = (classes[clip.name],) if labels and clip.name else ()
        return Segment(id=clip.id, video_id=clip.id, split=split, labels=label)

    for split, path in paths.items():
        clips = _read_clips(path, are_labeled=labels and split != "test")
        names = [clip.name for clip in clips if labels and clip.name]
        others.update(name for name in names if name not in classes)
        kept = (row for row in enumerate(clips, start=1) if row[1].name not in others)
        make = functools.partial(segment_of, split)
        segments = each_row(path, kept, make, id_of=attrgetter("id"), used=by_id)
        by_id |= {segment.id: segment for segment in segments}
    if others and not any(segment.labels for segment in by_id.values()):
        first = next(iter(others))
        raise ManifestError(
            f"{source}: expected the classes of the {others.total()} listed clips, got only other "
            f"classes; correct the names, for example {nearest(first, classes)!r} to {first!r}"
        )
    if others:
        logger.warning(
            "%s: skipped %s of %s that it does not list",
            *(source, counted(others.total(), "clip"), counted(len(others), "class", "classes")),
        )
    return Listing(
        classes=tuple(classes),
        video_ids=tuple(by_id),
        segments=tuple(by_id.values()),
        left_out={
            f"class {name!r} is not in {source.name}": count
            for name, count in sorted(others.items())
        },
        absent=absent,
    )


def _read_clips(path: Path, *, are_labeled: bool) -> list[_Clip]:
    """Return the entries of a list; if `are_labeled`, all must have a class."""
    check = TypeAdapter(_Clip).validate_python

    def clip_of(entry: Any) -> _Clip:
        clip = check(entry)
        if are_labeled and not clip.name:
            raise ValueError(f"clip {clip.id!r} has no class")
        return clip

    return each_row(path, enumerate(_entries(path), start=1), clip_of)


def _entries(path: Path) -> list[Any]:
    """Return the entries of a v2 list, or the lines of a v1 list as entries."""
    if path.suffix == ".json":
        return read_json(path, _WHAT, list)
    lines = [line.partition(";") for _, line in read_lines(path, _WHAT)]
    return [{"id": clip_id.strip(), "template": name.strip()} for clip_id, _, name in lines]


def _read_classes(path: Path) -> dict[str, int]:
    """Return the index of each class."""
    if path.suffix != ".json":
        return read_class_names(path)
    index_of = read_json(path, _WHAT, dict)
    names = {str(index): name for name, index in index_of.items()}
    indices = list(map(str, range(len(index_of))))
    if names.keys() != set(indices):
        raise ManifestError(
            f"{path}: expected each index from 0 to {len(index_of) - 1} exactly once; download it "
            "again"
        )
    ordered = [names[index] for index in indices]
    each_row(path, enumerate(ordered, start=1), checked_class)
    return {name: index for index, name in enumerate(ordered)}
