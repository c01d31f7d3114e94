"""Corrected intervals of long videos, as a timeline page writes them: the complete intervals of
each video that the file names by a path whose end is that of a video of the data set."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from orn.data_manifests.find_videos import VIDEO_SUFFIXES, without_suffix
from orn.data_manifests.table import LabeledRow
from orn.data_manifests.text_files import (
    Name,
    Seconds,
    column_names,
    each_row,
    open_table,
    read_rows,
)
from orn.shared.errors import ManifestError
from orn.shared.text import first_few

_COLUMNS = ("start", "stop", "label")
_OF_VIDEO = ("video", "group", "split")
"""Columns that all rows of a video have in common."""
_EQUAL = 0.0005
"""Difference of times, in seconds, that a page rounds away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedRow:
    """A corrected interval; without a label, the video has none."""

    video: Name
    """Path of the video."""
    start: Seconds = None
    stop: Seconds = None
    label: Name = ""


def are_intervals(path: Path) -> bool:
    """Return whether a file of corrections has intervals, not verdicts on clips."""
    return "verdict" not in map(str.casefold, column_names(path, "corrections"))


def corrected_intervals(
    table: Path,
    rows: Mapping[int, LabeledRow],
    path: Path,
    *,
    observed: frozenset[str],
    background: str | None,
    is_video: Callable[[str], bool],
) -> tuple[dict[int, LabeledRow], tuple[str, ...], str]:
    """Return the rows of a table with corrected intervals, the corrected videos, and its new text.

    The rows of a corrected video stand where its first row stood. Each keeps the other cells of the
    row that it corrects, which has the same times or, of one label, the largest overlap; a new row
    has only those by which the rows of a video are kept together. A new video stands at the end.

    Args:
        table: the table of intervals.
        rows: its rows by number.
        path: CSV file with the columns video, start, stop and label.
        observed: videos that may have no interval.
        background: name of what no interval covers; None for multiple labels.
        is_video: returns whether the data set has a video file for an id.

    Raises:
        ManifestError: if the file is invalid, names a video that the data set lacks, or a video
            would be without an interval and is not listed as observed.
    """
    videos = {row.video for row in rows.values()}
    given = _read(path, videos | observed, is_video, background)
    if empty := [video for video, own in given.items() if not own and video not in observed]:
        raise ManifestError(
            f"{path}: {first_few(empty)}: expected an interval, or a row in a table of what was "
            "looked at, got none; add the video to observed.csv, with observed = "
            '"observed.csv" in section intervals of the manifest'
        )
    reader = open_table(table, "the label table")
    names = [name.casefold() for name in reader.header]
    new = [video for video in given if video not in videos]
    if new and "split" in names:
        raise ManifestError(
            f"{path}: {first_few(new)}: expected videos of {table}, got new ones; first add a row "
            "of each to this table, with its column split"
        )
    lines = [(reader.line_num, cells) for cells in reader]
    earlier: dict[str, list[_TableLine]] = defaultdict(list)
    for number, cells in lines:
        if (listed := rows.get(number)) is not None and listed.video in given:
            earlier[listed.video].append(_TableLine(row=listed, cells=cells))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", delimiter=reader.delimiter)
    writer.writerow(reader.first_row)
    kept: list[LabeledRow] = []

    def write(video: str) -> None:
        own = earlier.get(video, [])
        group = own[0].row.group if own else ""
        common = own[0].cells if own else [video if name == "video" else "" for name in names]
        fresh = [
            cell if name in _OF_VIDEO else ""
            for name, cell in zip_longest(names, common[: len(names)], fillvalue="")
        ]
        for row, before in zip(given[video], _matched(given[video], own), strict=True):
            values = {"start": f"{row.start:.10g}", "stop": f"{row.stop:.10g}", "label": row.label}
            if before is not None:
                values = {name: values[name] for name in before.changes(row)}
            cells = fresh if before is None else before.cells
            changed = [values.get(name, cell) for name, cell in zip(names, cells, strict=False)]
            writer.writerow(changed if values else cells)
            kept.append(
                LabeledRow(
                    video=video, label=row.label, start=row.start, stop=row.stop, group=group
                )
            )

    written: set[str] = set()
    for number, cells in lines:
        listed = rows.get(number)
        if listed is None or listed.video not in given:
            writer.writerow(cells)
            kept += [] if listed is None else [listed]
        elif listed.video not in written:
            written.add(listed.video)
            write(listed.video)
    for video in new:
        write(video)
    return dict(enumerate(kept, start=2)), tuple(given), text.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableLine:
    """A row of the table with its cells as they are."""

    row: LabeledRow
    cells: list[str]

    def overlap(self, row: CorrectedRow) -> float:
        """Return the overlap with a corrected interval in seconds; negative for a gap."""
        stop = min(self.row.stop or 0.0, row.stop or 0.0)
        return stop - max(self.row.start or 0.0, row.start or 0.0)

    def changes(self, row: CorrectedRow) -> list[str]:
        """Return the columns that a corrected interval changes."""
        old, new = self.row, row
        pairs = {"start": (old.start, new.start), "stop": (old.stop, new.stop)}
        names = [
            name for name, (was, now) in pairs.items() if abs((was or 0.0) - (now or 0.0)) > _EQUAL
        ]
        return names + (["label"] if old.label != new.label else [])


