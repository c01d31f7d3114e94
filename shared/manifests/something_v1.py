"""The published files of Something-Something v1 (Goyal et al. 2017): lines of id;class.

The classes stand in a file of their own, one a line, in another order than those of v2. The test
list has ids only.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from shared.manifests.label_schema import SomethingV1Labels
from shared.manifests.records import Listing, Split
from shared.manifests.something_clips import ClipList, ListedClip, list_clips
from shared.manifests.split_files import split_files
from shared.manifests.tables import Problems, read_class_names, read_lines

__all__ = ["read"]

_SEPARATOR = ";"


def read(spec: SomethingV1Labels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """What the lists say; a segment is a whole clip and has the clip's id.

    Clips of classes that the list of classes does not name are left out and counted.

    Args:
        labels: False leaves labels empty and does not need the class names.
        partial: whether the list of one split is enough; the others are then named as absent.

    Raises:
        DataRootError: naming the file that is not there.
        ManifestError: naming the file and line that cannot be used and why.
    """
    classes = read_class_names(folder / spec.classes) if labels else None
    files = split_files(spec, folder, partial=partial)
    lists = [_read_list(folder / name, split) for split, name in files.present.items()]
    return replace(list_clips(lists, classes, folder / spec.classes), absent=files.absent)


def _read_list(path: Path, split: Split) -> ClipList:
    problems = Problems(path=path)
    lines = read_lines(path, "one of Something-Something's lists")
    return ClipList(split=split, clips=_clips(lines), problems=problems)


def _clips(lines: list[str]) -> Iterator[ListedClip]:
    for number, line in enumerate(lines, start=1):
        clip_id, _, name = line.partition(_SEPARATOR)
        yield ListedClip(place=number, id=clip_id.strip(), class_name=name.strip() or None)
