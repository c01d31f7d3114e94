"""Read the label files of ultralytics, `labels/VIDEO_NUMBER.txt`, that `save_txt` writes for each
frame with objects.

A line is `class x y w h [confidence] [track]`, the center and the size of a box, or `class x1 y1 x2
y2 x3 y3 ... [confidence] [track]`, the corners of a polygon, as fractions of the frame. All lines
of a file have the same values after the coordinates:

- even numbers of values: one, which is a track if the last values of the lines are different whole
  numbers from 1, else a confidence;
- odd numbers of values, at least 7: confidence and track if the last values are such numbers, else
  none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from orn.shared.data_files import read_bounded
from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.frame_files import named_in
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

PATTERN = r"(?P<video>.+)_(?P<frame>\d{1,15})\.txt"
_BOX_VALUES = 5
_WHOLE = re.compile(r"[1-9]\d{0,17}")


def read_labels(
    path: Path, pattern: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the frame of a file, then its objects.

    Args:
        path: the file; if its name has no video, this is the name of its folder.
        pattern: pattern of the path, with the groups `video` and `frame`.
        names: names of the classes by number.
    """
    named = named_in(path, pattern)
    record = SourceRecord(video_id=named.video, frame=named.frame)
    yield record
    try:
        for found in _objects_of(path, {str(label): name for label, name in enumerate(names)}):
            yield replace(record, content=found)
    except ObjectImportError as err:
        yield replace(record, content=err)


def _objects_of(path: Path, names: Mapping[str, str]) -> Iterator[SourceObject]:
    text = read_bounded(path, error=ObjectImportError).decode("utf-8", "replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    lasts = {row[-1] for row in rows}
    are_tracks = len(lasts) == len(rows) and all(map(_WHOLE.fullmatch, lasts))
    has_tracks = are_tracks and all(len(row) > _BOX_VALUES for row in rows)
    has_scores = has_tracks != all(len(row) % 2 == 0 for row in rows)
    for number, row in enumerate(rows, start=1):
        track = int(row.pop()) if has_tracks else -1
        try:
            values = [float(value) for value in row[1:]]
        except ValueError:
            values = []
        score = values.pop() if has_scores and values else 1.0
        is_outline = len(values) >= 4 and len(values) % 2 == 0
        if row[0] not in names or not is_outline or not all(0 <= x <= 1 for x in (*values, score)):
            got = ascii(" ".join(row)[:80])
            raise ObjectImportError(
                f"expected one of {len(names)} classes, x y w h or 3 or more corners as fractions "
                f"of the frame, [confidence] and [track], got {got}; correct --classes or the file",
                where=f"{path}: object {number:,}",
            )
        if len(values) == 4:
            x, y, width, height = values
            values = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        yield SourceObject(name=names[row[0]], score=score, box=None, track=track, fractions=values)
