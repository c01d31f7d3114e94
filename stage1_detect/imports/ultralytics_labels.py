"""Read the label files of ultralytics, `labels/VIDEO_NUMBER.txt`, that `save_txt` writes for each
frame with objects.

A line is `class x y w h [confidence] [track]`, the center and the size of a box, or `class x1 y1 x2
y2 x3 y3 ... [confidence] [track]`, the corners of a polygon, as fractions of the frame. All lines
of a file have the same values after the coordinates:

- even numbers of values: one, which is a track if the last values of the lines are different whole
  numbers from 1, else a confidence;
- odd numbers of values, at least 7: confidence and track if the last values are such numbers, else
  none.

Two cases can be read in two ways, and are refused without the option `--lines`: a lone polygon that
ends with 1, which is a track or a corner; and lines whose points all lie in the box
that their first values would be, which may be the key points of a pose.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orn.shared.data_files import read_bounded
from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.frame_files import named_in
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

PATTERN = r"(?P<video>.+)_(?P<frame>\d{1,15})\.txt"
_BOX_VALUES = 5
_LONGEST_BOX = 7
"""Number of values in a line of a box with confidence and track."""
_ROUNDED = 1e-3
_WHOLE = re.compile(r"[1-9]\d{0,17}")


def read_labels(
    path: Path, pattern: re.Pattern[str], names: dict[str, None], *, lines: str | None = None
) -> Iterator[SourceRecord]:
    """Yield the frame of a file, then its objects.

    Args:
        path: the file; if its name has no video, this is the name of its folder.
        pattern: pattern of the path, with the groups `video` and `frame`.
        names: names of the classes by number.
        lines: what the lines contain, such as `polygon+confidence`; None if they tell.
    """
    named = named_in(path, pattern)
    record = SourceRecord(video_id=named.video, frame=named.frame)
    yield record
    try:
        for found in _objects_of(path, {str(label): own for label, own in enumerate(names)}, lines):
            yield replace(record, content=found)
    except ObjectImportError as err:
        yield replace(record, content=err)


def _objects_of(path: Path, names: Mapping[str, str], lines: str | None) -> Iterator[SourceObject]:
    text = read_bounded(path, error=ObjectImportError).decode("utf-8", "replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    lasts = {row[-1] for row in rows}
    are_tracks = len(lasts) == len(rows) and all(map(_WHOLE.fullmatch, lasts))
    has_tracks = are_tracks and all(len(row) > _BOX_VALUES for row in rows)
    has_scores = has_tracks != all(len(row) % 2 == 0 for row in rows)
    if lines is not None:
        has_tracks, has_scores = "track" in lines, "confidence" in lines
    elif has_tracks and has_scores and lasts == {"1"} and len(rows[0]) > _LONGEST_BOX:
        raise _ambiguous(path, "one polygon that ends with 1, a track or a corner")
    elif rows and _are_poses(rows):
        raise _ambiguous(path, "lines of polygons or of poses, which are not read")
    for number, row in enumerate(rows, start=1):
        track = int(row.pop()) if has_tracks else -1
        try:
            values = [float(value) for value in row[1:]]
        except ValueError:
            values = []
        score = values.pop() if has_scores and values else 1.0
        is_outline = len(values) >= 4 and len(values) % 2 == 0
        if lines is not None:
            is_outline &= (len(values) == 4) == lines.startswith("box")
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


def _ambiguous(path: Path, got: str) -> ObjectImportError:
    return ObjectImportError(
        f"expected lines that can be read in one way, got {got}; pass --lines box or --lines "
        "polygon, with +confidence and +track where these follow",
        where=path,
    )


def _are_poses(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all lines can be a box with the key points in it, two or three values each."""
    try:
        values = [[float(value) for value in row[1:]] for row in rows]
    except ValueError:
        return False
    if len({*map(len, values)}) > 1 or len(values[0]) < _LONGEST_BOX:
        return False
    return any(
        all(_is_pose(own[: len(own) - after], each) for own in values)
        for each in (2, 3)
        for after in (0, 1, 2)
    )


def _is_pose(values: Sequence[float], each: int) -> bool:
    """Return whether values are a box inside of the frame and points inside of the box."""
    x, y, width, height = values[:4]
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    points = values[4:]
    if len(points) % each or min(left, top) < -_ROUNDED or max(right, bottom) > 1 + _ROUNDED:
        return False
    return all(
        (px == py == 0)
        or (left - _ROUNDED <= px <= right + _ROUNDED and top - _ROUNDED <= py <= bottom + _ROUNDED)
        for px, py in zip(points[::each], points[1::each], strict=True)
    )
