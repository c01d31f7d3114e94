"""The published files of Something-Something v1 and v2 (Goyal et al. 2017), a list for each split.

v2: JSON, entries {"id", "label", "template", "placeholders"}; the template is the class name with
its placeholders in [brackets]. v1: lines of id;class. The lists of test have ids only.
"""

import logging
import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from orn.shared.errors import ManifestError
from orn.shared.manifests.problems import Problems
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import SomethingLabels, SomethingV1Labels
from orn.shared.manifests.text_files import (
    check_class_names,
    read_class_names,
    read_json,
    read_lines,
    split_tables,
)
from orn.shared.nearest import nearest
from orn.shared.text_table import counted

logger = logging.getLogger(__name__)

_WHAT = "one of Something-Something's lists"

_Clip = tuple[int | str, str, str | None]
"""Where a clip is listed, its id, and the name of its class, None if published without."""


def read(
    spec: SomethingLabels | SomethingV1Labels, folder: Path, *, labels: bool, partial: bool = False
) -> Listing:
    """What the lists say; a segment is a whole clip and has the clip's id.

    Clips of classes that the list of classes does not name are left out and counted.

    Raises:
        DataRootError: naming the file that is not there.
        ManifestError: naming the file and entry that cannot be used and why, or if clips have
            classes but none of those in the list of classes.
    """
    source = folder / spec.classes
    classes = _read_classes(source) if labels else ()
    index_of_class = {name: index for index, name in enumerate(classes)}
    paths, absent = split_tables(spec, folder, partial=partial)
    is_v1 = isinstance(spec, SomethingV1Labels)
    by_id: dict[str, Segment] = {}
    others: Counter[str] = Counter()
    for split, path in paths.items():
        problems = Problems(path=path)
        for place, clip_id, name in _v1_clips(path) if is_v1 else _v2_clips(path, problems):
            if not problems.check_id(place, clip_id):
                continue
            if clip_id in by_id:
                problems.add(place, f"clip {clip_id!r} is listed before")
            if labels and name and name not in index_of_class:
                others[name] += 1
                continue
            if labels and not name and split != "test":
                problems.add(place, f"wanted a class of clip {clip_id!r}, found none")
            label = (index_of_class[name],) if labels and name else ()
            by_id[clip_id] = Segment(id=clip_id, video_id=clip_id, split=split, labels=label)
        problems.raise_if_any()
    if others and not any(segment.labels for segment in by_id.values()):
        first = next(iter(others))
        raise ManifestError(
            f"{source}: none of the {others.total()} listed clips is of a class in it; the first "
            f"is of {first!r}, the nearest in the file is {nearest(first, classes)!r}"
        )
    if others:
        logger.warning(
            "%s: %s of %s left out, since it does not name their classes",
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


def _v1_clips(path: Path) -> Iterator[_Clip]:
    for number, line in enumerate(read_lines(path, _WHAT), start=1):
        clip_id, _, name = line.partition(";")
        yield number, clip_id.strip(), name.strip() or None


def _v2_clips(path: Path, problems: Problems) -> Iterator[_Clip]:
    for number, entry in enumerate(read_json(path, _WHAT, list)):
        place = f"entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            found = reprlib.repr(entry) if problems.has_room else ""
            problems.add(place, f"wanted an object with a text 'id', found {found}")
            continue
        template = entry.get("template")
        if template is not None and not isinstance(template, str):
            problems.add(place, f"wanted a text as 'template', found {reprlib.repr(template)}")
        else:
            name = None if template is None else template.replace("[", "").replace("]", "")
            yield place, entry["id"], name


def _read_classes(path: Path) -> tuple[str, ...]:
    if path.suffix != ".json":
        return read_class_names(path)
    names: dict[int, str] = {}
    indices = read_json(path, _WHAT, dict)
    for name, index in indices.items():
        if isinstance(index, int | str) and re.fullmatch("[0-9]{1,9}", str(index)):
            names[int(index)] = name
    if sorted(names) != list(range(len(indices))):
        raise ManifestError(
            f"{path}: wanted the indices 0 to {len(indices) - 1} once each, found others"
        )
    return check_class_names(path, (names[index] for index in sorted(names)))
