"""Reader for the lists of Something-Something v1 and v2 (Goyal et al. 2017), one per split.

v2: JSON files with entries {"id", "label", "template", "placeholders"}; the template is the class
name with placeholders in [brackets]. v1: lines of id;class. The test lists contain only ids.
"""

import functools
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from orn.shared.errors import ManifestError
from orn.shared.manifests.manifest import SomethingLabels
from orn.shared.manifests.records import Listing, Segment, Split
from orn.shared.manifests.text_files import (
    ClassName,
    VideoId,
    add_once,
    read_class_names,
    read_entries,
    read_json,
    read_lines,
    split_tables,
)
from orn.shared.text import counted, nearest

logger = logging.getLogger(__name__)

_WHAT = "one of Something-Something's lists"


class _Clip(BaseModel):
    """An entry of a list."""

    id: VideoId
    template: str | None = None
    """The class; None if it is not published."""


def read(spec: SomethingLabels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """Return the listing; a segment is a whole clip and has its id.

    Clips whose class is not in the list of classes are skipped and counted.

    Raises:
        DataRootError: if a file is missing.
        ManifestError: if entries are invalid, or no clip has a class from the list.
    """
    source = folder / spec.classes
    classes = _read_classes(source) if labels else ()
    index_of_class = {name: index for index, name in enumerate(classes)}
    paths, absent = split_tables(spec, folder, partial=partial)
    by_id: dict[str, Segment] = {}
    others: Counter[str] = Counter()

    def add(split: Split, raw: Any) -> None:
        clip = _Clip.model_validate(raw)
        name = (clip.template or "").replace("[", "").replace("]", "")
        if labels and name and name not in index_of_class:
            others[name] += 1
            return
        if labels and not name and split != "test":
            raise ValueError(f"clip {clip.id!r} has no class")
        label = (index_of_class[name],) if labels and name else ()
        segment = Segment(id=clip.id, video_id=clip.id, split=split, labels=label)
        add_once(by_id, clip.id, segment)

    for split, path in paths.items():
        read_entries(path, _entries(path), functools.partial(add, split))
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
        classes=classes,
        video_ids=tuple(by_id),
        segments=tuple(by_id.values()),
        left_out={
            f"class {name!r} is not in {source.name}": count
            for name, count in sorted(others.items())
        },
        absent=absent,
    )


def _entries(path: Path) -> list[Any]:
    """Return the entries of a v2 list, or the lines of a v1 list as entries."""
    if path.suffix == ".json":
        return read_json(path, _WHAT, list)
    lines = [line.partition(";") for line in read_lines(path, _WHAT, str)]
    return [{"id": clip_id.strip(), "template": name.strip()} for clip_id, _, name in lines]


def _read_classes(path: Path) -> tuple[str, ...]:
    if path.suffix != ".json":
        return read_class_names(path)
    indices = read_json(path, _WHAT, dict)
    names = {str(index): name for name, index in indices.items()}
    wanted = list(map(str, range(len(indices))))
    if names.keys() != set(wanted):
        raise ManifestError(
            f"{path}: expected each index from 0 to {len(indices) - 1} exactly once; download it "
            "again"
        )
    check = TypeAdapter(ClassName).validate_python
    return tuple(read_entries(path, (names[index] for index in wanted), check))
