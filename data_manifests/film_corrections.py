"""Corrected intervals of long videos, as a timeline page writes them: the complete intervals of
each video that the file names by a path whose end is that of a video of the data set."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
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
    is_video: Callable[[str], bool],
) -> tuple[dict[int, LabeledRow], tuple[str, ...], str]:
    """Return the rows of a table with corrected intervals, the corrected videos, and its new text.

    The rows of a corrected video stand where its first row stood, with the other cells of that row;
    a new video stands at the end.

    Args:
        table: the table of intervals.
        rows: its rows by number.
        path: CSV file with the columns video, start, stop and label.
        observed: videos that may have no interval.
        is_video: returns whether the data set has a video file for an id.

    Raises:
        ManifestError: if the file is invalid, names a video that the data set lacks, or a video
            would be without an interval and is not listed as observed.
    """
    videos = {row.video for row in rows.values()}
    given = _read(path, videos | observed, is_video)
    if empty := [video for video, own in given.items() if not own and video not in observed]:
        raise ManifestError(
            f"{path}: {first_few(empty)}: expected an interval, or a row in a table of what was "
            "looked at, got none; add the video to observed.csv, with observed = "
            '"observed.csv" in section intervals of the manifest'
        )
    reader = open_table(table, "the label table")
    header = next(reader)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", delimiter=reader.dialect.delimiter)
    writer.writerow(header)
    names = [cell.strip().casefold() for cell in header]
    kept: list[LabeledRow] = []

    def write(cells: list[str], video: str, group: str) -> None:
        for row in given[video]:
            values = {"start": f"{row.start:.10g}", "stop": f"{row.stop:.10g}", "label": row.label}
            changed = [values.get(name, cell) for name, cell in zip(names, cells, strict=False)]
            writer.writerow(changed)
            kept.append(
                LabeledRow(
                    video=video, label=row.label, start=row.start, stop=row.stop, group=group
                )
            )

    written: set[str] = set()
    for cells in reader:
        listed = rows.get(reader.line_num)
        if listed is None or listed.video not in given:
            writer.writerow(cells)
            kept += [] if listed is None else [listed]
        elif listed.video not in written:
            written.add(listed.video)
            write([*cells[: len(names)]], listed.video, listed.group)
    for video in (own for own in given if own not in videos):
        write([video if name == "video" else "" for name in names], video, "")
    return dict(enumerate(kept, start=2)), tuple(given), text.getvalue()


def _read(
    path: Path, listed: Collection[str], is_video: Callable[[str], bool]
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
