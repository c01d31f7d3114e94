"""The published files of Something-Something v2 (Goyal et al. 2017): a JSON list for each split.

An entry is {"id", "label", "template", "placeholders"}; the template is the class name with its
placeholders in [brackets]. The test list has ids only.
"""

import json
from pathlib import Path
from typing import Any

from shared.errors import ManifestError
from shared.manifests.records import Listing, Segment, Split
from shared.manifests.schema import SomethingLabels
from shared.manifests.tables import Problems, read_class_names, require_file

__all__ = ["read"]


def read(spec: SomethingLabels, folder: Path, *, labels: bool) -> Listing:
    """What the lists say; a segment is a whole clip and has the clip's id.

    Args:
        labels: False leaves labels empty and does not need the class names.

    Raises:
        DataRootError: naming the file that is not there.
        ManifestError: naming the file and entry that cannot be used and why.
    """
    classes = _read_classes(folder / spec.classes) if labels else ()
    index_of_class = {name: index for index, name in enumerate(classes)}
    files: list[tuple[Split, str | None]] = [
        ("train", spec.train),
        ("validation", spec.validation),
        ("test", spec.test),
    ]
    segments: dict[str, Segment] = {}
    for split, name in files:
        if name is None:
            continue
        problems = Problems(path=folder / name)
        for number, entry in enumerate(_read_json(folder / name, list)):
            place = f"entry {number}"
            video_id = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(video_id, str):
                problems.add(place, f"wanted an object with a text 'id', found {entry!r:.80}")
            elif problems.check_id(place, video_id):
                if video_id in segments:
                    problems.add(place, f"clip {video_id!r} is listed before")
                held = _labels(entry, index_of_class, split, place, problems) if labels else ()
                segments[video_id] = Segment(
                    id=video_id, video_id=video_id, split=split, labels=held
                )
        problems.raise_if_any()
    return Listing(classes=classes, video_ids=tuple(segments), segments=tuple(segments.values()))


def _labels(
    entry: dict[str, Any],
    index_of_class: dict[str, int],
    split: Split,
    place: str,
    problems: Problems,
) -> tuple[int, ...]:
    template = entry.get("template")
    if template is None and split == "test":
        return ()
    name = template.replace("[", "").replace("]", "") if isinstance(template, str) else ""
    if name not in index_of_class:
        problems.add_unknown(place, "class", name, index_of_class)
        return ()
    return (index_of_class[name],)


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
    except ValueError as err:
        raise ManifestError(f"{path}: is not JSON ({err})") from err
    if not isinstance(content, kind):
        wanted = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: wanted {wanted}, found {type(content).__name__}")
    return content
