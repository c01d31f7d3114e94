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
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from orn.shared.data_files import read_bounded
from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

PATTERN = r"(?P<video>.+)_(?P<frame>\d{1,15})\.txt"
_BOX_VALUES = 5
_WHOLE = re.compile(r"[1-9]\d{0,17}")
_FORM = "expected lines of class x y w h, or of class and 3 or more corners, [confidence] [track]"


def read_labels(
    path: Path, pattern: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the frame of a file, then its objects.

    Args:
        path: the file; if its name has no video, this is the name of its folder.
        pattern: pattern of the path, with the groups `video` and `frame`.
        names: names of the classes by number.
    """
    match = pattern.fullmatch(path.as_posix())
    if match is None:
        raise ObjectImportError(
            "expected a name such as VIDEO_12.txt; pass a pattern with --names", where=path
        )
    video_id = match.groupdict().get("video") or path.absolute().parent.name
    record = SourceRecord(video_id=video_id, frame=int(match["frame"]))
    yield record
    try:
        for found in _objects_of(path, [*names]):
            yield replace(record, content=found)
    except ObjectImportError as err:
        yield replace(record, content=err)


def _objects_of(path: Path, names: Sequence[str]) -> Iterator[SourceObject]:
    text = read_bounded(path, error=ObjectImportError).decode("utf-8", "replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    lasts = {row[-1] for row in rows}
    are_tracks = len(lasts) == len(rows) and all(map(_WHOLE.fullmatch, lasts))
    has_tracks = are_tracks and all(len(row) > _BOX_VALUES for row in rows)
    has_one = all(len(row) % 2 == 0 for row in rows)
    num_after = 1 if has_one else 2 * has_tracks
    for number, row in enumerate(rows, start=1):
        what = f"{path}: object {number:,}"
        try:
            label, *values = int(row[0]), *map(float, row[1:])
        except ValueError as err:
            raise ObjectImportError(f"{_FORM}, got {err}", where=what) from err
        track = int(row[-1]) if has_tracks else -1
        fractions, after = values[: len(values) - num_after], values[len(values) - num_after :]
        score = after[0] if num_after > has_tracks else 1.0
        are_shares = all(0 <= value <= 1 for value in (*fractions, score))
        if len(fractions) < 4 or len(fractions) % 2 or not are_shares:
            got = ascii(" ".join(row)[:80])
            raise ObjectImportError(f"{_FORM}, as fractions of the frame, got {got}", where=what)
        if not 0 <= label < len(names):
            raise ObjectImportError(
                f"expected one of {len(names)} classes, got {label}; pass --classes FILE with the "
                "names of all classes of the model",
                where=what,
            )
        if len(fractions) == 4:
            x, y, width, height = fractions
            fractions = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        yield SourceObject(
            name=names[label], score=score, box=None, track=track, fractions=fractions
        )
