"""`orn events`: tables of intervals from and for other programs."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from orn.data_manifests.boris_project import project_text, read_project
from orn.data_manifests.boris_tables import aggregated_text, read_tables
from orn.data_manifests.event_formats import (
    Event,
    ReadEvents,
    feral_text,
    read_deepethogram,
    read_feral,
    read_frame_labels,
    video_ids,
)
from orn.data_manifests.films import OBSERVED_NAME, read_observed
from orn.data_manifests.table import LabeledRow, read_labels
from orn.data_manifests.text_files import each_row
from orn.data_manifests.write_tables import read_back, replace_tables
from orn.shared.errors import ConfigError, ManifestError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_files
from orn.shared.text import counted, first_few, path_text
from orn.shared.text_summary import Outcome, Summary
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import FrameEstimate
from orn.shared.video.read import estimate

SourceFormat = Literal["boris", "boris-events", "deepethogram", "feral", "frames"]
TargetFormat = Literal["boris", "boris-events", "feral"]
_OF_TIMES: Mapping[str, Callable[[Path], ReadEvents]] = {
    "boris": read_project,
    "boris-events": read_tables,
}
_OF_FRAMES: Mapping[str, Callable[[Path, float], ReadEvents]] = {
    "deepethogram": read_deepethogram,
    "feral": read_feral,
    "frames": read_frame_labels,
}
_TEXTS: Mapping[str, Callable[[Iterable[Event], Mapping[str, FrameEstimate]], str]] = {
    "boris": project_text,
    "boris-events": aggregated_text,
    "feral": feral_text,
}
_NESTING = ("boris-events",)
"""Formats in which intervals of one label may overlap."""
_MOST_NAMED = 20
"""Maximum number of what is left out in the summary; --json names all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEventsConfig:
    """What `import_events` does."""

    sources: tuple[Path, ...]
    """Files of the other program."""
    form: SourceFormat
    """Their format."""
    out: Path
    """The table to write."""
    rate: float | None = None
    """Frames per second of labels of frames."""
    replace: bool = False
    """Whether to replace an existing table, of which a copy is kept."""

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ConfigError(f"--rate: expected a number above 0, got {self.rate:g}; correct it")
        if self.form in _OF_FRAMES and self.rate is None:
            raise ConfigError(
                f"--format {self.form}: expected --rate, the frames per second of the labels"
            )
        if self.form in _OF_TIMES and self.rate is not None:
            raise ConfigError(f"--format {self.form}: its times are in seconds; omit --rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportEventsConfig:
    """What `export_events` does."""

    table: Path
    """Table of intervals: video, start, stop, label."""
    form: TargetFormat
    """Format to write."""
    out: Path
    """The file to write."""
    videos: Path
    """Folder to which the ids of videos are relative."""
    replace: bool = False
    """Whether to replace an existing file, of which a copy is kept."""


def import_events(config: ImportEventsConfig) -> Outcome:
    """Write the events of other programs as a table of intervals, and `observed.csv` beside it if
    not all of a video was watched, or a video has no event. Equal events become one.

    Raises:
        PipelineError: if a source is invalid or nothing in them can be used, a table exists and is
            not to be replaced, or what would be written cannot be read.
    """
    check_output_files([config.out], reads=config.sources)
    if config.rate is None:
        read = [_OF_TIMES[config.form](path) for path in config.sources]
    else:
        read = [_OF_FRAMES[config.form](path, config.rate) for path in config.sources]
    left_out = [reason for own in read for reason in own.left_out]
    paths = [event.video for own in read for event in own.events]
    observed = {path: spans for own in read for path, spans in (own.observed or {}).items()}
    ids = video_ids(dict.fromkeys([*paths, *observed]))
    rows = [
        (ids[event.video], f"{event.start:.3f}", f"{event.stop:.3f}", event.label)
        for own in read
        for event in sorted(own.events, key=lambda event: (event.video, event.start, event.stop))
    ]
    where = first_few([*map(path_text, config.sources)])
    if not rows:
        reasons = f": {'; '.join(left_out[:_MOST_NAMED])}" if left_out else ""
        raise ConfigError(f"{where}: expected events in videos, got none{reasons}")
    unique = dict.fromkeys(rows)
    files = {config.out: _csv(("video", "start", "stop", "label"), unique)}
    watched = [(ids[path], *_cells(span)) for path, spans in observed.items() for span in spans]
    if watched:
        table = config.out.with_name(OBSERVED_NAME)
        files[table] = _csv(("video", "start", "stop"), watched)
    _check_new([*files], replace=config.replace)
    _check_readable(files, config.out, where=where)
    copies = replace_tables(files)
    record = {
        "path": str(config.out),
        "events": len(unique),
        "videos": len({video for video, *_ in unique}),
        "merged": len(rows) - len(unique),
        "left_out": left_out,
        "observed": str(config.out.with_name(OBSERVED_NAME)) if watched else None,
        "observed_videos": len({video for video, *_ in watched}),
        "renamed": {own: path for path, own in ids.items() if own != path},
        "copies": [*map(str, copies)],
    }
    return Outcome(record, _imported)


def _check_new(paths: Sequence[Path], *, replace: bool) -> None:
    """Raise ConfigError if a file exists and is not to be replaced."""
    if (there := next((path for path in paths if path.exists()), None)) and not replace:
        raise ConfigError(
            f"{path_text(there)}: file exists; replace it with --replace, which keeps a copy, or "
            "choose another --out"
        )


def _check_readable(files: Mapping[Path, bytes], out: Path, *, where: str) -> None:
    """Read tables back as the next commands read them."""

    def read(folder: Path) -> None:
        rows = read_labels(folder / out.name)

        def check(row: LabeledRow) -> None:
            if row.stop is not None and row.stop < (row.start or 0.0):
                raise ValueError(f"expected stop after start, got {row.start} and {row.stop}")
            if not row.label:
                raise ValueError("expected a label, got none")

        each_row(out, rows.items(), check)
        if (folder / OBSERVED_NAME).exists():
            read_observed(folder / OBSERVED_NAME)

    try:
        read_back(files, read, folder=out.parent)
    except ManifestError as err:
        raise ManifestError(f"{where}: cannot become a table of intervals: {err}") from err


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode(errors="backslashreplace")


def _cells(span: TimeRange) -> tuple[str, str]:
    """Return the start and stop of a range; empty for the whole video."""
    times = (span.start_seconds, span.stop_seconds)
    start, stop = ("" if own is None else f"{own:.3f}" for own in times)
    return start, stop


def export_events(config: ExportEventsConfig) -> Outcome:
    """Write a table of intervals for another program.

    Raises:
        PipelineError: if the table is invalid, a video cannot be opened, a file exists and is not
            to be replaced, or the format cannot hold an interval.
    """
    rows = read_labels(config.table)
    videos = {row.video: config.videos / row.video for row in rows.values()}
    if missing := [video for video, path in videos.items() if not path.exists()]:
        raise ConfigError(
            f"--videos {path_text(config.videos)}: expected {first_few(missing)} in this folder, "
            f"got none; pass the folder where the paths in {path_text(config.table)} start"
        )
    check_output_files([config.out], reads=[config.table, *videos.values()])
    _check_new([config.out], replace=config.replace)
    lengths = {video: estimate(path) for video, path in videos.items()}

    def event_of(row: LabeledRow) -> Event:
        stop = lengths[row.video].seconds if row.stop is None else row.stop
        if stop < (row.start or 0.0):
            raise ValueError(f"expected stop after start, got {row.start} and {row.stop}")
        return Event(video=row.video, start=row.start or 0.0, stop=stop, label=row.label)

    labeled = {number: row for number, row in rows.items() if row.label}
    events = each_row(config.table, labeled.items(), event_of)
    if config.form not in _NESTING:
        _check_apart(config, dict(zip(labeled, events, strict=True)))
    text = _TEXTS[config.form](events, lengths)
    if config.out.exists():
        replace_tables({config.out: text.encode(errors="backslashreplace")})
    else:
        write_text(config.out, text)
    shown = {"events": len(events), "videos": len({event.video for event in events})}
    return Outcome({"path": str(config.out), **shown}, _converted)


def _check_apart(config: ExportEventsConfig, events: Mapping[int, Event]) -> None:
    """Raise ManifestError if intervals of one label overlap, which have no start and stop of their
    own in lists of starts and stops, nor in labels of frames."""
    ordered = sorted(events.items(), key=lambda item: (item[1].video, item[1].label, item[1].start))
    for (number, one), (later, other) in pairwise(ordered):
        if (one.video, one.label) == (other.video, other.label) and other.start < one.stop:
            raise ManifestError(
                f"{path_text(config.table)}, rows {number} and {later}: expected intervals of "
                f"{one.label!r} that do not overlap for --format {config.form}, got "
                f"{one.start:g} to {one.stop:g} and {other.start:g} to {other.stop:g} s; merge "
                "them, or use --format boris-events"
            )


def _imported(record: Mapping[str, Any]) -> Summary:
    left_out = record["left_out"]
    notes = [f"left out: {reason}" for reason in left_out[:_MOST_NAMED]]
    if len(left_out) > _MOST_NAMED:
        notes.append(f"... and {len(left_out) - _MOST_NAMED:,} more (--json names all)")
    if record["observed"]:
        watched = counted(record["observed_videos"], "video")
        notes.append(
            f"{path_text(record['observed'])}: what was looked at in {watched}; others were "
            "watched as a whole"
        )
    elif (unwritten := Path(record["path"]).with_name(OBSERVED_NAME)).exists():
        notes.append(f"{path_text(unwritten)}: not written now, but it will be read")
    notes += [f"the earlier one is kept: {path_text(copy)}" for copy in record["copies"]]
    more = [counted(record["merged"], "equal event") + " merged"] if record["merged"] else []
    more += [f"{len(left_out):,} left out"] if left_out else []
    return Summary(title="; ".join([_converted(record), *more]), notes=notes)


def _converted(record: Mapping[str, Any]) -> str:
    events, videos = counted(record["events"], "event"), counted(record["videos"], "video")
    return f"{path_text(record['path'])}: {events} in {videos}"
