"""The published files of Something-Something v2 (Goyal et al. 2017): a JSON list for each split.

An entry is {"id", "label", "template", "placeholders"}; the template is the class name with its
placeholders in [brackets]. The test list has ids only.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.errors import ManifestError
from shared.manifests.label_schema import SomethingLabels
from shared.manifests.records import Listing, Split
from shared.manifests.something_clips import ClipList, ListedClip, list_clips
from shared.manifests.split_files import split_files
from shared.manifests.tables import Problems, read_class_names, require_file

__all__ = ["read"]


def read(spec: SomethingLabels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """What the lists say; a segment is a whole clip and has the clip's id.

    Clips of classes that the list of classes does not name are left out and counted.

    Args:
        labels: False leaves labels empty and does not need the class names.
        partial: whether the list of one split is enough; the others are then named as absent.

    Raises:
        DataRootError: naming the file that is not there.
        ManifestError: naming the file and entry that cannot be used and why.
    """
    classes = _read_classes(folder / spec.classes) if labels else None
    files = split_files(spec, folder, partial=partial)
    lists = [_read_list(folder / name, split) for split, name in files.present.items()]
    return replace(list_clips(lists, classes, folder / spec.classes), absent=files.absent)


def _read_list(path: Path, split: Split) -> ClipList:
    problems = Problems(path=path)
    clips = _clips(_read_json(path, list), problems)
    return ClipList(split=split, clips=clips, problems=problems)


def _clips(entries: list[Any], problems: Problems) -> Iterator[ListedClip]:
    for number, entry in enumerate(entries):
        place = f"entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            problems.add(place, f"wanted an object with a text 'id', found {entry!r:.80}")
            continue
        template = entry.get("template")
        if template is not None and not isinstance(template, str):
            problems.add(place, f"wanted a text as 'template', found {template!r:.80}")
        else:
            name = None if template is None else template.replace("[", "").replace("]", "")
            yield ListedClip(place=place, id=entry["id"], class_name=name)


def _read_classes(path: Path) -> tuple[str, ...]:
    if path.suffix != ".json":
        return read_class_names(path)
    indices = _read_json(path, dict)
    wanted = [str(index) for index in range(len(indices))]
    if sorted(map(str, indices.values())) != sorted(wanted):
        raise ManifestError(
            f"{path}: wanted the indices 0 to {len(indices) - 1} once each, found others"
        )
    return tuple(sorted(indices, key=lambda name: int(indices[name])))


def _read_json(path: Path, kind: type) -> Any:
    require_file(path, "one of Something-Something's lists")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as err:
        raise ManifestError(f"{path}: is not JSON ({err})") from err
    if not isinstance(content, kind):
        wanted = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: wanted {wanted}, found {type(content).__name__}")
    return content