def _matched(given: Sequence[CorrectedRow], lines: Sequence[_TableLine]) -> list[_TableLine | None]:
    """Return the line that each corrected interval had before; None for a new one.

    First the lines without a change, then those at the same times, then those of the same label by
    the overlap, then those of another label.
    """
    found: list[_TableLine | None] = [None] * len(given)
    left = set(range(len(lines)))
    by_times: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        times = tuple(f"{own or 0:.3f}" for own in (line.row.start, line.row.stop))
        by_times[*times, line.row.label].append(number)
        by_times[times].append(number)
    for with_label in (True, False):
        for place, row in enumerate(given):
            times = tuple(f"{own or 0:.3f}" for own in (row.start, row.stop))
            numbers = by_times[(*times, row.label) if with_label else times]
            own = next((number for number in numbers if number in left), None)
            if found[place] is None and own is not None:
                found[place] = lines[own]
                left.remove(own)
    pairs = sorted(
        (lines[number].row.label != given[place].label, -seconds, place, number)
        for place in range(len(given))
        for number in left
        if found[place] is None and (seconds := lines[number].overlap(given[place])) > 0
    )
    for _, _, place, number in pairs:
        if found[place] is None and number in left:
            found[place] = lines[number]
            left.remove(number)
    return found


def _read(
    path: Path, listed: Collection[str], is_video: Callable[[str], bool], background: str | None
) -> dict[str, list[CorrectedRow]]:
    """Return the intervals of each corrected video by id, in order of time."""
    read = read_rows(path, "corrected intervals", CorrectedRow, required=_COLUMNS)
    given: dict[str, list[CorrectedRow]] = defaultdict(list)
    names = dict.fromkeys(row.video for row in read.values())
    id_of = {name: _id_of(path, name, listed, is_video) for name in names}

    def add(row: CorrectedRow) -> None:
        own = given[id_of[row.video]]
        if not row.label and row.start is None and row.stop is None:
            return
        if row.label == background:
            raise ValueError(
                f"expected an activity, got {row.label!r}, the background; remove the row (a video "
                "without activities has one row without times and label)"
            )
        if not row.label or row.start is None or row.stop is None or row.stop < row.start:
            raise ValueError(
                f"expected start, stop after it, and label, got {row.start}, {row.stop} and "
                f"{row.label!r}"
            )
        own.append(row)

    each_row(path, read.items(), add)
    return {video: sorted(own, key=lambda row: row.start or 0.0) for video, own in given.items()}


def _id_of(path: Path, name: str, listed: Collection[str], is_video: Callable[[str], bool]) -> str:
    """Return the id of a video: that of the listed one whose path has the same end, else that of a
    file of the data set."""
    if name in listed or is_video(name):
        return name
    parts = name.replace("\\", "/").split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    own = f"/{without_suffix(ends[0])}"
    others = {one: f"/{without_suffix(one)}" for one in listed}
    alike = [one for one, text in others.items() if text.endswith(own) or own.endswith(text)]
    if not alike:
        bare = [end.rpartition(".")[0] for end in ends if end.lower().endswith(VIDEO_SUFFIXES)]
        alike = [end for end in [*ends, *bare] if is_video(end)][:1]
    if len(alike) == 1:
        return alike[0]
    raise ManifestError(
        f"{path}: expected one listed video, or a file in the folder of the data set, whose path "
        f"ends like {name!r}, got {first_few(sorted(alike)) if alike else 'none'}; copy the video "
        "there, or write its path as in the table of labels"
    )
