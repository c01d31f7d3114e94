"""Tables of events of BORIS, CSV or TSV: the tabular export, which has a row for each start and
stop (before version 8, below lines about the observation), and the aggregated one, which has a row
for each event."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from orn.data_manifests.boris_project import CodedEvent, paired, split_by_medium
from orn.data_manifests.event_formats import Event, ReadEvents
from orn.data_manifests.text_files import MOST_ROWS, open_table
from orn.shared.errors import ManifestError
from orn.shared.text import first_few, path_text
from orn.shared.video.frame import FrameEstimate

_COLUMNS = [
    *("Observation id", "Media file name", "Media duration (s)", "FPS (frame/s)", "Subject"),
    *("Behavior", "Behavior type", "Start (s)", "Stop (s)", "Duration (s)"),
]
_MEDIA = ("Media file name", "Media file path", "Media file")
"""Columns with the media file of an event, by version."""
_HEADERS = (
    {"Behavior", "Start (s)", "Stop (s)"},
    {"Behavior", "Time", "Status"},
    {"Behavior", "Time", "Behavior type"},
)
"""Columns of the aggregated export, and of the tabular one by version."""
_ABOUT_LINES = 500
"""Maximum number of lines about an observation above the header of a table."""
_PLAYER = re.compile(r"\s*(?:player #)?1:\s*")
_NEXT_PLAYER = re.compile(r"\||\s+player #")
_Row = tuple[int, Mapping[str, str]]
"""Number of a line, and its cells by column."""


def read_tables(path: Path) -> ReadEvents:
    """Return the events of a table; a point event starts and stops at the same time.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if it is neither export, or a row is invalid.
    """
    about, rows = _rows(path)
    by_observation: dict[str, list[_Row]] = defaultdict(list)
    for number, cells in rows:
        name = cells.get("Observation id", about.get("Observation id", ""))
        by_observation[name].append((number, cells))
    events: list[Event] = []
    left_out: list[str] = []
    for name, own in by_observation.items():
        where = f"{path_text(path)}: observation {name!r}" if name else path_text(path)
        try:
            lengths = _media(own, about)
            offset = about.get("Time offset (s)", own[0][1].get("Time offset (s)")) or "0"
            if "Start (s)" in own[0][1]:
                found = [_whole(number, cells, path) for number, cells in own]
            else:
                found = paired(_coded(number, cells, path) for number, cells in own)
            moved = [_moved(event, -_seconds(offset, path, own[0][0])) for event in found]
            events += split_by_medium(moved, lengths)
        except ManifestError:
            raise
        except ValueError as err:
            left_out.append(f"{where}: {err}")
    return ReadEvents(events=events, left_out=left_out)


def _rows(path: Path) -> tuple[Mapping[str, str], list[_Row]]:
    """Return what stands above the header, by its first cell, and the rows below it."""
    reader = open_table(path, "a table of events of BORIS")
    about: dict[str, str] = {}
    header: list[str] = []
    for cells in chain([reader.first_row], reader):
        cells = [cell.strip() for cell in cells]
        if any({*cells} >= needed for needed in _HEADERS):
            header = cells
        if header or reader.line_num > _ABOUT_LINES:
            break
        if len(cells) > 1:
            about.setdefault(cells[0], cells[1])
    if not header:
        shown = first_few([cell.strip()[:40] for cell in reader.first_row], 8) or "nothing"
        raise ManifestError(
            f"{path_text(path)}: expected a table of events of BORIS, got columns {shown}; export "
            "it in BORIS: Observations > Export events > Aggregated events, or Tabular events, as "
            "CSV or TSV"
        )
    rows: list[_Row] = []
    for cells in reader:
        if any(map(str.strip, cells)):
            if len(rows) == MOST_ROWS:
                raise ManifestError(
                    f"{path_text(path)}: expected at most {MOST_ROWS:,} rows, got more; split it"
                )
            named = zip(header, map(str.strip, cells), strict=False)
            rows.append((reader.line_num, dict(named)))
    return about, rows


def _media(rows: Sequence[_Row], about: Mapping[str, str]) -> dict[str, float | None]:
    """Return the media files of player 1 with their lengths in seconds; None if unknown."""
    first = rows[0][1]
    source = first.get("Source", "")
    if _PLAYER.match(source):
        media = _of_player_1(_PLAYER.sub("", source, count=1))
        lengths = _of_player_1(first.get("Media duration (s)", ""))
        known = {medium: _length(own) for medium, own in zip(media, lengths, strict=False)}
        return {medium: known.get(medium) for medium in media}
    column = next((name for name in _MEDIA if name in first), None)
    names = [own for own in ([] if column is None else [cells[column] for _, cells in rows]) if own]
    media = [*dict.fromkeys(name for name in names if name not in ("NA", "Not found"))]
    if not media:
        raise ValueError("a live observation, or one of pictures, which has no film")
    if len(media) > 1:
        raise ValueError(
            f"{len(media)} media files ({first_few(media)}), whose lengths this table lacks; "
            "import the project"
        )
    return {media[0]: None}


def _of_player_1(cell: str) -> list[str]:
    """Return the values of the first player: `a.mp4;b.mp4|player #2:c.mp4`."""
    own = _NEXT_PLAYER.split(cell, maxsplit=1)[0]
    return [part.strip() for part in own.split(";") if part.strip()]


def _length(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _whole(number: int, cells: Mapping[str, str], path: Path) -> Event:
    """Return the event of a row of the aggregated export."""
    start, stop = (_seconds(cells.get(f"{end} (s)", ""), path, number) for end in ("Start", "Stop"))
    return Event(video="", start=start, stop=stop, label=cells.get("Behavior", ""))


def _coded(number: int, cells: Mapping[str, str], path: Path) -> CodedEvent:
    """Return a row of the tabular export."""
    kind = (cells.get("Status") or cells.get("Behavior type") or "").upper()
    if kind not in ("START", "STOP", "POINT", "STATE"):
        raise ManifestError(
            f"{path_text(path)}, row {number}: expected START, STOP or POINT, got {kind[:40]!r}"
        )
    modifiers = (cell for name, cell in cells.items() if name.startswith("Modifier"))
    key = (cells.get("Behavior", ""), cells.get("Subject", ""), *modifiers)
    seconds = _seconds(cells.get("Time", ""), path, number)
    return CodedEvent(seconds=seconds, key=key, is_state=kind != "POINT")


def _seconds(cell: str, path: Path, number: int) -> float:
    if (seconds := _length(cell)) is None:
        raise ManifestError(
            f"{path_text(path)}, row {number}: expected seconds, got {cell[:40]!r}; set the time "
            "format to seconds in BORIS (File > Preferences)"
        )
    return seconds


def _moved(event: Event, seconds: float) -> Event:
    start, stop = event.start + seconds, event.stop + seconds
    return Event(video="", start=start, stop=stop, label=event.label)


def aggregated_text(events: Iterable[Event], lengths: Mapping[str, FrameEstimate]) -> str:
    """Return a table of aggregated events; for arguments see `boris_project.project_text`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    of_video: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_video[event.video].append(event)
    writer.writerows(
        row for video, own in of_video.items() for row in _written(own, lengths[video])
    )
    return text.getvalue()


def _written(events: Iterable[Event], length: FrameEstimate) -> Iterator[list[str]]:
    for event in events:
        kind = "STATE" if event.stop > event.start else "POINT"
        times = (f"{value:.3f}" for value in (event.start, event.stop, event.stop - event.start))
        about = (event.video, event.video, f"{length.seconds:.3f}", f"{length.rate:g}")
        yield [*about, "No focal subject", event.label, kind, *times]
